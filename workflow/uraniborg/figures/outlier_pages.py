"""Figures of outliers: a page for each of the first, a gallery by kind, and the latent space."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from uraniborg.figures.attribution import strip
from uraniborg.figures.names import kind_name
from uraniborg.figures.style import COLORS, FLUX_LABEL, TWO_COLUMNS
from uraniborg.spectra.attribution.names import ELSEWHERE
from uraniborg.spectra.lines import LINES, Line

__all__ = ["gallery", "latents", "page"]

# The object itself among others.
_OWN = "black"
# Coordinates in the latent space, and residuals, are drawn linearly up to this.
_LINEAR = 5.0
# Colours and markers of kinds: those that are alike in colour differ in shape.
_HUES = ("#d55e00", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#882255")
_MARKS = "ovs^DPX<>*d+x1"
# Pixels to either side of the largest residual, and the share of what a model misses that has to be
# there for the gallery to show just these.
_NEAR, _LOCAL = 100, 0.4
# Pixels by which spectra are smoothed to see lines, and around which the continuum is.
_LINE, _CONTINUUM = 7, 101
# Least significance of a line that is named, and the largest number of them.
_PROMINENT, _MOST = 6.0, 10
# Features that a page names.
_REASONS = 5


def page(
    spectra: pd.DataFrame,
    objects: pd.DataFrame,
    latents: pd.DataFrame,
    maps: pd.DataFrame,
    features: pd.DataFrame,
    rank: int,
) -> Figure:
    """One outlier: spectrum, what makes it one, residual, neighbours, and where it is in the latent
    space.

    Args:
        spectra: The columns `uraniborg.spectra.outliers.pages.SPECTRA_COLUMNS`.
        objects: `OBJECT_COLUMNS`.
        latents: `latent_columns`.
        maps: The columns `uraniborg.spectra.attribution.maps.MAP_COLUMNS`.
        features: The columns `uraniborg.spectra.attribution.features.FEATURE_COLUMNS`.
        rank: Which of them.
    """

    known = objects[objects["outlier_rank"] == rank].iloc[0]
    spectrum = spectra[spectra["outlier_rank"] == rank]
    figure = Figure(figsize=(TWO_COLUMNS, 9.8))
    grid = figure.add_gridspec(6, 1, height_ratios=[1.0, 2.5, 0.35, 1.1, 2.35, 2.2])
    _facts(figure.add_subplot(grid[0]), known)
    top = figure.add_subplot(grid[1])
    reason = figure.add_subplot(grid[2], sharex=top)
    middle = figure.add_subplot(grid[3], sharex=top)
    below = figure.add_subplot(grid[4], sharex=top)
    _spectrum(top, spectrum, known)
    of_this = known["object_id"]
    _reason(reason, maps[maps["object_id"] == of_this], features[features["object_id"] == of_this])
    _residual(middle, spectrum, known)
    _neighbours(below, spectrum, known)
    zoom, plane, axes = (
        figure.add_subplot(part) for part in grid[5].subgridspec(1, 3, width_ratios=[1.15, 1, 1])
    )
    _zoom(zoom, spectrum, known)
    _place(plane, axes, latents, known)
    return figure


def _facts(axes: Axes, known: pd.Series) -> None:
    """What the catalogue says, as text."""

    axes.set_axis_off()
    title = f"{known['outlier_rank']}.  {known['object_id']}"
    axes.text(0, 1, title, va="top", fontsize=11, weight="bold")
    if known["anomaly"]:
        axes.text(1, 1, f"truth: {_truth(known)}", va="top", ha="right", fontsize=9,
                  color=COLORS["truth"])  # fmt: skip
    redshift = f"{known['z']:.5f}"
    if known["z_source"] == "estimated":
        redshift += ", estimated"
    if abs(known["true_z"] - known["z"]) > 1e-3:
        redshift += f" (true {known['true_z']:.4f})"
    verdict = "" if known["star_verdict"] == "none" else f", {known['star_verdict']}"
    scale = known["residual_scale"]
    size = f"({scale} pixel{'s' if scale > 1 else ''})" if known["statistic"] else ""
    columns = (
        {
            "position": f"{known['ra']:.5f}°  {known['dec']:+.5f}°",
            "redshift": redshift,
            "median S/N": f"{known['snr']:.1f}",
            "class": known["spectype"].lower() or "unknown",
            "flags": known["flag_names"] or "none",
        },
        {
            "outlier score": f"{known['outlier_score']:.1f}",
            "   of residuals": f"{known['residual_surprise']:.1f} {size}",
            "   of latents": f"{known['latent_surprise']:.1f}",
            r"reduced $\chi^2$": f"{known['reduced_chi2']:.2f}",
        },
        {
            "ln $p$ of latents": f"{known['log_prob']:.1f} ± {known['log_prob_err']:.1f}",
            "   its percentile": f"{100 * known['log_prob_percentile']:.2g}%",
            "tenth neighbour": f"at {known['knn_distance']:.2f}",
            "star evidence": f"{known['star_evidence']:+.1f}{verdict}",
        },
    )
    for left, width, column in zip((0, 0.4, 0.71), (0.105, 0.13, 0.15), columns, strict=True):
        for row, (name, value) in enumerate(column.items()):
            y = 0.68 - 0.175 * row
            value = "–" if "nan" in value.split("±")[0] else value
            axes.text(left, y, name, va="top", fontsize=7.5, color="#666666")
            axes.text(left + width, y, value.replace("-", "−"), va="top", fontsize=7.5)


def _truth(known: pd.Series) -> str:
    text = kind_name(known["anomaly"])
    if known["anomaly"] != "none":
        strength = f"{known['anomaly_strength']:.3g}".replace("-", "−")
        text += f", strength {strength} {known['anomaly_unit']}".rstrip()
    return text


def _spectrum(axes: Axes, spectrum: pd.DataFrame, known: pd.Series) -> None:
    low, high = _curves(axes, spectrum)
    axes.set_xlim(*_covered(spectrum))
    # Room for names of lines and the legend.
    axes.set_ylim(low, high + 0.3 * (high - low))
    _cut(axes, spectrum)
    axes.set_ylabel(FLUX_LABEL)
    axes.tick_params(labelbottom=False, top=False)
    axes.legend(loc="upper right", ncols=3, fontsize=6.5, bbox_to_anchor=(1, 0.995),
                handlelength=1.2, columnspacing=1, frameon=True, edgecolor="none")  # fmt: skip
    if np.isfinite(known["z"]):
        stretch = 1 + known["z"]
        rest = axes.secondary_xaxis("top", functions=(lambda x: x / stretch, lambda x: x * stretch))
        rest.set_xlabel(f"wavelength in the rest frame of $z$ = {known['z']:.4f} [Å]")
        for line in _prominent(spectrum, known["z"]):
            where = line.wavelength * stretch
            axes.axvline(where, ymax=0.8, color=COLORS["line"], lw=0.5, ls=":", zorder=0)
            axes.annotate(line.name, (where, 0.895), xycoords=("data", "axes fraction"),
                          rotation=90, fontsize=6, ha="center", va="top",
                          bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5})  # fmt: skip


def _curves(axes: Axes, spectrum: pd.DataFrame, width: float = 0.4) -> tuple[float, float]:
    """Draws observed, true and reconstructed spectra and returns limits for them."""

    wavelength, flux = spectrum["wavelength"], _observed(spectrum)
    axes.plot(wavelength, flux, color=COLORS["data"], lw=width, label="observed", rasterized=True)
    if spectrum["truth"].notna().any():
        axes.plot(wavelength, spectrum["truth"], color=COLORS["truth"], lw=0.9, label="noiseless",
                  rasterized=True)  # fmt: skip
    if spectrum["model"].notna().any():
        axes.plot(wavelength, spectrum["model"], color=COLORS["model"], lw=1.3 * width,
                  label="reconstructed", rasterized=True)  # fmt: skip
    seen = [flux.rolling(_LINE, center=True, min_periods=1).median(), spectrum["model"]]
    seen = np.concatenate([curve[flux.notna()] for curve in seen])
    if not np.isfinite(seen).any():
        return 0.0, 1.0
    low, continuum, high = np.nanquantile(seen, [0.003, 0.97, 0.997])
    # Narrow lines far above the continuum are cut.
    low, high = min(0.0, low), max(0.0, min(high, 2.5 * continuum))
    margin = 0.08 * (high - low) or 1.0
    return low - margin * (low < 0), high + margin


def _observed(spectrum: pd.DataFrame) -> pd.Series:
    """The flux, NaN where it is masked."""

    return spectrum["flux"].where(spectrum["sigma"].notna())


def _covered(spectrum: pd.DataFrame) -> tuple[float, float]:
    """Wavelengths of the first and last good pixel, or of all if there is none."""

    good = spectrum["sigma"].notna()
    wavelength = spectrum["wavelength"][good if good.any() else ~good]
    return wavelength.min(), wavelength.max()


def _cut(axes: Axes, spectrum: pd.DataFrame) -> None:
    """Marks where the spectrum leaves the panel."""

    low, high = axes.get_ylim()
    flux = _observed(spectrum)
    for beyond, height, mark in ((flux > high, 0.985, "^"), (flux < low, 0.015, "v")):
        wavelength = spectrum["wavelength"][beyond]
        axes.plot(wavelength, np.full(len(wavelength), height), mark, ms=2.5, mew=0,
                  color="#555555", transform=axes.get_xaxis_transform())  # fmt: skip


def _prominent(spectrum: pd.DataFrame, z: float) -> list[Line]:
    """The lines at which the observed spectrum leaves its continuum most significantly, those that
    are too near to one of them left out."""

    flux = _observed(spectrum)
    continuum = flux.rolling(_CONTINUUM, center=True, min_periods=_CONTINUUM // 3).median()
    excess = (flux - continuum) / spectrum["sigma"]
    significance = excess.rolling(_LINE, center=True, min_periods=4).sum().abs() / _LINE**0.5
    significance, wavelength = significance.to_numpy(), spectrum["wavelength"].to_numpy()
    low, high = _covered(spectrum)
    found = {}
    for line in LINES:
        where = line.wavelength * (1 + z)
        near = significance[np.abs(wavelength / where - 1) < 1e-3]
        if low < where < high and np.isfinite(near).any():
            found[line] = np.nanmax(near)
    named: list[Line] = []
    for line in sorted(found, key=found.get, reverse=True):
        apart = [abs(line.wavelength - other.wavelength) * (1 + z) for other in named]
        if found[line] > _PROMINENT and min(apart, default=np.inf) > 0.014 * (high - low):
            named.append(line)
    return named[:_MOST]


def _reason(axes: Axes, own: pd.DataFrame, features: pd.DataFrame) -> None:
    """What its pixels contribute to the score, and to which features they belong."""

    text = "not explained"
    if len(own):
        strip(axes, own)
        named = features[features["name"] != ELSEWHERE].head(_REASONS)
        shares = (f"{row['name']} {100 * row['share']:.0f}%" for _, row in named.iterrows())
        text = "contributions to the score: " + (", ".join(shares) or "from everywhere")
    axes.set_yticks([])
    axes.tick_params(labelbottom=False)
    axes.set_title(text, loc="left", fontsize=7, color=COLORS["model"], pad=2)


def _residual(axes: Axes, spectrum: pd.DataFrame, known: pd.Series) -> None:
    axes.axhspan(-3, 3, color=COLORS["line"], alpha=0.25, lw=0)
    axes.axhline(0, color=COLORS["model"], lw=0.6)
    axes.plot(spectrum["wavelength"], spectrum["residual"], color="#444444", lw=0.45,
              rasterized=True)  # fmt: skip
    _symmetric(axes, spectrum["residual"], "y")
    axes.tick_params(labelbottom=False)
    scale = known["residual_scale"]
    over = f"summed over {scale} pixels" if scale > 1 else "by pixel"
    axes.set_ylabel(f"residual\n{over} [σ]", fontsize=7)


def _symmetric(axes: Axes, values: pd.Series | np.ndarray, side: str) -> None:
    """An axis around zero that is logarithmic far from it."""

    values = np.abs(np.asarray(values, float))
    largest = np.nanmax(values, initial=_LINEAR)
    limit = 1.15 * _LINEAR if largest <= _LINEAR else 1.5 * largest
    (axes.set_xscale if side == "x" else axes.set_yscale)("symlog", linthresh=_LINEAR, linscale=1.5)
    (axes.set_xlim if side == "x" else axes.set_ylim)(-limit, limit)
    far = [tick for tick in (10, 100, 1000, 10_000) if tick < 0.99 * limit]
    ticks = [*(-tick for tick in reversed(far)), -3, 0, 3, *far]
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _neighbours(axes: Axes, spectrum: pd.DataFrame, known: pd.Series) -> None:
    """The object and, below, the reconstructions of its neighbours at its redshift."""

    flux = _observed(spectrum).rolling(_LINE, center=True, min_periods=1).mean()
    covered = spectrum["wavelength"].between(*_covered(spectrum))
    low, high = np.nanquantile(
        spectrum["model"] if spectrum["model"].notna().any() else flux.fillna(0), [0.02, 0.985]
    )
    step = (high - low) or 1.0
    axes.plot(spectrum["wavelength"], flux, color=COLORS["data"], lw=0.5, rasterized=True)
    axes.plot(spectrum["wavelength"], spectrum["model"].where(covered), color=COLORS["model"],
              lw=0.7)  # fmt: skip
    names = [name for name in spectrum if name.startswith("neighbour_")]
    right = axes.get_xlim()[1] - 0.01 * np.ptp(axes.get_xlim())
    bottom, drawn = low, 0
    for name in names:
        if spectrum[name].isna().all():
            continue
        drawn += 1
        curve = spectrum[name].where(covered) - drawn * step
        axes.plot(spectrum["wavelength"], curve, color=COLORS["reference"], lw=0.7)
        near = curve[spectrum["wavelength"] > right - 0.28 * np.ptp(axes.get_xlim())]
        label = f"{known[name]}, distance {known[f'{name}_distance']:.2f}"
        height = np.nanquantile(near, 0.9) + 0.08 * step
        axes.text(right, height, label, fontsize=6, ha="right", va="bottom",
                  bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5})  # fmt: skip
        bottom = np.nanquantile(curve, 0.02)
    axes.set_ylim(bottom - 0.4 * step, high + 0.75 * step)
    axes.set_yticks([])
    axes.set_ylabel(r"$f_\lambda$ + offset")
    axes.set_xlabel("observed vacuum wavelength [Å]")
    title = "below, the nearest training objects in the latent space, as reconstructed"
    axes.set_title(title if drawn else "there are no neighbours", fontsize=7, loc="left",
                   color=COLORS["reference"])  # fmt: skip


def _zoom(axes: Axes, spectrum: pd.DataFrame, known: pd.Series) -> None:
    """The spectrum around the largest residual."""

    low, high = _around(spectrum, max(60, 2 * int(known["residual_scale"])))
    near = spectrum[spectrum["wavelength"].between(low, high)]
    _curves(axes, near, width=0.7)
    shown = near[["flux", "model"]].where(near["sigma"].notna(), np.nan).to_numpy()
    if np.isfinite(shown).any():
        least, most = np.nanmin(shown), np.nanmax(shown)
        margin = 0.08 * (most - least) or 1.0
        axes.set_ylim(least - margin, most + 2 * margin)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title("where the residual is largest", fontsize=7, loc="left")
    axes.set_xlabel("observed wavelength [Å]")


def _around(spectrum: pd.DataFrame, pixels: int) -> tuple[float, float]:
    """Wavelengths so many pixels to either side of the largest residual."""

    residual = spectrum["residual"].abs().fillna(0).to_numpy()
    centre = int(residual.argmax()) if residual.any() else len(residual) // 2
    wavelength = spectrum["wavelength"].to_numpy()
    last = len(wavelength) - 1
    low, high = wavelength[max(centre - pixels, 0)], wavelength[min(centre + pixels, last)]
    first, end = _covered(spectrum)
    return max(low, first), min(high, end)


def _place(plane: Axes, others: Axes, latents: pd.DataFrame, known: pd.Series) -> None:
    """Where an object is among others: in the plane of largest variance, and along all axes."""

    names = _axis_names(latents)
    training, sample = (_crowd(latents, role)[names].to_numpy() for role in ("training", "sample"))
    of_survey = ~latents["role"].isin(["training", "neighbour"])
    own = latents[of_survey & (latents["object_id"] == known["object_id"])][names].to_numpy()
    ids = [known[name] for name in known.index if name.startswith("neighbour_")]
    near = latents[(latents["role"] == "neighbour") & latents["object_id"].isin(ids)]
    near = near[names].to_numpy()

    x, y = 0, min(1, len(names) - 1)
    _dots(plane, training[:, [x, y]], sample[:, [x, y]])
    plane.plot(near[:, x], near[:, y], "s", ms=4, mew=0, color=COLORS["reference"])
    plane.plot(own[:, x], own[:, y], "*", ms=10, mec="white", mew=0.6, color=_OWN)
    shown = np.concatenate([own, near, [[_LINEAR] * len(names)]])
    _symmetric(plane, shown[:, x], "x")
    _symmetric(plane, shown[:, y], "y")
    plane.set(xlabel=f"latent axis {x + 1}", ylabel=f"latent axis {y + 1}")

    place = np.arange(1, len(names) + 1)
    for share, alpha in ((0.997, 0.35), (0.95, 0.5), (0.68, 0.8)):
        ends = [(1 - share) / 2, (1 + share) / 2]
        low, high = np.quantile(training, ends, axis=0) if len(training) else (0 * place, 0 * place)
        others.bar(place, high - low, 0.7, low, color=COLORS["data"], alpha=alpha, lw=0)
    for each in near:
        others.plot(place, each, "s", ms=2.5, mew=0, color=COLORS["reference"])
    others.plot(place, own.T, "*", ms=7, mec="white", mew=0.5, color=_OWN)
    _symmetric(others, shown, "y")
    others.set_xticks(place)
    others.set_xlim(0.4, len(names) + 0.6)
    others.set(xlabel="latent axis", ylabel="coordinate [spread]")
    own_text = "★ object" if np.isfinite(own).all() else "the object has no latents"
    others.set_title(own_text, fontsize=7, loc="left")
    if len(near):
        others.set_title("■ neighbours", fontsize=7, loc="right", color=COLORS["reference"])


def _dots(axes: Axes, training: np.ndarray, sample: np.ndarray) -> None:
    """Training objects, and a sample of the survey, (N, 2) each."""

    for values, color in ((training, "data"), (sample, "line")):
        axes.plot(*values.T, ".", ms=1.6, mew=0, color=COLORS[color], alpha=0.6, rasterized=True)
    axes.set_title("• training", fontsize=7, loc="left", color="#777777")
    axes.set_title("• survey", fontsize=7, loc="right", color=COLORS["line"])


def _axis_names(latents: pd.DataFrame) -> list[str]:
    return [name for name in latents if name.startswith("axis_")]


def _crowd(latents: pd.DataFrame, role: str) -> pd.DataFrame:
    """Objects of a role that are no contaminants."""

    return latents[(latents["role"] == role) & (latents["group"] == "")]


def gallery(spectra: pd.DataFrame, objects: pd.DataFrame) -> Figure:
    """The first outliers of every kind, or simply the first where kinds are not known.

    Args:
        spectra: The columns `uraniborg.spectra.outliers.pages.SPECTRA_COLUMNS`.
        objects: `OBJECT_COLUMNS`.
    """

    shown = objects[objects["gallery"]]
    # Kinds in the order in which they are first found.
    best = shown.groupby("anomaly")["outlier_rank"].transform("min")
    shown = shown.assign(best=best).sort_values(["best", "outlier_rank"])
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(TWO_COLUMNS, min(1.4 * rows, 10.0) + 0.5))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (_, known) in zip(panels, shown.iterrows(), strict=False):
        _small(axes, spectra[spectra["outlier_rank"] == known["outlier_rank"]], known)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    legends = [axes.get_legend_handles_labels() for axes in panels[: len(shown)]]
    figure.legend(*max(legends, key=lambda each: len(each[1])), loc="outside upper center", ncols=3)
    figure.supxlabel("observed vacuum wavelength [Å]", fontsize=8)
    figure.supylabel(FLUX_LABEL, fontsize=8)
    return figure


def _small(axes: Axes, spectrum: pd.DataFrame, known: pd.Series) -> None:
    """A spectrum with its model: all of it, or where most of what the model misses is."""

    whole = _covered(spectrum)
    low, high = _around(spectrum, _NEAR)
    near = spectrum["wavelength"].between(low, high)
    missed = spectrum["residual"].fillna(0) ** 2
    if missed[near].sum() > _LOCAL * missed.sum():
        spectrum, whole = spectrum[near], (low, high)
        least, most = _curves(axes, spectrum, width=0.6)
        least, most = _observed(spectrum).min(), _observed(spectrum).max()
    else:
        least, most = _curves(axes, spectrum)
    axes.set(xlim=whole, ylim=(least, most + 0.1 * (most - least)))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=6)
    name = kind_name(known["anomaly"] or known["spectype"].lower())
    axes.set_title(f"{known['outlier_rank']}  {name}", loc="left", pad=2, weight="bold", fontsize=7)
    score = known["outlier_score"]
    text = f"score {score:.1f}" if np.isfinite(score) else "not scored"
    axes.set_title(text, loc="right", pad=2, fontsize=6.5)


def latents(table: pd.DataFrame) -> Figure:
    """Contaminants among the sample in the latent space, and how surprising their latents are.

    Args:
        table: The columns `uraniborg.spectra.outliers.pages.latent_columns`.
    """

    names = _axis_names(table)[:3]
    coordinates = table[names].to_numpy()
    kinds = table[table["group"] != ""].groupby("group")["latent_surprise"]
    order = list(kinds.median().sort_values(ascending=False).index)
    # The same look of a kind in every figure that has the same kinds.
    looks = {
        kind: {"color": _HUES[i % len(_HUES)], "marker": _MARKS[i % len(_MARKS)]}
        for i, kind in enumerate(sorted(order))
    }
    looks = {kind: {"ls": "", "ms": 2.6, "mew": 0.5, **looks[kind]} for kind in order}
    first = table[(table["role"] == "chosen") & (table["group"] == "")]
    height = 0.17 * len(looks) + 0.9
    figure = Figure(figsize=(TWO_COLUMNS, 2.5 + height))
    grid = figure.add_gridspec(2, 1, height_ratios=[2.5, height])
    pairs = [(0, 1), (0, 2), (1, 2)] if len(names) > 2 else [(0, len(names) - 1)]
    upper = grid[0].subgridspec(1, len(pairs))
    for i, pair in enumerate(pairs):
        axes = figure.add_subplot(upper[i])
        _dots(axes, *(_crowd(table, role)[names].to_numpy()[:, pair]
                      for role in ("training", "sample")))  # fmt: skip
        for kind, look in looks.items():
            axes.plot(*coordinates[(table["group"] == kind).to_numpy()][:, pair].T, **look)
        axes.plot(*first[names].to_numpy()[:, pair].T, "*", ms=5, mew=0, color=_OWN)
        for side, which in zip("xy", pair, strict=True):
            _symmetric(axes, coordinates[:, which], side)
        axes.set(xlabel=f"latent axis {pair[0] + 1}", ylabel=f"latent axis {pair[1] + 1}")
    _surprises(figure.add_subplot(grid[1]), table, looks)
    return figure


def _surprises(axes: Axes, table: pd.DataFrame, looks: dict) -> None:
    """Surprise of the latents of every kind, from the most to the least surprising."""

    for share, label in ((2, "1 in 2"), (20, "1 in 20"), (100, "1 in 100")):
        axes.axvline(np.log(share), color=COLORS["data"], lw=0.7, ls=":")
        axes.annotate(label, (np.log(share), 1), xycoords=("data", "axes fraction"), fontsize=6,
                      ha="center", va="bottom", color="#666666")  # fmt: skip
    dots = {"ls": "", "marker": ".", "ms": 2, "mew": 0, "color": COLORS["line"], "rasterized": True}
    others = "others, " if looks else ""
    rows = {
        **{kind_name(kind): (table[table["group"] == kind], look) for kind, look in looks.items()},
        f"{others}a sample": (_crowd(table, "sample"), dots),
        f"{others}first by rank": (_crowd(table, "chosen"), {**dots, "marker": "*", "ms": 6,
                                                       "color": _OWN}),
    }  # fmt: skip
    for row, (here, look) in enumerate(rows.values()):
        values = here["latent_surprise"].dropna().sort_values().to_numpy()
        # Spread over the row's height in an order that does not follow the values.
        height = 0.6 * ((np.arange(len(values)) * 0.618034 + 0.5) % 1 - 0.5) - row
        axes.plot(values, height, **look)
        if len(values):
            axes.plot([np.median(values)] * 2, [-row - 0.4, -row + 0.4], color="black", lw=1.2)
    axes.set_yticks(-np.arange(len(rows)), rows)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_xscale("symlog", linthresh=_LINEAR, linscale=1.5)
    limit = 1.3 * max(_LINEAR, table["latent_surprise"].max())
    axes.set_xticks([tick for tick in (*range(6), 10, 20, 50, 100, 200, 500, 1000) if tick < limit])
    axes.set_xlim(-0.1, limit)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("surprise of the latents, −ln P among held-out objects")

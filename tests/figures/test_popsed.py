"""Figures of populations from photometry, of simulated surveys and of real ones, where no truth
is known but spectroscopic redshifts."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.popsed import ablation, convergence
from uraniborg.figures.popsed_distributions import (
    main_sequence,
    mass_function,
    redshift_distribution,
)
from uraniborg.figures.popsed_populations import corner, photometry
from uraniborg.figures.style import save, style
from uraniborg.population.popsed.tables import (
    ABLATION_COLUMNS,
    BAND_COLUMNS,
    CONVERGENCE_COLUMNS,
    LCURVE_COLUMNS,
    MASS_FUNCTION,
    PHOTOMETRY_COLUMNS,
    POPULATION_COLUMNS,
    SEQUENCE_COLUMNS,
)
from uraniborg.tables import read_table, write_table

PARAMETERS = ("z", "stellar_mass", "log_ssfr", "log_metallicity", "A_V", "age")
OTHERS = ("truth", "null", "prior", "neighbours")


def make_galaxies(random, number, width=1.0):
    z = random.gamma(3, 0.05, number)
    mass = 10.2 + 2.2 * np.log10((z + 0.02) / 0.15) + width * random.normal(0, 0.35, number)
    quiescent = random.random(number) < 1 / (1 + np.exp(-4 * (mass - 10.5)))
    ssfr = np.where(quiescent, -11.7, -9.9) - 0.2 * (mass - 10) + random.normal(0, 0.3, number)
    metallicity = 0.4 * (mass - 10.7) + width * random.normal(0, 0.25, number)
    dust = np.where(quiescent, 0.1, 0.5) * random.gamma(2, 0.5, number)
    columns = (z, mass, ssfr, metallicity, dust, random.normal(6, 2, number))
    return pd.DataFrame(dict(zip(PARAMETERS, columns, strict=True)))


def make_population(simulated, number=2000):
    random = np.random.default_rng(0)
    parts = [make_galaxies(random, number, 1.1).assign(source="recovered", member=i % 4)
             for i in range(4)]  # fmt: skip
    truth = make_galaxies(random, number)
    if not simulated:
        truth[list(PARAMETERS[1:])] = np.nan
    truth.loc[0, "log_ssfr"] = -np.inf
    parts.append(truth.assign(source="truth", member=-1))
    parts.append(make_galaxies(random, number, 2.5).assign(source="prior", member=-1))
    if not simulated:
        published = make_galaxies(random, number, 0.9).assign(source="published", member=-1)
        parts.append(published.assign(log_metallicity=np.nan))
    return pd.concat(parts, ignore_index=True)


def make_photometry(number=1500):
    random = np.random.default_rng(1)
    parts = []
    for source in ("observed", "recovered"):
        common = random.normal(0, 1, number)
        features = {"r": 18.2 - random.exponential(0.9, number)}
        for name, mean in (("u - g", 1.4), ("g - r", 0.7), ("r - i", 0.35), ("i - z", 0.2)):
            features[name] = mean * (1 + 0.3 * common) + random.normal(0, 0.08, number)
        wide = pd.DataFrame(features).assign(source=source, galaxy=np.arange(number))
        parts.append(wide.melt(["source", "galaxy"], var_name="feature"))
    return pd.concat(parts, ignore_index=True)


def make_bands(simulated):
    random = np.random.default_rng(2)
    parts = []
    for quantity, low, high in (("z", 0.0, 0.5), ("stellar_mass", 7.5, 12), (MASS_FUNCTION, 8, 12)):
        edges = np.linspace(low, high, 25)
        x = (edges[:-1] + edges[1:]) / 2
        size = high - low
        density = np.exp(-0.5 * ((x - low - 0.45 * size) / (0.17 * size)) ** 2) / (0.43 * size)
        error = 0.04 * density.max() + 0 * x
        if quantity == MASS_FUNCTION:
            mass = 10 ** (x - 10.7)
            density, error = (
                np.log10(0.004 * mass**-0.2 * np.exp(-mass)),
                0.05 + 0.05 * (11 - x) ** 2,
            )
        median = density + random.normal(0, 0.7, len(x)) * error
        table = {"quantity": quantity, "low": edges[:-1], "high": edges[1:], "median": median}
        for level, width in ((68, 1), (95, 2)):
            table |= {f"low_{level}": median - width * error,
                      f"high_{level}": median + width * error}  # fmt: skip
        known = simulated or quantity == "z"
        table |= {"truth": density if known else np.nan, "null": np.roll(density, 2)}
        table |= {"prior": np.roll(density, 5) if quantity != MASS_FUNCTION else np.nan}
        table |= {"neighbours": np.roll(density, 1) if quantity == "z" else np.nan}
        parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)


def make_sequence(simulated):
    mass = np.arange(8.25, 11.3, 0.25)
    parts = []
    for source, slope in (("recovered", 0.83), ("truth", 0.79), ("prior", 0.4)):
        median = slope * (mass - 9.5) - 0.4
        rows = {"source": source, "stellar_mass": mass, "log_sfr": median, "low": median - 0.3,
                "high": median + 0.31, "slope": slope, "scatter": 0.3, "n": 50}  # fmt: skip
        error = 0.04 if source == "recovered" else np.nan
        parts.append(pd.DataFrame(rows).assign(slope_error=error, scatter_error=error / 2))
        if source == "truth" and not simulated:
            parts.pop()
    return pd.concat(parts, ignore_index=True)


def make_convergence():
    step = np.arange(1, 60)
    parts = [
        pd.DataFrame(
            {
                "label": label,
                "step": 20 * step,
                "drawn": speed * step,
                "distance": 0.004 + 0.3 * np.exp(-step / 8) + end,
                "floor": 0.0041,
                "floor_spread": 0.0004,
                "divergence": 0.3 if label == "default" else np.nan,
            }
        )
        for label, speed, end in (
            ("default", 2, 0.0008),
            ("published", 30, 0.003),
            ("energy distance", 4, 0.001),
        )
    ]
    return pd.concat(parts, ignore_index=True)


def make_lcurve():
    weight = np.array([0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2])
    return pd.DataFrame(
        {
            "weight": weight,
            "distance": 0.0044 + 0.4 * weight,
            "floor": 0.0041,
            "floor_spread": 0.0004,
            "divergence": 1.9 / (1 + 300 * weight),
            "chosen": weight == 1e-3,
        }
    )


def make_ablation(simulated):
    names = [("recipe", "default"), ("recipe", "published"), ("recipe", "no selection")]
    names += [("distance", name) for name in ("sliced", "energy", "Sinkhorn")]
    names += [("size", f"{10**power:,} galaxies") for power in (3, 4, 5, 6)]
    names += [("prior", name) for name in ("flat", "median z 0.07", "median z 0.3")]
    names += [("control", name) for name in ("no photometry", "bands shuffled", "neighbours")]
    random = np.random.default_rng(3)
    table = pd.DataFrame(names, columns=["kind", "label"])
    size = len(table)
    table = table.assign(n=10_000, drawn=random.uniform(50, 900, size), floor=0.004, seeds=3)
    table["distance"] = 0.004 * random.uniform(1.05, 1.6, size)
    table["w1_z"] = random.lognormal(-5, 0.7, size)
    table["w1_mass"] = 10 * table["w1_z"] if simulated else np.nan
    for name in ("w1_z", "w1_mass"):
        table[f"{name}_error"] = 0.2 * table[name]
    table.loc[table["label"] == "no photometry", ["distance", "drawn", "w1_z_error"]] = np.nan
    return table


TABLES = {
    "corner": (corner, {POPULATION_COLUMNS: make_population}),
    "photometry": (photometry, {PHOTOMETRY_COLUMNS: lambda _: make_photometry()}),
    "redshift_distribution": (redshift_distribution, {BAND_COLUMNS: make_bands}),
    "mass_function": (mass_function, {BAND_COLUMNS: make_bands}),
    "main_sequence": (main_sequence, {SEQUENCE_COLUMNS: make_sequence}),
    "convergence": (
        convergence,
        {
            CONVERGENCE_COLUMNS: lambda _: make_convergence(),
            LCURVE_COLUMNS: lambda _: make_lcurve(),
        },
    ),
    "ablation": (ablation, {ABLATION_COLUMNS: make_ablation}),
}


def words(figure):
    """All text of a figure's legends."""

    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


@pytest.mark.parametrize("simulated", [True, False])
@pytest.mark.parametrize("name", TABLES)
def test_figures_are_drawn_from_files_to_the_same_bytes(name, simulated, tmp_path):
    draw, tables = TABLES[name]
    read = []
    for i, (columns, make) in enumerate(tables.items()):
        write_table(tmp_path / f"{i}.parquet", make(simulated), columns)
        read.append(read_table(tmp_path / f"{i}.parquet"))
    files = []
    for i in range(2 if simulated else 1):
        with style():
            figure = draw(*read, survey="toy")
            save(figure, tmp_path / f"{i}.pdf")
        files.append((tmp_path / f"{i}.pdf").read_bytes())
    assert files[0][:5] == b"%PDF-"
    assert files[0] == files[-1]
    assert any(axes.get_xlabel() for axes in figure.axes)
    labels = [axes.get_yaxis() for axes in figure.axes]
    assert any(axis.get_label_text() or axis.get_ticklabels() for axis in labels)


@pytest.mark.parametrize("name", TABLES)
def test_tables_without_rows_are_drawn(name, tmp_path):
    draw, tables = TABLES[name]
    with style():
        figure = draw(*(make(True).iloc[:0] for make in tables.values()))
        save(figure, tmp_path / "figure.pdf")


def test_what_is_not_known_of_real_galaxies_is_not_drawn():
    with style():
        simulated, real = (corner(make_population(known)) for known in (True, False))
        assert "truth" in words(simulated)
        assert {"spectroscopic redshifts", "published recipe"} <= set(words(real))
        bands = [redshift_distribution(make_bands(known)) for known in (True, False)]
    assert "truth" in words(bands[0])
    assert "spectroscopic redshifts" in words(bands[1])
    # The panels below: redshifts have a truth, real masses have none.
    labels = [axes.get_ylabel() for axes in bands[1].axes[2:]]
    assert labels == ["difference\nfrom truth", "difference\nfrom median"]


def test_residuals_vanish_where_the_truth_is_met():
    bands = make_bands(True)
    for name in ("median", "low_68", "high_68", "low_95", "high_95"):
        bands[name] = bands["truth"]
    with style():
        below = mass_function(bands.assign(null=np.nan)).axes[1]
    heights = [patch.get_data()[0] for patch in below.patches]
    assert len(heights) == 3
    assert np.allclose(heights, 0)


def test_contours_hold_the_galaxies_they_say():
    population = make_population(True, number=4000)
    with style():
        figure = corner(population)
        axes = figure.axes[5]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("", r"log $M_\star$ [M$_\odot$]")
    # Contours of the truth are drawn last, the outer one first.
    truth = population[population["source"] == "truth"]
    points = truth[["z", "stellar_mass"]].to_numpy()
    for path, level in zip(axes.collections[-1].get_paths(), (0.95, 0.68), strict=True):
        assert path.contains_points(points).mean() == pytest.approx(level, abs=0.03)


def test_the_recovered_photometry_is_counted():
    table = make_photometry()
    with style():
        figure = photometry(table)
    assert words(figure) == ["observed (1,500)", "recovered (1,500)"]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels[:2] == ["$r$ [mag]", "$u$ − $g$ [mag]"]
    assert (labels[5], figure.axes[5].get_ylabel()) == ("$u$ − $g$ [mag]", "$g$ − $r$ [mag]")


def test_a_sequence_is_described_with_its_errors():
    with style():
        described = words(main_sequence(make_sequence(True)))
    assert "recovered: 0.83 ± 0.04, 0.30 ± 0.02" in described
    assert "truth: 0.79, 0.30" in described


def test_the_chosen_weight_is_marked():
    with style():
        right = convergence(make_convergence(), make_lcurve()).axes[1]
    (marked,) = (line for line in right.lines if line.get_label() == "chosen weight")
    chosen = make_lcurve().query("chosen")
    assert marked.get_ydata() == pytest.approx(chosen["distance"])


@pytest.mark.parametrize(("simulated", "panels"), [(True, 3), (False, 2)])
def test_an_ablation_has_a_row_per_variant_and_a_heading_per_kind(simulated, panels):
    table = make_ablation(simulated)
    with style():
        figure = ablation(table, target_z=0.007, target_mass=0.08)
    assert len(figure.axes) == panels
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(ticks) == len(table) + table["kind"].nunique()
    assert ticks[:3] == ["recipe", "default", "published recipe"]
    assert any("target" in text.get_text() for text in figure.axes[0].texts)

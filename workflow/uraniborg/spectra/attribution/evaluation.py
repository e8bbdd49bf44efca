"""How well attributions point at what is known to be anomalous, with errors by bootstrap.

Two kinds of measures. Of simulated outliers, the true window is known: how much of the positive
attribution lies inside, and does its largest value. Of any outlier, pixels can be exchanged with
those of an ordinary spectrum in the order of their attribution (Samek et al. 2017,
arXiv:1509.06321; Petsiuk et al. 2018, arXiv:1806.07421): if the order is right, the score falls
soon in deletion, from the outlier to the ordinary spectrum, and rises soon in insertion, the other
way.

What a score does not see cannot be explained by attributing it: every table is given for all
objects, and for those whose attributed score is above that of most ordinary ones.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from scipy.ndimage import binary_dilation
from torch import Tensor

from uraniborg.spectra.attribution.names import GROUPS, TRUE_WINDOW
from uraniborg.spectra.attribution.scores import Score
from uraniborg.spectra.attribution.truth import Anomalies
from uraniborg.spectra.dataset import Batch
from uraniborg.tables import Column
from uraniborg.universe.contaminants import KINDS, NONE

__all__ = [
    "CURVE_COLUMNS",
    "DETECTED",
    "FRACTIONS",
    "LOCALISATION_COLUMNS",
    "MEASURED_COLUMNS",
    "OBJECT_CURVE_COLUMNS",
    "SNR_EDGES",
    "TOLERANCE",
    "Curves",
    "Evaluation",
    "curve_table",
    "evaluated",
    "localisation_numbers",
    "localisation_table",
    "mass_inside",
    "outlier_percentile",
    "perturbation_curves",
    "points_inside",
]

DETECTED = 0.95
"""Share of ordinary objects above which an object counts as detected."""

TOLERANCE = 3
"""Pixels by which the largest attribution may miss the true window."""

FRACTIONS = np.linspace(0, 1, 32) ** 3
"""Fractions of the good pixels that are exchanged: finest where anomalies are small."""

SNR_EDGES = (-np.inf, 10.0, 20.0, np.inf)
"""Edges of bins of the signal-to-noise ratio."""

MEASURED_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("method", pa.string(), "", "What attributed the score; true_window knows the truth"),
    Column("anomaly", pa.string(), "", "Kind of contaminant, none if it is none"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("outlier_percentile", pa.float64(), "", "Share of ordinary objects of lower score"),
    Column("contrast", pa.float64(), "", "Score minus the mean of those of the baselines"),
    Column("mass", pa.float64(), "", "Share of the positive attribution in the true window"),
    Column("mass_uniform", pa.float64(), "", "The same of a uniform attribution"),
    Column("pointing", pa.float64(), "", "1 if the largest attribution is in or next to it"),
    Column("pointing_uniform", pa.float64(), "", "The same expected of a random pixel"),
    Column("deletion", pa.float64(), "", "Area under the deletion curve, less is better"),
    Column("insertion", pa.float64(), "", "Area under the insertion curve, more is better"),
)
"""One row per object and method; NaN where there is no true window, or no contrast."""

OBJECT_CURVE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("method", pa.string(), "", "What attributed the score"),
    Column("curve", pa.string(), "", "deletion or insertion"),
    Column("fraction", pa.float64(), "", "Fraction of the good pixels that are exchanged"),
    Column("score", pa.float64(), "", "Score: 0 that of the baseline, 1 the outlier's; clipped"),
)
"""One row per object, method, curve and step."""

_MEASURES = ("mass", "pointing", "deletion", "insertion")

_GROUP_COLUMNS = (
    Column("method", pa.string(), "", "What attributed the score"),
    Column("group", pa.string(), "", "all, local, extended, whole or a kind"),
    Column("detected", pa.bool_(), "", "Only of objects that the attributed score detects"),
)

LOCALISATION_COLUMNS = (
    *_GROUP_COLUMNS,
    Column("snr_low", pa.float64(), "", "Least signal-to-noise ratio of the objects"),
    Column("snr_high", pa.float64(), "", "Largest one; infinite limits for all objects"),
    Column("n", pa.int64(), "", "Objects"),
    Column("n_window", pa.int64(), "", "Those of which mass and pointing are known"),
    Column("n_curves", pa.int64(), "", "Those of which deletion and insertion are known"),
    Column("mass", pa.float64(), "", "Mean share of the positive attribution in the true window"),
    Column("mass_error", pa.float64(), "", "Its standard error"),
    Column("mass_uniform", pa.float64(), "", "The same of a uniform attribution"),
    Column("mass_gain", pa.float64(), "", "Mean mass of the reference method over that of this"),
    Column("mass_gain_error", pa.float64(), "", "Its standard error, same objects for both"),
    Column("pointing", pa.float64(), "", "Share of objects whose largest attribution is inside"),
    Column("pointing_error", pa.float64(), "", "Its standard error"),
    Column("pointing_uniform", pa.float64(), "", "The same expected of a random pixel"),
    Column("deletion", pa.float64(), "", "Mean area under the deletion curve"),
    Column("deletion_error", pa.float64(), "", "Its standard error"),
    Column("insertion", pa.float64(), "", "Mean area under the insertion curve"),
    Column("insertion_error", pa.float64(), "", "Its standard error"),
)
"""One row per method, group, whether detected, and bin of the signal-to-noise ratio."""

CURVE_COLUMNS = (
    *_GROUP_COLUMNS,
    Column("curve", pa.string(), "", "deletion or insertion"),
    Column("fraction", pa.float64(), "", "Fraction of the good pixels that are exchanged"),
    Column("n", pa.int64(), "", "Objects"),
    Column("score", pa.float64(), "", "Mean score: 0 that of the baseline, 1 the outlier's"),
    Column("score_error", pa.float64(), "", "Its standard error"),
)
"""One row per method, group, whether detected, curve and step."""

# Bootstrap samples, and spectra that are scored at a time.
_DRAWS, _BATCH = 200, 256


class Curves(NamedTuple):
    """Of M attributions of one object.

    Attributes:
        contrast: Score of the object minus the mean of those of the baselines.
        deletion: Share of the contrast that is left, shape (M, F), NaN without contrast.
        insertion: Share that is reached, shape (M, F).
    """

    contrast: float
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def areas(self) -> tuple[np.ndarray, np.ndarray]:
        """Areas under both by the trapezoidal rule, each of shape (M,)."""

        return tuple(np.trapezoid(curve, FRACTIONS, axis=1) for curve in self[1:])


class Evaluation(NamedTuple):
    """What is measured of the attributions of one object.

    Attributes:
        measured: `MEASURED_COLUMNS`.
        curves: `OBJECT_CURVE_COLUMNS`.
    """

    measured: pd.DataFrame
    curves: pd.DataFrame


def outlier_percentile(score: np.ndarray, ordinary: np.ndarray) -> np.ndarray:
    """Share of ordinary objects of lower score, shape (N,), NaN where there is no score.

    Args:
        score: Of N objects, larger for what is stranger.
        ordinary: Of ordinary ones, shape (R,); those that are not finite do not count.
    """

    ordinary = np.sort(ordinary[np.isfinite(ordinary)])
    share = np.searchsorted(ordinary, score) / max(len(ordinary), 1)
    return np.where(np.isnan(score), np.nan, share)


def mass_inside(attribution: np.ndarray, window: np.ndarray, good: np.ndarray) -> float:
    """Share of the positive attribution that is in the window; 0 if nothing is positive.

    A random attribution, whatever its distribution, has on average the window's share of the good
    pixels, which is also what a uniform one has.

    Args:
        attribution: Shape (L,).
        window: Which pixels are anomalous, shape (L,).
        good: Which pixels are not masked, shape (L,).

    Returns:
        NaN without a window, or where an attribution is not finite.
    """

    known = attribution[good].astype(np.float64)
    if not (window & good).any() or not np.isfinite(known).all():
        return np.nan
    positive = known.clip(0)
    return float(positive[window[good]].sum() / (positive.sum() or 1.0))


def points_inside(
    attribution: np.ndarray, window: np.ndarray, good: np.ndarray, tolerance: int = TOLERANCE
) -> float:
    """1 if the largest attribution is in the window, or so many pixels from it, and 0 if not: the
    pointing game (Zhang et al. 2018, arXiv:1608.00507).

    Where several pixels share the largest value, the share of those that are inside. Arguments and
    NaN as in `mass_inside`.
    """

    known = attribution[good]
    if not (window & good).any() or not np.isfinite(known).all():
        return np.nan
    return float(_near(window, tolerance)[good][known == known.max()].mean())


def _near(window: np.ndarray, tolerance: int) -> np.ndarray:
    return binary_dilation(window, iterations=tolerance) if tolerance else window


@torch.no_grad()
def perturbation_curves(
    score: Score,
    spectrum: Batch,
    baselines: Tensor,
    attributions: np.ndarray,
    least_contrast: float = 1.0,
) -> Curves:
    """Scores while pixels are exchanged in the order of M attributions, the largest first.

    Scores are 0 for the baseline and 1 for the outlier, clipped to that range, because what is
    pasted from two spectra is often stranger than either of them; then averaged over baselines.

    Args:
        score: What is attributed.
        spectrum: The outlier, alone in its batch.
        baselines: Ordinary spectra in its place, shape (K, L). Two say nearly as much as all.
        attributions: Shape (M, L).
        least_contrast: By how much the outlier must be above a baseline, in units of the score; a
            baseline to which there is less contrast is left out.

    Returns:
        The curves at `FRACTIONS`.
    """

    good = spectrum.ivar[0] > 0
    rank = torch.from_numpy(_ranks(attributions, good.numpy()))
    counts = torch.from_numpy(np.round(FRACTIONS * int(good.sum())).astype(np.int64))
    # (M, F, L): those that are exchanged at each step.
    exchanged = (rank[:, None] < counts[:, None]).flatten(0, 1)
    flux = spectrum.flux[0].where(good, 0)
    baselines = baselines.where(good, 0)
    own = float(_scores(score, spectrum, flux[None]))
    ordinary = _scores(score, spectrum, baselines).numpy()
    shape, curves = (len(attributions), len(FRACTIONS)), []
    for baseline, lowest in zip(baselines, ordinary, strict=True):
        if not own - lowest >= least_contrast:
            continue
        both = []
        for first, then in ((flux, baseline), (baseline, flux)):
            parts = [
                _scores(score, spectrum, then.where(part, first))
                for part in exchanged.split(_BATCH)
            ]
            both.append((torch.cat(parts).numpy().reshape(shape) - lowest) / (own - lowest))
        curves.append(both)
    if not curves:
        nothing = np.full(shape, np.nan)
        return Curves(own - float(ordinary.mean()), nothing, nothing)
    deletion, insertion = np.clip(curves, 0, 1).mean(axis=0)
    return Curves(own - float(ordinary.mean()), deletion, insertion)


def _ranks(attributions: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Place of each pixel by falling attribution, from 0, masked ones last, shape (M, L).

    Equal ones are in random order, not in that of wavelength.
    """

    tie = np.random.default_rng(0).permutation(len(good))
    values = np.where(good, np.nan_to_num(attributions), -np.inf)
    order = np.stack([np.lexsort((tie, -row)) for row in values])
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(good))[None], axis=1)
    return rank


def _scores(score: Score, spectrum: Batch, flux: Tensor) -> Tensor:
    """Of spectra with the noise and the redshift of one, shape (N,)."""

    number = len(flux)
    batch = Batch(flux, spectrum.ivar.expand(number, -1), spectrum.z.expand(number))
    return score(batch).double()


def evaluated(
    score: Score,
    spectrum: Batch,
    baselines: Tensor,
    attributions: Mapping[str, np.ndarray],
    anomalies: Anomalies,
    row: int,
    percentile: float,
) -> Evaluation:
    """Measures the attributions of one object, and that of the truth beside them.

    Args:
        score: What was attributed.
        spectrum: The object, alone in its batch.
        baselines: Ordinary spectra in its place, shape (K, L), for deletion and insertion. Others
            than those of the attributions are fairer.
        attributions: By method, each of shape (L,).
        anomalies: What is known of this object and others.
        row: Which of them it is.
        percentile: Its `outlier_percentile` by this score.
    """

    window, good = anomalies.window[row], anomalies.good[row]
    if window.any():
        attributions = {**attributions, TRUE_WINDOW: window.astype(np.float32)}
    methods = list(attributions)
    curves = perturbation_curves(score, spectrum, baselines, np.stack([*attributions.values()]))
    deletion, insertion = curves.areas
    near = _near(window, TOLERANCE)[good].mean() if window.any() else np.nan
    known = {
        "object_id": anomalies.object_id[row],
        "anomaly": anomalies.kind[row],
        "snr": anomalies.snr[row],
        "outlier_percentile": percentile,
        "contrast": curves.contrast,
        "mass_uniform": anomalies.fraction[row],
        "pointing_uniform": near,
    }
    measured = pd.DataFrame(
        {
            **known,
            "method": methods,
            "mass": [mass_inside(x, window, good) for x in attributions.values()],
            "pointing": [points_inside(x, window, good) for x in attributions.values()],
            "deletion": deletion,
            "insertion": insertion,
        }
    )
    steps = len(FRACTIONS)
    table = {
        "object_id": anomalies.object_id[row],
        "method": np.tile(np.repeat(methods, steps), 2),
        "curve": np.repeat(["deletion", "insertion"], len(methods) * steps),
        "fraction": np.tile(FRACTIONS, 2 * len(methods)),
        "score": np.concatenate([curves.deletion.ravel(), curves.insertion.ravel()]),
    }
    return Evaluation(
        measured[[column.name for column in MEASURED_COLUMNS]],
        pd.DataFrame(table)[[column.name for column in OBJECT_CURVE_COLUMNS]],
    )


def localisation_table(
    measured: pd.DataFrame,
    reference: str,
    snr_edges: Sequence[float] = SNR_EDGES,
    draws: int = _DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """How well each method points at anomalies, by kind and signal-to-noise ratio.

    Errors are by bootstrap over objects (Efron 1979), the same ones for all methods. That of the
    pointing game is not less than what one more object with a random largest pixel would change: of
    few objects that are found without exception, the bootstrap says that there is no other
    possibility.

    Args:
        measured: The columns `MEASURED_COLUMNS`.
        reference: The method that all others are compared with.
        snr_edges: Edges of bins of the signal-to-noise ratio.
        draws: Bootstrap samples.
        seed: Of these.

    Returns:
        The columns `LOCALISATION_COLUMNS`; contaminants only, groups without any left out.
    """

    objects, methods, values = _cube(measured, _MEASURES)
    random, rows = np.random.default_rng(seed), []
    everything = (-np.inf, np.inf)
    for group, detected, low, high, inside in (
        (*of, *bounds, chosen & _between(objects["snr"], *bounds))
        for bounds in (everything, *pairwise(snr_edges))
        for of, chosen in _groups(objects)
    ):
        if not inside.any():
            continue
        means = _means(values[inside], random, draws)
        mean, error = means[0], _spread(means[1:])
        uniform = objects.loc[inside, ["mass_uniform", "pointing_uniform"]].mean()
        mass = means[:, :, 0]
        own = methods.index(reference)
        gain = np.divide(mass[:, [own]], mass, out=np.full_like(mass, np.nan), where=mass > 0)
        gain_error = _spread(gain[1:])
        known = np.isfinite(values[inside]).sum(axis=0)
        for i, method in enumerate(methods):
            row: dict[str, Any] = {"method": method, "group": group, "detected": detected}
            row |= {"snr_low": low, "snr_high": high, "n": int(inside.sum())}
            row |= {"n_window": known[i, 0], "n_curves": known[i, 2], **uniform}
            row |= {"mass_gain": gain[0, i], "mass_gain_error": gain_error[i]}
            for j, measure in enumerate(_MEASURES):
                row[measure], row[f"{measure}_error"] = mean[i, j], error[i, j]
            least = abs(row["pointing"] - row["pointing_uniform"]) / (row["n_window"] + 1)
            row["pointing_error"] = np.fmax(row["pointing_error"], least)
            rows.append(row)
    return pd.DataFrame(rows, columns=[column.name for column in LOCALISATION_COLUMNS])


def curve_table(
    curves: pd.DataFrame, measured: pd.DataFrame, draws: int = _DRAWS, seed: int = 0
) -> pd.DataFrame:
    """Mean deletion and insertion curves, errors by bootstrap over objects.

    Args:
        curves: The columns `OBJECT_CURVE_COLUMNS`.
        measured: The columns `MEASURED_COLUMNS` of the same objects.
        draws: Bootstrap samples.
        seed: Of these.

    Returns:
        The columns `CURVE_COLUMNS`; contaminants only.
    """

    # A mean of one value each, also of those that are NaN.
    wide = curves.pivot_table(
        index=["object_id", "method"],
        columns=["curve", "fraction"],
        values="score",
        dropna=False,
        observed=True,
    )
    steps = list(wide.columns)
    wide.columns = range(len(steps))
    measured = measured.merge(wide.reset_index(), on=["object_id", "method"], validate="1:1")
    objects, methods, values = _cube(measured, range(len(steps)))
    random, tables = np.random.default_rng(seed), []
    for (group, detected), inside in _groups(objects):
        means = _means(values[inside], random, draws)
        error, known = _spread(means[1:]), np.isfinite(values[inside]).sum(axis=0)
        for i, method in enumerate(methods):
            part = pd.DataFrame(steps, columns=["curve", "fraction"])
            part = part.assign(method=method, group=group, detected=detected)
            tables.append(part.assign(n=known[i], score=means[0, i], score_error=error[i]))
    names = [column.name for column in CURVE_COLUMNS]
    if not tables:
        return pd.DataFrame(columns=names)
    table = pd.concat(tables, ignore_index=True)[names]
    return table[table["n"] > 0].reset_index(drop=True)


def localisation_numbers(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mass and gain of every method among local anomalies, as claims take them: `mass_random`,
    and `mass_detected_random` among those detected; `mass_excess_random` is the mass over that of a
    uniform attribution; `n` is the number of objects.

    Args:
        table: The columns `LOCALISATION_COLUMNS`.
    """

    everything = np.isneginf(table["snr_low"]) & np.isposinf(table["snr_high"])
    numbers = {}
    for _, row in table[everything & (table["group"] == "local")].iterrows():
        for measure in (*_MEASURES, "mass_gain"):
            name = f"{measure}{'_detected' if row['detected'] else ''}_{row['method']}"
            numbers[name] = {
                "value": float(row[measure]),
                "uncertainty": float(row[f"{measure}_error"]),
                "n": int(row["n_curves" if measure in ("deletion", "insertion") else "n_window"]),
            }
        if not row["detected"]:
            numbers[f"mass_excess_{row['method']}"] = {
                "value": float(row["mass"] / row["mass_uniform"]),
                "uncertainty": float(row["mass_error"] / row["mass_uniform"]),
                "n": int(row["n_window"]),
            }
    return numbers


def _cube(
    measured: pd.DataFrame, names: Sequence[str | int]
) -> tuple[pd.DataFrame, list[str], np.ndarray]:
    """Contaminants by identifier, the methods, and numbers of shape (N, methods, names)."""

    measured = measured[measured["anomaly"] != NONE].sort_values("object_id", kind="stable")
    methods = list(dict.fromkeys(measured["method"]))
    objects = measured.drop_duplicates("object_id").reset_index(drop=True)
    values = np.full((len(objects), len(methods), len(names)), np.nan)
    for i, method in enumerate(methods):
        of = measured[measured["method"] == method].set_index("object_id")
        values[:, i] = of.reindex(objects["object_id"])[list(names)].to_numpy(np.float64)
    return objects, methods, values


def _groups(objects: pd.DataFrame) -> list[tuple[tuple[str, bool], np.ndarray]]:
    """Name of each group, whether its members are detected, and which they are, (N,); only those
    that have members."""

    kinds = {**GROUPS, **{kind.name: (kind.name,) for kind in KINDS}}
    found = objects["outlier_percentile"].to_numpy() >= DETECTED
    groups = [
        ((group, detected), objects["anomaly"].isin(names).to_numpy() & (found | (not detected)))
        for group, names in kinds.items()
        for detected in (False, True)
    ]
    return [(name, inside) for name, inside in groups if inside.any()]


def _between(values: pd.Series, low: float, high: float) -> np.ndarray:
    """Infinite limits hold for all, also for values that are missing."""

    if np.isinf(low) and np.isinf(high):
        return np.full(len(values), True)
    return ((values >= low) & (values < high)).to_numpy()


def _means(values: np.ndarray, random: np.random.Generator, draws: int) -> np.ndarray:
    """Means over the first axis of what is finite: of the sample itself, and of those drawn from
    it, shape (1 + draws, ...)."""

    number, flat = len(values), values.reshape(len(values), -1)
    finite = np.isfinite(flat)
    weights = random.multinomial(number, np.full(number, 1 / number), size=draws)
    weights = np.concatenate([np.ones((1, number)), weights])
    total, count = weights @ np.where(finite, flat, 0), weights @ finite
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means.reshape(-1, *values.shape[1:])


def _spread(samples: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis of what is finite; NaN of less than two."""

    finite = np.isfinite(samples)
    number = finite.sum(axis=0)
    mean = np.where(finite, samples, 0).sum(axis=0) / np.maximum(number, 1)
    square = (np.where(finite, samples - mean, 0) ** 2).sum(axis=0)
    spread = np.sqrt(square / np.maximum(number - 1, 1))
    return np.where(number > 1, spread, np.nan)

"""How well a catalogue's scores find contaminants that are known, with errors by bootstrap.

What scores are compared is in `SCORES`; how, in `uraniborg.spectra.outliers.ranking`.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.spectra.outliers.ranking import (
    Ranking,
    area_under_curve,
    bootstrap_weights,
    group_sums,
    ratio,
    spread_of,
)
from uraniborg.tables import Column
from uraniborg.universe.contaminants import KINDS, NONE

__all__ = [
    "CLASS_COLUMNS",
    "CURVE_COLUMNS",
    "IN_THE_INSTRUMENT",
    "OBJECT_COLUMNS",
    "OUTLIER_SCORE",
    "RECOVERY_COLUMNS",
    "SCORED_COLUMNS",
    "SCORES",
    "SNR_EDGES",
    "TOP",
    "class_numbers",
    "class_table",
    "recovery_curve",
    "recovery_numbers",
    "recovery_objects",
    "recovery_table",
    "scored_objects",
    "shuffled_control",
]

OUTLIER_SCORE = "outlier_score"
"""The score that the catalogue is ranked by."""

SCORES = {
    OUTLIER_SCORE: "Weighted sum of the surprises of latents and residuals",
    "residual_surprise": "-ln P of residuals as large",
    "negative_log_prob": "Minus ln of the probability density of the latents",
    "knn_distance": "Latent distance to the tenth training object",
    "reduced_chi2": "Chi-squared of the model per degree of freedom",
    "pca_reduced_chi2": "Chi-squared per degree of freedom of a PCA",
    "pca_mean_square": "Mean squared residual of it, not weighted",
    "isolation_forest": "Isolation forest's score of its coefficients",
    "random": "A number made of the identifier, which must fail",
}
"""Scores that are compared, with what they are."""

# What `auc_gain` is over the better one of.
_BASELINES = ("pca_reduced_chi2", "isolation_forest")

TOP = 0.01
"""Share of a catalogue that is looked at."""

SNR_EDGES = (-np.inf, 10.0, 15.0, 20.0, 30.0, np.inf)
"""Edges of bins of the signal-to-noise ratio."""

IN_THE_INSTRUMENT = ("sky_failure", "spike", "arm_jump", "scattered_light")
"""Kinds of contaminants that are made by the spectrograph; all others are on the sky."""

SCORED_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("spectype", pa.string(), "", "Spectral class"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    *(Column(name, pa.float64(), "", text) for name, text in SCORES.items()),
)
"""One row per object with all its scores."""

OBJECT_COLUMNS = (
    *SCORED_COLUMNS,
    Column("anomaly", pa.string(), "", "Kind of contaminant, none if it is none"),
    Column("anomaly_strength", pa.float64(), "", "Strength; meaning and unit depend on the kind"),
    Column("anomaly_significance", pa.float64(), "", "Root of the sum of ivar x anomaly_flux^2"),
)
"""The same with what is known of simulated objects."""

RECOVERY_COLUMNS = (
    Column("score", pa.string(), "", "Score by which objects are ranked"),
    Column("group", pa.string(), "", "all, on_the_sky, in_the_instrument or a kind"),
    Column("snr_low", pa.float64(), "", "Least signal-to-noise ratio of the objects"),
    Column("snr_high", pa.float64(), "", "Largest one; infinite limits for all objects"),
    Column("n", pa.int64(), "", "Contaminants of the group"),
    Column("n_ordinary", pa.int64(), "", "Objects of these ratios that are no contaminants"),
    Column("n_unscored", pa.int64(), "", "Contaminants of the group that have no such score"),
    Column("auc", pa.float64(), "", "Area under the ROC curve against ordinary objects"),
    Column("auc_error", pa.float64(), "", "Its standard error"),
    Column("recall", pa.float64(), "", "Share of the group among the catalogue's top 1%"),
    Column("recall_error", pa.float64(), "", "Its standard error"),
    Column("purity", pa.float64(), "", "Share of these ratios' part of the top 1% that it makes"),
    Column("purity_error", pa.float64(), "", "Its standard error"),
    Column("gain", pa.float64(), "", "AUC of outlier_score minus that of the score"),
    Column("gain_error", pa.float64(), "", "Its standard error, same objects drawn for both"),
)
"""One row per score, group and bin of the signal-to-noise ratio."""

CURVE_COLUMNS = (
    Column("score", pa.string(), "", "Score by which objects are ranked"),
    Column("group", pa.string(), "", "all, on_the_sky, in_the_instrument or a kind"),
    Column("rank", pa.int64(), "", "Number of objects looked at, from the most outlying"),
    Column("found", pa.float64(), "", "Contaminants of the group among them"),
    Column("by_chance", pa.float64(), "", "The same expected of a random order"),
    Column("n", pa.int64(), "", "Contaminants of the group"),
)
"""One row per score, group and rank."""

CLASS_COLUMNS = (
    Column("score", pa.string(), "", "Score by which objects are ranked"),
    Column("spectype", pa.string(), "", "Class that galaxies are compared with; all of the others"),
    Column("n", pa.int64(), "", "Objects of the class"),
    Column("n_galaxies", pa.int64(), "", "Galaxies"),
    Column("n_unscored", pa.int64(), "", "Objects of the class that have no such score"),
    Column("auc", pa.float64(), "", "Area under the ROC curve of the class against galaxies"),
    Column("auc_error", pa.float64(), "", "Its standard error"),
)
"""One row per score and class."""

# Bootstrap samples.
_DRAWS = 200


def scored_objects(catalogue: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """All scores of a survey, or of several that are held together.

    Args:
        catalogue: The outlier catalogue, see `uraniborg.spectra.outliers.catalogue`.
        baselines: The columns `BASELINE_COLUMNS` for the same objects.

    Returns:
        The columns `SCORED_COLUMNS` by identifier; of copies of an object, the first.

    Raises:
        UserError: Objects lack baselines.
    """

    table = catalogue.drop_duplicates("object_id").sort_values("object_id", ignore_index=True)
    table = table.merge(_of(table, baselines, "baselines"), on="object_id", validate="1:1")
    # As published; the catalogue's surprise rises with it, but is 0 for the most ordinary.
    table["negative_log_prob"] = -table["log_prob"]
    table["random"] = [_hashed(name) for name in table["object_id"]]
    return table[[column.name for column in SCORED_COLUMNS]]


def recovery_objects(scored: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Scores of simulated objects beside what these are.

    Args:
        scored: The columns `SCORED_COLUMNS`.
        truth: The scalar columns of the survey's truth, any order.

    Returns:
        The columns `OBJECT_COLUMNS` by identifier.

    Raises:
        UserError: Objects lack truth.
    """

    known = [column.name for column in OBJECT_COLUMNS[len(SCORED_COLUMNS) :]]
    truth = _of(scored, truth, "truth")[["object_id", *known]]
    table = scored.merge(truth, on="object_id", validate="1:1")
    return table.sort_values("object_id", ignore_index=True)


def recovery_table(
    objects: pd.DataFrame,
    snr_edges: Sequence[float] = SNR_EDGES,
    top: float = TOP,
    draws: int = _DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """How well each score finds each group of contaminants.

    Errors are by bootstrap over objects (Efron 1979), but not less than what one more contaminant
    of a random rank would change: of few objects that are found without exception, the bootstrap
    says that there is no other possibility.

    Args:
        objects: The columns `OBJECT_COLUMNS`.
        snr_edges: Edges of bins of the signal-to-noise ratio, within each of which groups are
            compared with ordinary objects; the list of the top 1% is that of all objects.
        top: Share of the catalogue that recall and purity are for.
        draws: Bootstrap samples.
        seed: Of these.

    Returns:
        The columns `RECOVERY_COLUMNS`: every combination that has contaminants and others.
    """

    snr, ordinary = objects["snr"].to_numpy(), (objects["anomaly"] == NONE).to_numpy()
    groups = _groups(objects["anomaly"].to_numpy())
    members = np.array(list(groups.values())).reshape(len(groups), len(objects))
    bins = [(-np.inf, np.inf), *pairwise(snr_edges)]
    inside = [np.full(len(snr), True), *((snr >= low) & (snr < high) for low, high in bins[1:])]
    number = _top_number(len(objects), top)
    values = {name: objects[name].to_numpy() for name in SCORES}
    rankings = {name: Ranking(score) for name, score in values.items()}

    chunks = []
    for weights in bootstrap_weights(len(objects), draws, seed):
        measured = np.full((len(weights), len(SCORES), len(bins), len(groups), 3), np.nan)
        for i, name in enumerate(SCORES):
            listed = rankings[name].listed(weights, number)
            for j, here in enumerate(inside):
                chosen = members & here
                area = area_under_curve(values[name], chosen, ordinary & here, weights)
                found, total = (group_sums(x, chosen) for x in (listed, weights))
                part = listed[:, here].sum(axis=1, keepdims=True)
                measured[:, i, j] = np.stack(
                    [area, ratio(found, total), ratio(found, part)], axis=-1
                )
        chunks.append(measured)
    measured = np.concatenate(chunks)
    gain = measured[:, :1, ..., :1] - measured[..., :1]
    value, *samples = np.concatenate([measured, gain], axis=-1)
    spread = spread_of(np.array(samples))

    # What one more contaminant of a random rank has on average: none at all changes the purity.
    by_chance = {"auc": 0.5, "recall": top, "purity": np.nan, "gain": 0.0}
    rows = []
    for i, j, k in np.ndindex(value.shape[:3]):
        name, group, chosen = list(SCORES)[i], list(groups)[k], members[k] & inside[j]
        row: dict[str, Any] = {"score": name, "group": group}
        row["snr_low"], row["snr_high"] = bins[j]
        row["n"] = int(chosen.sum())
        row["n_ordinary"] = int((ordinary & inside[j]).sum())
        row["n_unscored"] = int(np.isnan(values[name][chosen]).sum())
        for which, (measure, chance) in enumerate(by_chance.items()):
            row[measure], error = value[i, j, k, which], spread[i, j, k, which]
            row[f"{measure}_error"] = np.fmax(error, abs(row[measure] - chance) / (row["n"] + 1))
        rows.append(row)
    table = pd.DataFrame(rows, columns=[column.name for column in RECOVERY_COLUMNS])
    return table[(table["n"] > 0) & (table["n_ordinary"] > 0)].reset_index(drop=True)


def recovery_curve(objects: pd.DataFrame, top: float = TOP, points: int = 80) -> pd.DataFrame:
    """How many contaminants of each group are found by each score, down to which rank.

    Args:
        objects: The columns `OBJECT_COLUMNS`.
        top: Share of the catalogue whose end is among the ranks.
        points: Number of ranks, about, from 1 to all by equal factors.

    Returns:
        The columns `CURVE_COLUMNS`.
    """

    size = len(objects)
    ranks = np.geomspace(1, max(size, 1), points).round()
    ranks = np.unique([*ranks, _top_number(size, top)]).astype(int)
    groups = _groups(objects["anomaly"].to_numpy())
    once = np.ones((1, size))
    tables = []
    for name in SCORES:
        ranking = Ranking(objects[name].to_numpy())
        listed = [ranking.listed(once, rank)[0] for rank in ranks]
        for group, chosen in groups.items():
            number = int(chosen.sum())
            curve = {
                "rank": ranks,
                "found": [float(part[chosen].sum()) for part in listed],
                "by_chance": ranks / size * number,
                "n": number,
            }
            tables.append(pd.DataFrame({"score": name, "group": group, **curve}))
    return pd.concat(tables, ignore_index=True)


def class_table(scored: pd.DataFrame, draws: int = _DRAWS, seed: int = 0) -> pd.DataFrame:
    """How well each score tells other spectral classes from galaxies; errors as in
    `recovery_table`.

    Args:
        scored: The columns `SCORED_COLUMNS`, of a survey or of several together.
        draws: Bootstrap samples.
        seed: Of these.

    Returns:
        The columns `CLASS_COLUMNS`; no rows without galaxies.
    """

    scored = scored.sort_values("object_id", ignore_index=True)
    spectype = scored["spectype"].to_numpy()
    galaxy = spectype == "GALAXY"
    classes = {name: spectype == name for name in sorted({*spectype[~galaxy]})}
    if not classes or not galaxy.any():
        return pd.DataFrame(columns=[column.name for column in CLASS_COLUMNS])
    classes["all"] = ~galaxy
    members = np.array(list(classes.values()))
    rows = []
    for name in SCORES:
        score = scored[name].to_numpy()
        areas = [
            area_under_curve(score, members, galaxy, weights)
            for weights in bootstrap_weights(len(scored), draws, seed)
        ]
        value, *samples = np.concatenate(areas)
        spread = spread_of(np.array(samples))
        for i, (label, chosen) in enumerate(classes.items()):
            number = int(chosen.sum())
            rows.append(
                {
                    "score": name,
                    "spectype": label,
                    "n": number,
                    "n_galaxies": int(galaxy.sum()),
                    "n_unscored": int(np.isnan(score[chosen]).sum()),
                    "auc": value[i],
                    "auc_error": np.fmax(spread[i], abs(value[i] - 0.5) / (number + 1)),
                }
            )
    return pd.DataFrame(rows)


def recovery_numbers(objects: pd.DataFrame, table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The numbers of a recovery, as claims take them; `n` is the number of contaminants.

    `auc_gain` is over the better one of the baselines: the chi-squared of a PCA and the isolation
    forest on its coefficients. `recall_perfect` is the recall of a perfect score, which is less
    than one if there are more contaminants than the list of the top 1% is long.

    Args:
        objects: The columns `OBJECT_COLUMNS`.
        table: The columns `RECOVERY_COLUMNS`.
    """

    everything = table[np.isneginf(table["snr_low"]) & np.isposinf(table["snr_high"])]
    by_score = everything[everything["group"] == "all"].set_index("score")
    if by_score.empty:
        return {}
    best = by_score.loc[list(_BASELINES), "auc"].idxmax()
    wanted = {
        "auc": (OUTLIER_SCORE, "auc"),
        "recall_top_percent": (OUTLIER_SCORE, "recall"),
        "purity_top_percent": (OUTLIER_SCORE, "purity"),
        "auc_residuals": ("residual_surprise", "auc"),
        "auc_latents": ("negative_log_prob", "auc"),
        "auc_knn": ("knn_distance", "auc"),
        "auc_chi2": ("reduced_chi2", "auc"),
        "auc_pca_chi2": ("pca_reduced_chi2", "auc"),
        "auc_pca_error": ("pca_mean_square", "auc"),
        "auc_isolation_forest": ("isolation_forest", "auc"),
        "auc_gain": (best, "gain"),
        "random_control": ("random", "auc"),
    }
    numbers = {name: _claim(by_score.loc[score], of) for name, (score, of) in wanted.items()}
    ours = everything[everything["score"] == OUTLIER_SCORE].set_index("group")
    for group in ours.index.intersection(["on_the_sky", "in_the_instrument"]):
        numbers[f"auc_{group}"] = _claim(ours.loc[group], "auc")
    numbers["shuffled_control"] = shuffled_control(objects)
    contaminants = numbers["auc"]["n"]
    longest = min(1.0, _top_number(len(objects), TOP) / contaminants)
    return {**numbers, "recall_perfect": {"value": longest, "n": contaminants}}


def class_numbers(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """How well real galaxies are told from other classes, as claims take it.

    Args:
        table: The columns `CLASS_COLUMNS`.

    Returns:
        Of the outlier score, `real_auc` for all other classes and `real_auc_qso` and so on for
        each; of the latents alone, `real_auc_latents` and `real_auc_latents_qso` and so on.
    """

    prefixes = {OUTLIER_SCORE: "real_auc", "negative_log_prob": "real_auc_latents"}
    numbers = {}
    for score, prefix in prefixes.items():
        for _, row in table[table["score"] == score].iterrows():
            label = "" if row["spectype"] == "all" else f"_{row['spectype'].lower()}"
            numbers[prefix + label] = {**_claim(row, "auc"), "data": "real"}
    return numbers


def shuffled_control(objects: pd.DataFrame, draws: int = _DRAWS, seed: int = 0) -> dict[str, float]:
    """AUC of the outlier score where as many objects are called contaminants at random.

    Args:
        objects: The columns `OBJECT_COLUMNS`.
        draws: How often.
        seed: Of the random numbers.

    Returns:
        `value`, the mean; `uncertainty`, the standard deviation of a single one; and `n`.
    """

    random, outlier = np.random.default_rng(seed), (objects["anomaly"] != NONE).to_numpy()
    score = objects[OUTLIER_SCORE].to_numpy()
    shuffled = [random.permutation(outlier) for _ in range(draws)]
    areas = [area_under_curve(score, labels[None], ~labels)[0, 0] for labels in shuffled]
    return {
        "value": float(np.mean(areas)),
        "uncertainty": float(np.std(areas)),
        "n": int(outlier.sum()),
    }


def _of(table: pd.DataFrame, others: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of another table that are about the same objects."""

    others = others.drop_duplicates("object_id")
    missing = ~table["object_id"].isin(others["object_id"])
    if missing.any():
        raise UserError(
            f"{int(missing.sum())} objects of the catalogue such as "
            f"{table['object_id'][missing].iloc[0]} are not in the {name}; make both of the same "
            "survey."
        )
    return others


def _hashed(object_id: str) -> float:
    """A number from 0 to 1 that is the same in any table."""

    digest = hashlib.blake2b(object_id.encode(), digest_size=8, person=b"random").digest()
    return int.from_bytes(digest, "big") / 2**64


def _groups(anomaly: np.ndarray) -> dict[str, np.ndarray]:
    """Which of N objects are in each group of contaminants, each of shape (N,)."""

    known = {kind.name: anomaly == kind.name for kind in KINDS}
    contaminant, in_the_instrument = anomaly != NONE, np.isin(anomaly, IN_THE_INSTRUMENT)
    return {
        "all": contaminant,
        "on_the_sky": contaminant & ~in_the_instrument,
        "in_the_instrument": in_the_instrument,
        **{name: chosen for name, chosen in known.items() if chosen.any()},
    }


def _top_number(size: int, top: float) -> int:
    # A hundredth of 5,000 is 50, whatever its binary fraction.
    return int(np.ceil(np.round(top * size, 6)))


def _claim(row: pd.Series, name: str) -> dict[str, float]:
    return {
        "value": float(row[name]),
        "uncertainty": float(row[f"{name}_error"]),
        "n": int(row["n"]),
    }

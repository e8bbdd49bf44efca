"""What each choice of the method is worth, and how fits proceed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from uraniborg.population.popsed.neighbours import halves, neighbour_redshifts
from uraniborg.population.popsed.photometry import Catalogue
from uraniborg.population.popsed.results import null_redshifts

__all__ = ["ablation_table", "convergence_table"]

Fit = tuple[pd.DataFrame, Mapping[str, float]]
"""Galaxies that a fit drew, and its summary."""


def ablation_table(
    fits: Mapping[str, Fit],
    rows: Sequence[Mapping[str, Any]],
    truth: pd.DataFrame,
    catalogue: Catalogue,
    population: Mapping[str, Any],
    stacks: pd.DataFrame,
) -> pd.DataFrame:
    """Rows of `tables.ABLATION_COLUMNS`.

    Args:
        fits: Fits by name.
        rows: Each with `kind`, `label` and `fits`, names of fits that differ in their seeds.
        truth: True parameters, NaN where not known.
        catalogue: The survey.
        population: The section `population` of the survey's file.
        stacks: Posteriors of single galaxies, `tables.STACK_COLUMNS`.
    """

    table = [_row(row, [fits[name] for name in row["fits"]], truth) for row in rows]
    others = {"no photometry": null_redshifts(population)}
    if np.isfinite(catalogue.z).any():
        others["supervised neighbours"] = neighbour_redshifts(*halves(catalogue)).ravel()
    for label, sample in others.items():
        if sample is not None:
            table.append(_not_fitted(label, {"z": sample}, truth, len(catalogue)))
    for label, stack in stacks.groupby("label"):
        table.append(_not_fitted(f"single fits, {label}", stack, truth, stack["galaxy"].nunique()))
    return pd.DataFrame(table)


def convergence_table(
    histories: Mapping[str, pd.DataFrame], summaries: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Rows of `tables.CONVERGENCE_COLUMNS`, one per epoch.

    Args:
        histories: Histories of training by label.
        summaries: Summaries of the same fits.
    """

    parts = []
    for label, history in histories.items():
        summary = summaries[label]
        share = history["epoch"] / len(history)
        parts.append(
            pd.DataFrame(
                {
                    "label": label,
                    "step": history["epoch"].to_numpy(),
                    "drawn": (share * summary["drawn"]).to_numpy(),
                    "distance": history["train_distance"].to_numpy(),
                    "floor": summary["training_floor"],
                    "floor_spread": summary["training_spread"],
                    "divergence": history["train_divergence"].to_numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _row(row: Mapping[str, Any], fits: Sequence[Fit], truth: pd.DataFrame) -> dict[str, Any]:
    summaries = pd.DataFrame([summary for _, summary in fits])
    table = {
        "kind": row["kind"],
        "label": row["label"],
        "n": int(summaries["galaxies"].mean()),
        "drawn": summaries["drawn"].mean(),
        "distance": summaries["distance"].mean(),
        "floor": summaries["floor"].mean(),
        "seeds": len(fits),
    }
    for name, short in (("z", "z"), ("stellar_mass", "mass")):
        known = truth[name].dropna()
        apart = [
            wasserstein_distance(galaxies[name], known) if len(known) else np.nan
            for galaxies, _ in fits
        ]
        error = np.std(apart, ddof=1) if len(apart) > 1 else np.nan
        table |= {f"w1_{short}": np.mean(apart), f"w1_{short}_error": error}
    return table


def _not_fitted(
    label: str, samples: Mapping[str, Sequence[float]], truth: pd.DataFrame, number: int
) -> dict[str, Any]:
    """A row of what is no fit of a population."""

    row = {"kind": "control", "label": label, "n": number, "seeds": 1}
    row |= dict.fromkeys(("drawn", "distance", "floor"), np.nan)
    for name, short in (("z", "z"), ("stellar_mass", "mass")):
        known = truth[name].dropna()
        judged = name in samples and len(known) > 0
        row[f"w1_{short}"] = wasserstein_distance(samples[name], known) if judged else np.nan
        row[f"w1_{short}_error"] = np.nan
    return row

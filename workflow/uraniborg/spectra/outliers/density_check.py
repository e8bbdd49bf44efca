"""Whether a density is one: held-out objects against what it says of them."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from scipy.stats import ks_2samp, kstest
from torch import Tensor

from uraniborg.spectra.outliers.density import Density, Sample
from uraniborg.tables import Column

__all__ = ["CALIBRATION_COLUMNS", "HELD_OUT_COLUMNS", "Calibration", "calibration"]

HELD_OUT_COLUMNS = (
    Column("sample", pa.string(), "", "held out, or drawn from the density itself"),
    Column("log_prob", pa.float64(), "", "Log of the ensemble's mean density"),
    Column("percentile", pa.float64(), "", "Share of held-out objects that are less probable"),
)
"""One row per object: the held-out ones, and as many that are drawn from the density."""

CALIBRATION_COLUMNS = (
    Column("check", pa.string(), "", "percentile, log_prob or base"),
    Column("member", pa.int64(), "", "Member of the ensemble, -1 for all of it"),
    Column("dimension", pa.int64(), "", "Dimension of the base space, -1 where it has no meaning"),
    Column("n", pa.int64(), "", "Held-out objects"),
    Column("statistic", pa.float64(), "", "Kolmogorov-Smirnov distance from what is expected"),
    Column("p_value", pa.float64(), "", "Probability of a larger distance by chance"),
    Column("mean", pa.float64(), "", "Mean of the held-out values"),
    Column("spread", pa.float64(), "", "Standard deviation of the held-out values"),
)
"""One row per check: see `calibration`."""


class Calibration(NamedTuple):
    """Whether a density is one.

    Attributes:
        values: One row per object, `HELD_OUT_COLUMNS`.
        checks: One row per check, `CALIBRATION_COLUMNS`.
    """

    values: pd.DataFrame
    checks: pd.DataFrame


@torch.no_grad()
def calibration(density: Density, sample: Sample, seed: int = 0) -> Calibration:
    """Compares a density with objects that neither its training nor its percentiles have seen.

    - `percentile`: percentiles of such objects are uniform between 0 and 1.
    - `log_prob`: log p of such objects is distributed as that of objects drawn from the density
      at the same contexts.
    - `base`: each member transforms such objects to a standard normal in every dimension.

    Args:
        density: The density.
        sample: Normal objects, of the population that it was trained on; those whose features are
            not finite are left out.
        seed: Of the objects drawn.
    """

    finite = sample.features.isfinite().all(dim=1) & sample.context.isfinite().all(dim=1)
    features, context = sample.features[finite], sample.context[finite]
    drawn = _drawn(density, context, torch.Generator(context.device).manual_seed(seed))

    tables = []
    for name, objects in (("held out", features), ("drawn", drawn)):
        log_prob = density.score(objects, context).log_prob
        percentile = density.percentile(log_prob)
        values = {"log_prob": log_prob.cpu().numpy(), "percentile": percentile.cpu().numpy()}
        tables.append(pd.DataFrame({"sample": name, **values}))
    held_out, own = tables

    def row(check: str, member: int, dimension: int, values: np.ndarray, test: Any) -> dict:  # noqa: ANN401
        return {
            "check": check,
            "member": member,
            "dimension": dimension,
            "n": len(values),
            "statistic": test.statistic,
            "p_value": test.pvalue,
            "mean": values.mean(),
            "spread": values.std(),
        }

    percentile, log_prob = held_out["percentile"].to_numpy(), held_out["log_prob"].to_numpy()
    checks = [
        row("percentile", -1, -1, percentile, kstest(percentile, "uniform")),
        row("log_prob", -1, -1, log_prob, ks_2samp(log_prob, own["log_prob"].to_numpy())),
    ]
    for member, flow in enumerate(density.flows):
        base = flow.to_base(features, context).double().cpu().numpy()
        for dimension, values in enumerate(base.T):
            checks.append(row("base", member, dimension, values, kstest(values, "norm")))
    return Calibration(pd.concat(tables, ignore_index=True), pd.DataFrame(checks))


def _drawn(density: Density, context: Tensor, generator: torch.Generator) -> Tensor:
    """One object per context, from a member at random: the mixture that the ensemble is."""

    members = len(density.flows)
    member = torch.randint(members, (len(context),), generator=generator, device=context.device)
    objects = context.new_empty(len(context), density.flows[0].features, dtype=torch.float32)
    for index, flow in enumerate(density.flows):
        mine = member == index
        objects[mine] = flow.sample(int(mine.sum()), context[mine], generator)
    return objects

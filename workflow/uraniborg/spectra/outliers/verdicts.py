"""Star or galaxy: the table of evidence, and what is concluded from it."""

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.tables import Column

__all__ = ["PREVALENCE", "STAR_COLUMNS", "verdicts"]

PREVALENCE = 0.001
"""Stars among catalogued galaxies that a verdict expects, so that the evidence has to beat it."""

STAR_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("star_velocity", pa.float64(), "km/s", "Radial velocity at which a star fits best"),
    Column("star_reduced_chi2", pa.float64(), "", "Reduced chi-squared of the star model there"),
    Column("galaxy_reduced_chi2", pa.float64(), "", "That of the galaxy model at its redshift"),
    Column("star_evidence", pa.float64(), "", "ln of the evidence of a star over that of a galaxy"),
    Column("star_misfit", pa.float64(), "", "Fraction of the light that the better model misses"),
    Column("star_flags", pa.int64(), "", "Why there is no verdict, see StarFlag; 0 for no reason"),
    Column("star_verdict", pa.string(), "", "star, galaxy or none"),
)
"""Columns of the table that `star_table` makes."""


def verdicts(table: pd.DataFrame, prevalence: float = PREVALENCE) -> np.ndarray:
    """`star` or `galaxy` as the posterior odds say, `none` where a flag is set, shape (N,).

    Args:
        table: The columns `star_evidence` and `star_flags`.
        prevalence: Fraction of stars among catalogued galaxies before a look at the spectrum.
    """

    log_odds = table["star_evidence"] + np.log(prevalence / (1 - prevalence))
    verdict = np.where(log_odds > 0, "star", "galaxy")
    return np.where((table["star_flags"] != 0) | log_odds.isna(), "none", verdict)

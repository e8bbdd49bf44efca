"""How often templates that are too few take stars for galaxies."""

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.tables import Column

__all__ = ["AUTOENCODER", "TEMPLATE_COLUMNS", "misclassification"]

AUTOENCODER = 0
"""Stands for the trained star model where the number of templates is asked for."""

TEMPLATE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("spectype", pa.string(), "", "What it is: STAR or GALAXY"),
    Column("subclass", pa.string(), "", "Type of star or galaxy"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("components", pa.int64(), "", "Templates of stars, the mean included; 0: autoencoder"),
    Column("star_chi2", pa.float64(), "", "Least chi-squared of stars"),
    Column("galaxy_chi2", pa.float64(), "", "Least chi-squared of galaxies at any redshift"),
    Column("galaxy_z", pa.float64(), "", "Redshift of that galaxy"),
)
"""Columns of the table that `template_table` makes."""


def misclassification(table: pd.DataFrame) -> pd.DataFrame:
    """Fraction of stars that are called galaxies by the least chi-squared, and the reverse.

    Args:
        table: The columns `TEMPLATE_COLUMNS`.

    Returns:
        By `spectype`, `subclass` (`all` for all together) and `components`: the `fraction` that is
        called the other thing, its binomial standard error `error` (with half an object added to
        either side, so that it is never zero) and the number of objects `n`.
    """

    is_star = table["spectype"] == "STAR"
    called_star = table["star_chi2"] < table["galaxy_chi2"]
    table = table.assign(wrong=is_star != called_star)
    both = pd.concat([table, table.assign(subclass="all")])
    groups = both.groupby(["spectype", "subclass", "components"])["wrong"]
    result = groups.agg(n="size", wrong="sum").reset_index()
    smooth = (result["wrong"] + 0.5) / (result["n"] + 1)
    result["error"] = np.sqrt(smooth * (1 - smooth) / (result["n"] + 1))
    result["fraction"] = result.pop("wrong") / result["n"]
    return result

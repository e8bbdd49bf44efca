"""One spectrum of every kind of contaminant in a simulated survey, for figures."""

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.tables import FLUX_UNIT, Column, Spectra
from uraniborg.universe.contaminants import KINDS

__all__ = ["EXAMPLE_COLUMNS", "examples"]

EXAMPLE_COLUMNS = (
    Column("anomaly", pa.string(), "", "Kind of contaminant"),
    Column("wavelength", pa.float64(), "Angstrom", "Observed vacuum wavelength"),
    Column("flux", pa.float64(), FLUX_UNIT, "Observed flux density, NaN where masked"),
    Column("noiseless", pa.float64(), FLUX_UNIT, "Noiseless flux density"),
    Column("without", pa.float64(), FLUX_UNIT, "The same without the anomaly"),
    Column("strength", pa.float64(), "", "Strength of the anomaly, see its kind"),
    Column("unit", pa.string(), "", "Unit of the strength"),
    Column("low", pa.float64(), "Angstrom", "Where the anomaly begins"),
    Column("high", pa.float64(), "Angstrom", "Where the anomaly ends"),
    Column("z", pa.float64(), "", "True redshift"),
    Column("z_catalogue", pa.float64(), "", "Redshift of the catalogue"),
)
"""Columns of the table of examples, one row per pixel."""


def examples(spectra: Spectra, truth: Spectra) -> pd.DataFrame:
    """A typical spectrum of every kind that occurs: more significant than 70% of its kind.

    Args:
        spectra: Shards of a simulated survey.
        truth: Its truth shards, row by row.

    Returns:
        The columns `EXAMPLE_COLUMNS`, kinds in the order of `KINDS`.

    Raises:
        UserError: The survey has no contaminants.
    """

    true, seen = truth.scalars, spectra.scalars
    tables = []
    for kind in KINDS:
        rows = np.flatnonzero(true["anomaly"] == kind.name)
        if not len(rows):
            continue
        # Wrong redshifts have no significance: the spectra's own decides.
        order = np.lexsort((seen["snr"][rows], true["anomaly_significance"][rows]))
        row = rows[order[round(0.7 * (len(rows) - 1))]]
        flux, ivar = (spectra.vectors(name, [row])[0] for name in ("flux", "ivar"))
        noiseless, anomaly = (truth.vectors(name, [row])[0] for name in ("flux", "anomaly_flux"))
        tables.append(
            pd.DataFrame(
                {
                    "anomaly": kind.name,
                    "wavelength": spectra.grid.wavelength,
                    "flux": np.where(ivar > 0, flux, np.nan),
                    "noiseless": noiseless,
                    "without": noiseless - anomaly,
                    "strength": true["anomaly_strength"][row],
                    "unit": kind.unit,
                    "low": true["anomaly_low"][row],
                    "high": true["anomaly_high"][row],
                    "z": true["z"][row],
                    "z_catalogue": seen["z"][row],
                }
            )
        )
    if not tables:
        raise UserError(
            f"survey {spectra.metadata['survey']}: holds no contaminants; "
            "set `universe: contaminants` in its file, or take more objects."
        )
    return pd.concat(tables, ignore_index=True)

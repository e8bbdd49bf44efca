"""What a spectrograph's noise table says, as a function of wavelength."""

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.tables import FLUX_UNIT, Column

__all__ = ["CURVE_COLUMNS", "spectrograph_curves"]

CURVE_COLUMNS = (
    Column("instrument", pa.string(), "", "Name of the spectrograph"),
    Column("wavelength", pa.float64(), "Angstrom", "Vacuum wavelength of the pixel centre"),
    Column("sigma", pa.float64(), FLUX_UNIT, "Noise of an empty fibre per Angstrom"),
    Column("resolution", pa.float64(), "", "Resolving power: wavelength over FWHM of the LSF"),
)
"""Columns of the curves, one row per spectrograph and pixel."""

_FWHM = np.sqrt(8 * np.log(2))


def spectrograph_curves(instrument: Spectrograph) -> pd.DataFrame:
    """Noise and resolving power by pixel.

    The noise is that of the mean over one Angstrom (as if pixels were independent), so that
    spectrographs of different pixels compare.

    Returns:
        Columns `CURVE_COLUMNS`.
    """

    grid, curves = instrument.grid, instrument.noise.curves
    width = np.diff(grid.edges)
    return pd.DataFrame(
        {
            "instrument": instrument.name,
            "wavelength": grid.wavelength,
            "sigma": curves["sigma"].to_numpy(float) * np.sqrt(width),
            "resolution": grid.wavelength / (_FWHM * curves["lsf"].to_numpy(float) * width),
        }
    )

"""Observed wavelength grids of the spectrographs, cheap to import while a workflow is planned."""

import numpy as np

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid

__all__ = ["GRIDS", "logarithmic", "observed_grid", "source_grid"]

GRIDS = {
    # The pixels of SDSS-I/II spectra: 1e-4 dex, 69 km/s (York et al. 2000).
    "sdss": WavelengthGrid("log10", 3.578, 1e-4, 3921),
    # The same pixels over the range of the BOSS spectrographs (Smee et al. 2013).
    "boss": WavelengthGrid("log10", 3.549, 1e-4, 4686),
    # The pixels of 0.8 Angstrom that all three arms of DESI are extracted on (Guy et al. 2023).
    "desi": WavelengthGrid("linear", 3600.0, 0.8, 7781),
}
"""The grid of every known spectrograph."""


def observed_grid(name: str) -> WavelengthGrid:
    """The grid of a spectrograph, vacuum wavelengths in the observed frame.

    Raises:
        UserError: There is no spectrograph of this name.
    """

    if name not in GRIDS:
        raise UserError(f"there is no spectrograph {name!r}; known are: {', '.join(GRIDS)}.")
    return GRIDS[name]


def logarithmic(grid: WavelengthGrid, step: float) -> WavelengthGrid:
    """The log10 grid within the range of a grid, on which a redshift is a shift.

    Args:
        grid: Of either kind.
        step: Distance between the pixels in dex.
    """

    first, last = np.log10(grid.edges[[0, -1]])
    return WavelengthGrid("log10", first + step / 2, step, int((last - first) / step))


def source_grid(
    observed: WavelengthGrid, z_max: float, z_min: float = 0.0, oversampling: int = 2
) -> WavelengthGrid:
    """A rest-frame log10 grid to compute spectra on before a spectrograph sees them.

    With an oversampling of two, resampling hardly broadens lines (unresolved ones by 1%, at the
    red end of `desi` by 3%). The grid reaches beyond the observed range at either end, by more
    than line-spread functions do.

    Args:
        observed: The observed grid, of either kind.
        z_max: The largest redshift.
        z_min: The smallest, negative for blueshifts.
        oversampling: How many pixels there are for the middle one of the observed grid.
    """

    middle = observed.size // 2
    below, above, first, last = np.log10(observed.edges[[middle, middle + 1, 0, -1]])
    step = (above - below) / oversampling
    # Half a pixel less, or rounding adds one at the end.
    size = int(np.ceil((last - first) / step - 0.5))
    fine = WavelengthGrid("log10", first + step / 2, step, size)
    return fine.restframe(z_max, z_min, margin=32)

"""Observed wavelength grids of the spectrographs, cheap to import while a workflow is planned."""

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid

__all__ = ["GRIDS", "observed_grid"]

GRIDS = {
    # The pixels of SDSS-I/II spectra: 1e-4 dex, 69 km/s (York et al. 2000).
    "sdss": WavelengthGrid("log10", 3.578, 1e-4, 3921),
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

"""Real SDSS `spec` files, of which noise is measured."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid

__all__ = ["ADDED_ERROR", "SpecFile", "read_spec_file"]

ADDED_ERROR = 0.03
"""SDSS adds this fraction of the flux to the error of every exposure (`adderr` in idlspec2d)."""


class SpecFile(NamedTuple):
    """A coadded spectrum and what the file says of it.

    Attributes:
        flux: Flux density, shape (size,), NaN beyond the spectrum's ends as all but `ivar`.
        ivar: Inverse variance, shape (size,), zero where there are no data.
        lsf: Standard deviation of the line-spread function in pixels, shape (size,).
        sky: Flux density of the sky, shape (size,).
        exposures: Number of exposures.
        header: Of the file.
        about: The object's entry in the catalogue, None if the file lacks one.
    """

    flux: np.ndarray
    ivar: np.ndarray
    lsf: np.ndarray
    sky: np.ndarray
    exposures: float
    header: fits.Header
    about: fits.FITS_record | None


def read_spec_file(path: str | Path, grid: WavelengthGrid) -> SpecFile:
    """Reads an SDSS `spec` or `spec-lite` file.

    Args:
        path: Of the file.
        grid: Whose pixels are those of the survey.

    Raises:
        UserError: The file has no coadded spectrum in its first extension.
    """

    with fits.open(path) as file:
        header, table = file[0].header, file[1].data if len(file) > 1 else None
        if "loglam" not in (name.lower() for name in getattr(table, "names", ())):
            raise UserError(f"{path}: has no table with 'loglam' in extension 1; is it a spec?")
        pixel = np.rint((table["loglam"] - grid.start) / grid.step).astype(int)
        inside = (pixel >= 0) & (pixel < grid.size)
        vectors = np.full((4, grid.size), np.nan)
        for vector, column in zip(vectors, ("flux", "ivar", "wdisp", "sky"), strict=True):
            vector[pixel[inside]] = table[column][inside]
        about = file[2].data[0] if len(file) > 2 else None
    flux, ivar, lsf, sky = vectors
    # Both arms are counted: a blue and a red frame make one exposure.
    exposures = header["NEXP"] / 2
    return SpecFile(flux, np.nan_to_num(ivar), lsf, sky, exposures, header, about)

"""Reader of SDSS and BOSS spectra: `spec` and `spec-lite` FITS files, plain or compressed.

Format: https://data.sdss.org/datamodel/files/BOSS_SPECTRO_REDUX/RUN2D/spectra/PLATE4/spec.html
"""

import gzip
import io
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from uraniborg.surveys.preparation import Observations
from uraniborg.surveys.readers.errors import UnreadableError

__all__ = ["MASK_BITS", "read"]

MASK_BITS = {
    "FULLREJECT": 18,
    "NOSKY": 22,
    "BRIGHTSKY": 23,
    "COMBINEREJ": 25,
    "BADFLUXFACTOR": 26,
    "BADSKYCHI": 27,
    "REDMONSTER": 28,
}
"""Bits of `and_mask` that reject a pixel.

Names and meaning: https://www.sdss3.org/dr10/algorithms/bitmask_sppixmask.php. Bits 0 to 15 tell
of a whole fibre or half of it, and 16, 17, 19, 20, 21 and 24 (NEARBADPIXEL, LOWFLAT,
PARTIALREJECT, SCATTEREDLIGHT, CROSSTALK, the deprecated NODATA) of pixels whose ivar already says
what is known: they are kept.
"""

_SPECTRUM = ("flux", "ivar", "loglam", "and_mask")
_OBJECT = ("Z", "Z_ERR", "ZWARNING", "CLASS", "SUBCLASS", "PLATE", "MJD", "FIBERID")
_UNIT = "1e-17erg/cm^2/s/ang"
_REMEDY = "Use a spec or spec-lite file of SDSS DR8 or later."


def read(path: Path) -> Iterator[Observations]:
    """Yields the one spectrum of a file.

    Args:
        path: A FITS file; it may be compressed by gzip.

    Raises:
        UnreadableError: The file is damaged or no SDSS spectrum.
    """

    damaged = UnreadableError("is truncated or damaged", "Fetch the file again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            with fits.open(_plain(path), memmap=False) as file:
                observations = _spectrum(file)
    except PermissionError as error:
        raise UnreadableError("may not be read", "Change its permissions.") from error
    except OSError as error:
        if "SIMPLE" in str(error):
            raise UnreadableError("is not a FITS file", _REMEDY) from error
        raise damaged from error
    except (EOFError, zlib.error, ValueError, TypeError) as error:
        raise damaged from error
    yield observations


def _plain(path: Path) -> Path | io.BytesIO:
    """The file, decompressed if need be: as a whole, so that gzip's own checksum is looked at."""

    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path
    return io.BytesIO(gzip.decompress(path.read_bytes()))


def _spectrum(file: fits.HDUList) -> Observations:
    spectrum = _table(file, 1, _SPECTRUM)
    row = _table(file, 2, _OBJECT)
    unit = "".join(str(file[0].header.get("BUNIT", _UNIT)).lower().split())
    if unit != _UNIT:
        raise UnreadableError(f"has flux in {file[0].header['BUNIT']}", _REMEDY)
    with np.errstate(over="ignore"):
        wavelength = 10 ** np.asarray(spectrum["loglam"], np.float64)
    mask = np.asarray(spectrum["and_mask"], np.int64)
    bits = sum(1 << bit for bit in MASK_BITS.values())
    return Observations(
        scalars={name: np.array([value]) for name, value in _scalars(row).items()},
        wavelength=wavelength[None],
        flux=np.asarray(spectrum["flux"], np.float32)[None],
        ivar=np.asarray(spectrum["ivar"], np.float32)[None],
        bad=(mask & bits != 0)[None],
    )


def _table(file: fits.HDUList, number: int, columns: tuple[str, ...]) -> fits.FITS_rec:
    if not any(isinstance(hdu, fits.BinTableHDU) for hdu in file):
        shape = " x ".join(map(str, file[0].shape))
        content = f"only an image of {shape} pixels" if shape else "no data"
        raise UnreadableError(f"is no SDSS spectrum: holds {content}", _REMEDY)
    table = file[number] if len(file) > number else None
    if not isinstance(table, fits.BinTableHDU):
        raise UnreadableError(f"has no table in extension {number}", _REMEDY)
    present = {name.lower() for name in table.columns.names}
    missing = [name for name in columns if name.lower() not in present]
    if missing:
        reason = f"has no column {', '.join(missing)} in extension {number}"
        raise UnreadableError(reason, _REMEDY)
    if table.header["NAXIS2"] == 0:
        raise UnreadableError(f"has no row in extension {number}", _REMEDY)
    return table.data


def _scalars(table: fits.FITS_rec) -> dict[str, object]:
    row, names = table[0], {name.upper() for name in table.columns.names}

    def first(*candidates: str) -> object:
        """The value of the first column that is there."""
        return next((row[name] for name in candidates if name in names), None)

    # SDSS and BOSS files name the same things differently.
    target = str(first("TARGETTYPE", "OBJTYPE")).strip()
    ra, dec = first("PLUG_RA", "RA"), first("PLUG_DEC", "DEC")
    return {
        "object_id": f"{row['PLATE']:04d}-{row['MJD']:05d}-{row['FIBERID']:04d}",
        "ra": np.nan if ra is None else float(ra),
        "dec": np.nan if dec is None else float(dec),
        "z": float(row["Z"]),
        "z_err": float(row["Z_ERR"]),
        "zwarning": int(row["ZWARNING"]),
        "spectype": "SKY" if target == "SKY" else str(row["CLASS"]).strip(),
        "subclass": str(row["SUBCLASS"]).strip(),
    }

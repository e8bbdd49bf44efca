"""Reader of DESI spectra: `coadd` FITS files by healpix or tile, plain or compressed.

The redshifts are those of the file of the same name beside it, which begins with `redrock`, or
`zbest` in early reductions, instead of `coadd`. Format: https://desidatamodel.readthedocs.io,
DESI_SPECTRO_REDUX; the same in the early data release (arXiv:2306.06308) and in DR1
(arXiv:2503.14745).
"""

import gzip
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from uraniborg.files import writing
from uraniborg.instruments.wavelengths import observed_grid
from uraniborg.surveys.preparation import LARGEST_OFFSET, Observations, masked
from uraniborg.surveys.readers.errors import UnreadableError
from uraniborg.tables import FLUX_UNIT

__all__ = ["TARGETS", "lsf_sigma", "read"]

_ANY = -1

TARGETS = {
    "BGS": ("BGS_TARGET", _ANY),
    "BGS_BRIGHT": ("BGS_TARGET", 1 << 1),
    "BGS_FAINT": ("BGS_TARGET", 1 << 0),
    "MWS": ("MWS_TARGET", _ANY),
    "LRG": ("DESI_TARGET", 1 << 0),
    "ELG": ("DESI_TARGET", 1 << 1),
    "QSO": ("DESI_TARGET", 1 << 2),
    "STANDARD": ("DESI_TARGET", 1 << 33 | 1 << 34 | 1 << 35),
    "SECONDARY": ("DESI_TARGET", 1 << 62),
}
"""Why an object was observed: column, and the bits of which one has to be set.

These bits mean the same in all phases of the survey (Myers et al. 2023, arXiv:2208.08518, and
https://desidatamodel.readthedocs.io/en/latest/bitmasks.html). Columns of survey validation have the
prefixes SV1_, SV2_ and SV3_.
"""

_PHASES = ("", "SV1_", "SV2_", "SV3_")
_REDSHIFT_FILES = ("redrock", "zbest")
_REDSHIFT_TABLES = ("REDSHIFTS", "ZBEST")
_REDSHIFTS = {
    "Z": np.float64,
    "ZERR": np.float64,
    "ZWARN": np.int64,
    "SPECTYPE": str,
    "SUBTYPE": str,
    "DELTACHI2": np.float64,
}
_OPTIONAL = {"SUBTYPE", "DELTACHI2"}
_ARMS = ("B", "R", "Z")
_GRID = observed_grid("desi")
_REMEDY = "Use a coadd of DESI's early data release or later."
_REDSHIFT_REMEDY = "Use the file that redrock wrote for the coadd."
_FITS_BLOCK = 2880
# What astropy raises at damaged files; what it cannot make sense of lacks attributes.
_DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    zlib.error,
    fits.VerifyError,
)
# Weight of a pixel without information, so that its line-spread function is known all the same.
_NO_WEIGHT = 1e-12


class _Arm(NamedTuple):
    """A spectrograph arm: its name in the file, and the grid's pixels that its own are."""

    name: str
    pixel: np.ndarray


def read(path: Path, rows: int = 256) -> Iterator[Observations]:
    """Yields a coadd's spectra in order, their arms merged by inverse variance.

    Pixels of the arms are those of DESI's grid, so that nothing is interpolated. A pixel with any
    bit of the mask set is bad, as the data model asks. Objects without a redshift, because there
    is none in the redshift file or no such file, have `z` NaN and `spectype` empty; those of sky
    fibres have the `spectype` SKY in any case. The scalars `fiberstatus`, `deltachi2` and `target`
    serve the selection; what a file does not tell is 0, NaN and empty.

    Args:
        path: A coadd. A redshift file yields nothing: it is read with its coadd.
        rows: Spectra that are in memory at a time.

    Raises:
        UnreadableError: The file or its redshift file is damaged, or no DESI coadd.
    """

    if path.name.startswith(_REDSHIFT_FILES):
        return
    with _opened(path) as file:
        arms = _arms(file)
        scalars = _scalars(file["FIBERMAP"].data, _redshifts(path))
        for part in _parts(len(scalars["object_id"]), rows):
            flux, ivar = _merged(file, arms, part)
            yield Observations(
                {name: values[part] for name, values in scalars.items()},
                np.broadcast_to(_GRID.wavelength, flux.shape),
                flux,
                ivar,
                np.zeros(flux.shape, bool),
            )


def lsf_sigma(path: Path, rows: int = 256) -> Iterator[np.ndarray]:
    """Yields the widths of the line-spread functions of a coadd's spectra, parts as of `read`.

    The width is the standard deviation of the flux that a pixel is made of, about its mean: the
    second moment of a row of the resolution matrix (Guy et al. 2023, arXiv:2209.14482). Where arms
    overlap, their variances are averaged with the weights of their fluxes.

    Args:
        path: A coadd with resolution matrices.
        rows: Spectra that are in memory at a time.

    Returns:
        In pixels of DESI's grid, shape (N, P), float32; NaN where no arm has data.

    Raises:
        UnreadableError: The file is damaged or has no resolution matrices.
    """

    with _opened(path) as file:
        arms = _arms(file)
        _require(file, [f"{arm.name}_RESOLUTION" for arm in arms])
        for part in _parts(file["FIBERMAP"].header["NAXIS2"], rows):
            weighted, weight = np.zeros((2, part.stop - part.start, _GRID.size))
            for arm in arms:
                variance = _lsf_variance(file[f"{arm.name}_RESOLUTION"].section[part])
                ivar = np.maximum(_arm_spectra(file, arm, part)[1], _NO_WEIGHT)
                ivar = np.where(np.isfinite(variance), ivar, 0)
                weighted[:, arm.pixel] += ivar * np.nan_to_num(variance)
                weight[:, arm.pixel] += ivar
            with np.errstate(invalid="ignore"):
                yield np.sqrt(weighted / weight).astype(np.float32)


def _lsf_variance(resolution: np.ndarray) -> np.ndarray:
    """Variance in pixels^2 of the rows of resolution matrices, stored as (N, diagonals, P)."""

    radius, size = resolution.shape[1] // 2, resolution.shape[2]
    moments = np.zeros((3, len(resolution), size))
    for diagonal, offset in enumerate(range(radius, -radius - 1, -1)):
        # Column j of this diagonal holds the matrix element (j - offset, j).
        row = slice(max(-offset, 0), size - max(offset, 0))
        column = slice(max(offset, 0), size - max(-offset, 0))
        elements = resolution[:, diagonal, column].astype(np.float64)
        for power in range(3):
            moments[power, :, row] += offset**power * elements
    total = np.where(moments[0] > 0.5, moments[0], np.nan)
    return moments[2] / total - (moments[1] / total) ** 2


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    """A complete FITS file; what goes wrong with its content within the block is its damage."""

    damaged = UnreadableError("is truncated or damaged", "Fetch the file again.")
    try:
        with _plain(path) as plain, _complete(plain) as file:
            yield file
    except PermissionError as error:
        raise UnreadableError("may not be read", "Change its permissions.") from error
    except OSError as error:
        if "SIMPLE" in str(error):
            raise UnreadableError("is not a FITS file", _REMEDY) from error
        raise damaged from error
    except _DAMAGED as error:
        raise damaged from error


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The file, decompressed to disk if need be, because memory might not hold it."""

    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if not compressed:
        yield path
        return
    with tempfile.NamedTemporaryFile() as plain, gzip.open(path) as content:
        with writing(plain.name):
            shutil.copyfileobj(content, plain, 1 << 20)
            plain.flush()
        yield Path(plain.name)


def _complete(path: Path) -> fits.HDUList:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        file = fits.open(path, memmap=False)
        places = [hdu.fileinfo() for hdu in file]
    size = path.stat().st_size
    end = max(place["datLoc"] + place["datSpan"] for place in places)
    if size < end or size % _FITS_BLOCK:
        file.close()
        raise EOFError
    return file


def _require(file: fits.HDUList, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in file]
    if missing:
        raise UnreadableError(f"has no extension {', '.join(missing)}", _REMEDY)


def _arms(file: fits.HDUList) -> list[_Arm]:
    """The arms of a coadd, one if they were merged before."""

    names = ("BRZ",) if "BRZ_FLUX" in file else _ARMS
    if not any(f"{name}_IVAR" in file for name in names):
        raise UnreadableError("is no DESI coadd: has no inverse variances such as B_IVAR", _REMEDY)
    parts = ["WAVELENGTH", "FLUX", "IVAR"]
    if any(f"{name}_MASK" in file for name in names):
        parts.append("MASK")
    _require(file, ["FIBERMAP", *(f"{name}_{part}" for name in names for part in parts)])
    table = file["FIBERMAP"]
    if not isinstance(table, fits.BinTableHDU) or "TARGETID" not in table.columns.names:
        raise UnreadableError("has no column TARGETID in FIBERMAP", _REMEDY)
    return [_arm(file, name, table.header["NAXIS2"]) for name in names]


def _arm(file: fits.HDUList, name: str, rows: int) -> _Arm:
    unit = str(file[f"{name}_FLUX"].header.get("BUNIT", FLUX_UNIT))
    if not _is_flux_unit(unit):
        raise UnreadableError(f"has flux in {unit}", _REMEDY)
    wavelength = np.asarray(file[f"{name}_WAVELENGTH"].data, np.float64)
    exact = (wavelength - _GRID.start) / _GRID.step
    pixel = np.rint(np.nan_to_num(exact, nan=-1)).astype(np.int64)
    fits_grid = (np.abs(exact - pixel) < LARGEST_OFFSET) & (pixel >= 0) & (pixel < _GRID.size)
    if wavelength.ndim != 1 or not fits_grid.all() or len(np.unique(pixel)) < pixel.size:
        reason = f"has other pixels in {name}_WAVELENGTH than the grid of DESI"
        raise UnreadableError(reason, _REMEDY)
    for part in ("FLUX", "IVAR", "MASK"):
        extension = f"{name}_{part}"
        shape = getattr(file[extension], "shape", ()) if extension in file else None
        if shape not in (None, (rows, pixel.size)):
            found = " x ".join(map(str, shape)) or "no"
            reason = f"has {found} pixels in {extension}, not {rows} x {pixel.size}"
            raise UnreadableError(reason, "Fetch the file again.")
    return _Arm(name, pixel)


def _is_flux_unit(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            return bool(np.isclose(u.Unit(text).to(u.Unit(FLUX_UNIT)), 1))
    except ValueError:
        return False


def _parts(number: int, rows: int) -> Iterator[slice]:
    for start in range(0, number, rows):
        yield slice(start, min(start + rows, number))


def _merged(file: fits.HDUList, arms: Sequence[_Arm], part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar of some rows on the grid, float32, both 0 where nothing is known."""

    weighted, weight = np.zeros((2, part.stop - part.start, _GRID.size))
    for arm in arms:
        flux, ivar = _arm_spectra(file, arm, part)
        weighted[:, arm.pixel] += flux.astype(np.float64) * ivar
        weight[:, arm.pixel] += ivar
    flux = np.divide(weighted, weight, out=np.zeros_like(weight), where=weight > 0)
    return flux.astype(np.float32), weight.astype(np.float32)


def _arm_spectra(file: fits.HDUList, arm: _Arm, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar of an arm, float32, both 0 where a pixel is bad."""

    mask = f"{arm.name}_MASK"
    bad = file[mask].section[part] != 0 if mask in file else None
    flux, ivar = (file[f"{arm.name}_{name}"].section[part] for name in ("FLUX", "IVAR"))
    return masked(flux, ivar, bad)


def _scalars(table: fits.FITS_rec, redshifts: pd.DataFrame) -> dict[str, np.ndarray]:
    """What is known of each object of the fibre map."""

    def column(name: str, default: object, kind: type) -> np.ndarray:
        values = table[name] if name in table.names else np.full(len(table), default)
        return np.asarray(values, kind)

    target = np.asarray(table["TARGETID"], np.int64)
    known = redshifts.reindex(target)
    sky = np.char.strip(column("OBJTYPE", "", str)) == "SKY"
    return {
        "object_id": target.astype(str).astype(object),
        "ra": column("TARGET_RA", np.nan, np.float64),
        "dec": column("TARGET_DEC", np.nan, np.float64),
        "z": known["Z"].to_numpy(np.float64),
        "z_err": known["ZERR"].to_numpy(np.float64),
        "zwarning": known["ZWARN"].fillna(0).to_numpy(np.int64),
        "spectype": np.where(sky, "SKY", known["SPECTYPE"].fillna("").str.strip()),
        "subclass": known["SUBTYPE"].fillna("").str.strip().to_numpy(object),
        "fiberstatus": column("COADD_FIBERSTATUS", 0, np.int64),
        "deltachi2": known["DELTACHI2"].to_numpy(np.float64),
        "target": _targets(table),
    }


def _targets(table: fits.FITS_rec) -> np.ndarray:
    """Names of `TARGETS` that each object is, joined by spaces."""

    names = np.full(len(table), "", object)
    for name, (column, mask) in TARGETS.items():
        bits = [
            np.asarray(table[phase + column], np.int64)
            for phase in _PHASES
            if phase + column in table.names
        ]
        is_target = np.any([values & mask != 0 for values in bits], axis=0)
        names = np.where(is_target, names + f" {name}", names)
    return np.array([text.strip() for text in names], object)


def _redshifts(path: Path) -> pd.DataFrame:
    """The redshifts of a coadd's objects by TARGETID, none if there is no file of them."""

    beside = _redshift_file(path)
    if beside is None:
        return pd.DataFrame(columns=list(_REDSHIFTS), index=pd.Index([], dtype=np.int64))
    try:
        with _opened(beside) as file:
            return _redshift_table(file)
    except UnreadableError as error:
        reason = f"has the redshift file {beside.name}, which {error.reason}"
        raise UnreadableError(reason, error.remedy) from error


def _redshift_file(path: Path) -> Path | None:
    for kind in _REDSHIFT_FILES:
        name = path.name.removesuffix(".gz").replace("coadd", kind, 1)
        for beside in (path.with_name(name), path.with_name(f"{name}.gz")):
            if kind in name and beside.exists():
                return beside
    return None


def _redshift_table(file: fits.HDUList) -> pd.DataFrame:
    table = next((file[name] for name in _REDSHIFT_TABLES if name in file), None)
    if not isinstance(table, fits.BinTableHDU):
        reason = f"has no table {' or '.join(_REDSHIFT_TABLES)}"
        raise UnreadableError(reason, _REDSHIFT_REMEDY)
    present = set(table.columns.names)
    missing = [name for name in ("TARGETID", *_REDSHIFTS) if name not in present | _OPTIONAL]
    if missing:
        reason = f"has no column {', '.join(missing)} in {table.name}"
        raise UnreadableError(reason, _REDSHIFT_REMEDY)
    columns = {
        name: np.asarray(table.data[name], kind)
        for name, kind in _REDSHIFTS.items()
        if name in present
    }
    index = pd.Index(np.asarray(table.data["TARGETID"], np.int64))
    frame = pd.DataFrame(columns, index=index).reindex(columns=list(_REDSHIFTS))
    return frame[~frame.index.duplicated()]

"""Which objects of a survey of photometry to keep by what their bands say."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uraniborg.errors import UserError
from uraniborg.surveys.registry import BAND_CUTS

__all__ = ["failed_band_cut"]


def failed_band_cut(
    selection: Mapping[str, Any], flux: np.ndarray, ivar: np.ndarray, bands: Sequence[str]
) -> np.ndarray:
    """The first cut in signal-to-noise ratio, colour or magnitude that each object fails.

    An object that has not been measured in a band fails every cut that looks at it.

    Args:
        selection: Keys `uraniborg.surveys.registry.BAND_CUTS` of the section `selection` of a
            survey's file; others are passed over.
        flux: In nanomaggies (AB), shape (N, B).
        ivar: Inverse variance of the flux, 0 where it is unknown, shape (N, B).
        bands: Names of the B bands.

    Returns:
        One phrase per object, empty for an object that passes every cut, shape (N,).

    Raises:
        UserError: The selection looks at a band that is not there.

    Example:
        >>> failed_band_cut({"colour_min": {"gama_J-gama_K": 0.025}}, flux, ivar, bands)
    """

    failed = np.full(len(flux), "", object)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (ivar > 0) & (flux > 0)
        magnitude = np.where(known, 22.5 - 2.5 * np.log10(flux), np.nan)

    def cut(passed: np.ndarray, phrase: str) -> None:
        failed[(failed == "") & ~passed] = phrase

    def index(key: str, band: str) -> int:
        if band not in bands:
            raise UserError(f"selection: {key}: {band!r} is none of {', '.join(bands)}.")
        return bands.index(band)

    for key in BAND_CUTS:
        for name, limit in selection.get(key, {}).items():
            columns = [index(key, band) for band in name.split("-")]
            for column in columns:
                cut(ivar[:, column] > 0, f"{bands[column]} not measured")
            if key == "band_snr_min":
                snr = (flux * np.sqrt(ivar))[:, columns[0]]
                cut(snr >= limit, f"snr of {name} below {limit:g}")
            elif key == "magnitude_max":
                cut(magnitude[:, columns[0]] <= limit, f"{name} fainter than {limit:g}")
            else:
                colour = magnitude[:, columns[0]] - magnitude[:, columns[1]]
                cut(np.isfinite(colour), f"{name} unknown")
                if key == "colour_min":
                    cut(colour >= limit, f"{name} below {limit:g}")
                else:
                    cut(colour <= limit, f"{name} above {limit:g}")
    return failed

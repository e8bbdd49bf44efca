"""What figures compare attributions from: spectra, what they are compared with, and the maps."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.tables import FLUX_UNIT, Column

__all__ = ["MAP_COLUMNS", "SPECTRA_COLUMNS", "Maps", "map_tables"]

SPECTRA_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("title", pa.string(), "", "What the object is, as a figure says it"),
    Column("z", pa.float64(), "", "Redshift that it was scored with"),
    Column("wavelength", pa.float32(), "Angstrom", "Observed vacuum wavelength"),
    Column("flux", pa.float32(), FLUX_UNIT, "Observed flux density, NaN where masked"),
    Column("ordinary", pa.float32(), FLUX_UNIT, "Mean of the ordinary spectra in its place"),
    Column("window", pa.bool_(), "", "Whether the pixel is in the true window; false for real"),
)
"""One row per object and pixel."""

MAP_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("method", pa.string(), "", "What attributed the score"),
    Column("wavelength", pa.float32(), "Angstrom", "Observed vacuum wavelength"),
    Column("attribution", pa.float32(), "", "Share of the largest absolute attribution"),
)
"""One row per object, method and pixel. Methods attribute in units of their own: the largest
absolute value of each map is one."""


class Maps(NamedTuple):
    """Tables for the comparison of methods.

    Attributes:
        spectra: `SPECTRA_COLUMNS`.
        maps: `MAP_COLUMNS`.
    """

    spectra: pd.DataFrame
    maps: pd.DataFrame


def map_tables(
    object_id: str,
    title: str,
    z: float,
    wavelength: np.ndarray,
    flux: np.ndarray,
    ordinary: np.ndarray,
    attributions: Mapping[str, np.ndarray],
    window: np.ndarray | None = None,
) -> Maps:
    """The tables of one object.

    Args:
        object_id: Its identifier.
        title: What it is.
        z: Its redshift.
        wavelength: Shape (L,).
        flux: In units of flux density, NaN where masked, shape (L,).
        ordinary: Mean of the baselines in the same units, shape (L,).
        attributions: By method, each of shape (L,).
        window: The true window, shape (L,), if known.
    """

    spectra = {
        "object_id": object_id,
        "title": title,
        "z": z,
        "wavelength": wavelength,
        "flux": flux,
        "ordinary": ordinary,
        "window": np.zeros(len(wavelength), bool) if window is None else window,
    }
    parts = [
        pd.DataFrame(
            {
                "object_id": object_id,
                "method": method,
                "wavelength": wavelength,
                "attribution": values / (np.nanmax(np.abs(values), initial=0) or 1.0),
            }
        )
        for method, values in attributions.items()
    ]
    return Maps(pd.DataFrame(spectra), pd.concat(parts, ignore_index=True))

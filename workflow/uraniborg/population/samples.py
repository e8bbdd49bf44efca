"""Tables of real and simulated samples, and of how they compare; neither torch nor trees needed.

The features of an object are u-g, g-r, r-i, i-z and its redshift. Magnitudes are asinh magnitudes
(Lupton et al. 1999), because a negative flux has one, too: objects that lack a finite feature take
no part in a comparison and are counted.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.instruments.bands import bands_of
from uraniborg.instruments.magnitudes import asinh_magnitude
from uraniborg.tables import Column

__all__ = ["FEATURES", "OBJECT_COLUMNS", "SUMMARY_COLUMNS", "features", "halves", "objects"]

FEATURES = ("u_g", "g_r", "r_i", "i_z", "z")
"""Names of the features: four colours and the redshift."""

OBJECT_COLUMNS = (
    Column("catalogue", pa.string(), "", "Name of the real catalogue"),
    Column("sample", pa.string(), "", "real, simulated, or the name of a control"),
    Column("r", pa.float64(), "mag", "Magnitude in r, corrected for Galactic extinction (AB)"),
    Column("u_g", pa.float64(), "mag", "Colour u - g, corrected for Galactic extinction"),
    Column("g_r", pa.float64(), "mag", "Colour g - r, corrected for Galactic extinction"),
    Column("r_i", pa.float64(), "mag", "Colour r - i, corrected for Galactic extinction"),
    Column("i_z", pa.float64(), "mag", "Colour i - z, corrected for Galactic extinction"),
    Column("z", pa.float64(), "", "Redshift"),
)
"""One row per object of a sample."""

_EXPLAINED = {
    "distance": "Sliced Wasserstein distance to the judging half, whitened features",
    "distance_error": "Its standard error by bootstrap over objects",
    "floor": "Distance of random disjoint real samples of the same size",
    "floor_spread": "Its standard deviation over random splits",
    "ratio": "distance / floor",
    "auc": "Area under the curve of a classifier that tells the sample from the judging half",
    "auc_error": "Its standard error",
}

SUMMARY_COLUMNS = (
    Column("catalogue", pa.string(), "", "Name of the real catalogue"),
    Column("sample", pa.string(), "", "fitting half, simulated, or the name of a control"),
    Column("n", pa.int64(), "", "Objects of the sample, and as many real ones, in the comparison"),
    Column("dropped", pa.int64(), "", "Objects of the sample without five finite features"),
    *(Column(name, pa.float64(), "", text) for name, text in _EXPLAINED.items()),
    *(
        Column(f"importance_{name}", pa.float64(), "", f"Loss of AUC when {name} is shuffled")
        for name in FEATURES
    ),
)
"""One row per sample."""


def objects(photometry: pd.DataFrame, catalogue: str, sample: str) -> pd.DataFrame:
    """The table `OBJECT_COLUMNS` of a sample.

    Args:
        photometry: `z`, and flux and ivar in the bands ugriz of SDSS, corrected for Galactic
            extinction, as surveys of photometry have them.
        catalogue: Name of the real catalogue.
        sample: Name of the sample.
    """

    magnitudes = [
        asinh_magnitude(
            photometry[f"{band.name}_flux"].to_numpy(np.float64),
            photometry[f"{band.name}_ivar"].to_numpy(np.float64),
            band.softening,
        )[0]
        for band in bands_of("sdss")
    ]
    colours = -np.diff(magnitudes, axis=0)
    return pd.DataFrame(
        {
            "catalogue": catalogue,
            "sample": sample,
            "r": magnitudes[2],
            **dict(zip(FEATURES, [*colours, photometry["z"]], strict=True)),
        }
    )


def features(table: pd.DataFrame) -> np.ndarray:
    """The features of the objects that have all five, shape (N, 5), float64."""

    values = table[list(FEATURES)].to_numpy(np.float64)
    return values[np.isfinite(values).all(axis=1)]


def halves(object_id: Iterable[str], seed: int = 0) -> np.ndarray:
    """Which objects may be used for fitting; the others judge.

    An object stays in its half whatever the order and number of the others.

    Args:
        object_id: Identifiers of N objects.
        seed: Seeds differ in the division.

    Returns:
        Shape (N,), bool.
    """

    return np.array(
        [
            hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()[0] < 128
            for name in object_id
        ],
        dtype=bool,
    )

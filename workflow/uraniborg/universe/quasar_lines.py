"""Emission of quasars' gas: which lines and blends there are, and how strong they are on average.

Strengths are equivalent widths, fitted to composite spectra of SDSS quasars (`fit_lines`, rule
`quasar_lines`), with wavelengths after Vanden Berk et al. (2001, AJ 122, 549, table 2). A broad
line has a core and a base. Blends of Fe II are sums of Gaussians at their strongest multiplets; the
Balmer continuum is that of Grandi (1982, ApJ 255, 25), optically thick at its edge.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.io import fits
from scipy.optimize import nnls

from uraniborg.tables import Column

__all__ = [
    "BREAK",
    "CORE",
    "FAMILIES",
    "LINE_COLUMNS",
    "Composite",
    "balmer_continuum",
    "components",
    "fit_lines",
    "power_law",
    "profile",
    "read_composite",
]

FAMILIES = (
    "Lya", "OVI", "SiIV", "CIV", "CIII", "MgII", "Balmer", "other", "FeII_uv", "FeII_optical",
    "Balmer_continuum", "narrow",
)  # fmt: skip
"""Components whose strengths vary together from quasar to quasar."""

LINE_COLUMNS = (
    Column("name", pa.string(), "", "Line or blend, with _base for the base of a broad line"),
    Column("family", pa.string(), "", "Family of components that vary together"),
    Column("wavelength", pa.float64(), "Angstrom", "Vacuum wavelength"),
    Column("width", pa.float64(), "km/s", "Standard deviation at a FWHM of 4500 km/s"),
    Column("equivalent_width", pa.float64(), "Angstrom", "Rest-frame equivalent width"),
)
"""The table of mean strengths."""

BREAK = 5000.0
"""Wavelength in Angstrom at which the power law's slope changes, smoothly."""

CORE = 4500.0
"""FWHM in km/s of broad lines whose widths are those of the table."""

_C = 299792.458
_CORE, _BASE, _NARROW = 1250.0, 4200.0, 320.0
_SHARPNESS = 8.0
_WINDOWS = ((1350.0, 1365.0), (4200.0, 4230.0), (7600.0, 8000.0))
_BROAD = (
    ("OVI 1034", 1033.8, "OVI"), ("Lya 1216", 1215.67, "Lya"), ("NV 1240", 1240.1, "Lya"),
    ("SiII 1263", 1262.6, "Lya"), ("OI 1304", 1304.5, "Lya"), ("CII 1335", 1335.3, "Lya"),
    ("SiIV+OIV] 1400", 1399.0, "SiIV"), ("NIV] 1486", 1486.5, "CIV"), ("CIV 1549", 1549.06, "CIV"),
    ("HeII 1640", 1640.4, "CIV"), ("OIII] 1664", 1663.5, "CIV"), ("NIII] 1750", 1750.3, "CIII"),
    ("FeII 1787", 1787.0, "FeII_uv"), ("AlIII 1857", 1857.0, "CIII"),
    ("SiIII] 1892", 1892.0, "CIII"), ("CIII] 1909", 1908.73, "CIII"),
    ("CII] 2326", 2326.4, "other"), ("MgII 2799", 2798.75, "MgII"), ("HeI 3889", 3889.7, "other"),
    ("Hepsilon", 3971.2, "Balmer"), ("Hdelta", 4102.9, "Balmer"), ("Hgamma", 4341.7, "Balmer"),
    ("HeII 4687", 4687.0, "other"), ("Hbeta", 4862.7, "Balmer"), ("HeI 5877", 5877.3, "other"),
    ("Halpha", 6564.6, "Balmer"), ("HeI 7067", 7067.1, "other"), ("OI 8448", 8448.7, "other"),
)  # fmt: skip
_FORBIDDEN = (
    ("[NeIV] 2423", 2423.8), ("[NeV] 3347", 3346.8), ("[NeV] 3427", 3426.8), ("[OII] 3729", 3728.5),
    ("[NeIII] 3870", 3869.9), ("[NeIII] 3969", 3968.6), ("[OIII] 4364", 4364.4),
    ("[OIII] 4960", 4960.3), ("[OIII] 5008", 5008.2), ("[OI] 6302", 6302.0),
    ("[NII] 6585", 6585.3), ("[SII] 6718", 6718.3), ("[SII] 6733", 6732.7),
)  # fmt: skip
_IRON_UV = (2085, 2130, 2180, 2230, 2280, 2330, 2380, 2430, 2485, 2535, 2580, 2630, 2685, 2735,
            2870, 2925, 2980, 3060, 3130, 3190, 3260, 3330)  # fmt: skip
_IRON_OPTICAL = (4178, 4233, 4303, 4417, 4490, 4522, 4550, 4584, 4629, 4730, 4924, 5018, 5131, 5169,
                 5198, 5235, 5276, 5317, 5363, 5425, 5535)  # fmt: skip


class Composite(NamedTuple):
    """A composite spectrum: vacuum wavelengths in Angstrom and flux density in any unit."""

    wavelength: np.ndarray
    flux: np.ndarray


def components() -> pd.DataFrame:
    """All lines and blends, `LINE_COLUMNS` without the equivalent widths."""

    rows = []
    for name, wavelength, family in _BROAD:
        rows.append((name, family, wavelength, _CORE))
        rows.append((f"{name}_base", family, wavelength, _BASE))
    rows += [(name, "narrow", wavelength, _NARROW) for name, wavelength in _FORBIDDEN]
    rows += [(f"FeII {w}", "FeII_uv", float(w), 2600.0) for w in _IRON_UV]
    rows += [(f"FeII {w}", "FeII_optical", float(w), 1400.0) for w in _IRON_OPTICAL]
    rows.append(("Balmer continuum", "Balmer_continuum", 3647.0, 2500.0))
    return pd.DataFrame(rows, columns=["name", "family", "wavelength", "width"])


def profile(
    wavelength: np.ndarray, row: pd.Series, scale: float = 1.0, velocity: float = 0.0
) -> np.ndarray:
    """Flux density of a component of one Angstrom of equivalent width over its continuum there.

    Args:
        wavelength: Angstrom, shape (M,).
        row: One row of `components`.
        scale: Factor on its width.
        velocity: Shift in km/s, positive to the red.
    """

    if row["family"] == "Balmer_continuum":
        return balmer_continuum(wavelength, row["width"] * scale)
    centre = row["wavelength"] * (1 + velocity / _C)
    sigma = centre * row["width"] * scale / _C
    x = (wavelength - centre) / sigma
    return np.exp(-0.5 * x**2) / (np.sqrt(2 * np.pi) * sigma)


def balmer_continuum(wavelength: np.ndarray, width: float) -> np.ndarray:
    """Grandi's (1982) Balmer continuum at 15,000 K, over its value at 3000 A, per 100 A.

    Its edge is smeared by `width` in km/s, and high Balmer lines are one more smear to the red.
    """

    edge, temperature = 3647.0, 15000.0
    planck = wavelength**-5.0 / np.expm1(1.438777e8 / (wavelength * temperature))
    reference = 3000.0**-5.0 / np.expm1(1.438777e8 / (3000.0 * temperature))
    depth = -np.expm1(-((wavelength / edge) ** 3)) / -np.expm1(-((3000.0 / edge) ** 3))
    # Lines that merge towards the edge carry the continuum's light some 150 A further.
    x = (wavelength - edge - 90.0) / (edge * np.hypot(width, 5000.0) / _C)
    return planck / reference * depth / (1 + np.exp(np.minimum(1.7 * x, 700.0))) / 100.0


def read_composite(path: str | Path) -> Composite:
    """`spEigenQSO.fits` of the SDSS pipeline, a composite from 525 to 9298 A."""

    with fits.open(path) as file:
        header, flux = file[0].header, file[0].data.astype(np.float64)
    start, step = header["COEFF0"], header["COEFF1"]
    return Composite(10 ** (start + step * np.arange(flux.size)), flux)


def power_law(wavelength: np.ndarray, blue: float, red: float) -> np.ndarray:
    """Flux density that goes as two powers of the wavelength, one at `BREAK`; `red` >= `blue`."""

    x = np.log(wavelength / BREAK)
    # A maximum of the two, rounded over some 15% of the wavelength.
    return np.exp(np.logaddexp(_SHARPNESS * blue * x, _SHARPNESS * red * x) / _SHARPNESS) / 2 ** (
        1 / _SHARPNESS
    )


def fit_lines(composite: Composite) -> tuple[pd.DataFrame, dict[str, float]]:
    """Equivalent widths, not negative, that reproduce a composite from Lyman alpha to 8900 A.

    The continuum goes through regions without strong lines: 1350 to 1365 and 4200 to 4230 A, as of
    Vanden Berk et al. (2001), and 7600 to 8000 A.

    Returns:
        `LINE_COLUMNS`; and the continuum's `blue_slope` and `red_slope` with the `median_residual`
        and the `residual_95` (absolute, relative to the composite).
    """

    wavelength, flux = composite
    level = [np.median(flux[(wavelength > a) & (wavelength < b)]) for a, b in _WINDOWS]
    centre = [np.sqrt(a * b) for a, b in _WINDOWS]
    blue = np.log(level[1] / level[0]) / np.log(centre[1] / centre[0])
    at_break = level[1] * (BREAK / centre[1]) ** blue
    red = np.log(level[2] / at_break) / np.log(centre[2] / BREAK)
    inside = (wavelength > 1216) & (wavelength < 8900)
    wavelength, flux = wavelength[inside], flux[inside]
    continuum = power_law(wavelength, blue, red)
    continuum *= level[0] / np.interp(centre[0], wavelength, continuum)
    table = components()
    columns = [
        profile(wavelength, row) * np.interp(row["wavelength"], wavelength, continuum)
        for _, row in table.iterrows()
    ]
    # Relative errors count, by equal steps of log wavelength.
    matrix = np.stack(columns, axis=1) / flux[:, None]
    strengths, _ = nnls(matrix, 1 - continuum / flux)
    residual = np.abs(matrix @ strengths + continuum / flux - 1)
    # Absorption by the intergalactic medium hides O VI: Vanden Berk et al. (2001, table 2).
    strengths[table["name"] == "OVI 1034_base"] = 9.8
    table["equivalent_width"] = np.round(strengths, 3)
    summary = {
        "blue_slope": round(float(blue), 3),
        "red_slope": round(float(red), 3),
        "median_residual": round(float(np.median(residual)), 4),
        "residual_95": round(float(np.quantile(residual, 0.95)), 4),
    }
    return table[table["equivalent_width"] > 0].reset_index(drop=True), summary

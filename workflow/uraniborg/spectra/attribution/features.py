"""What an attribution points at, in words: spectral lines, the sky, the instrument, the continuum.

Peaks of the positive attribution are told apart where the valley between them is deep. Each is
named after what it covers: a line of the object, a line of the sky, the join of the spectrograph's
arms, or its range of rest wavelengths if there is nothing of these. No pixel counts twice.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from uraniborg.spectra.attribution.names import CATEGORIES, ELSEWHERE
from uraniborg.spectra.lines import ABSORPTION_FEATURES, EMISSION_LINES, LINES, SKY_FEATURES, Line
from uraniborg.tables import Column

__all__ = [
    "BROAD_LINES",
    "FEATURE_COLUMNS",
    "SUMMARY_COLUMNS",
    "bright_sky",
    "feature_summary",
    "features",
]

BROAD_LINES = (
    Line("Lyα", 1215.7),
    Line("Si IV", 1396.8),
    Line("C IV", 1549.1),
    Line("C III]", 1908.7),
    Line("Mg II", 2799.1),
    Line("Hδ", 4102.9),
    Line("Hγ", 4341.7),
    Line("He II", 4687.0),
    Line("Hβ", 4862.7),
    Line("He I", 5877.2),
    Line("Hα", 6564.6),
)
"""Permitted lines that active nuclei have broad (Vanden Berk et al. 2001, AJ 122, 549, Table 2)."""

# In the far blue, for objects at higher redshifts: as in the SDSS table of spectral lines.
_ULTRAVIOLET = (
    *(line for line in BROAD_LINES if line.wavelength < 3000),
    Line("[Ne V]", 3346.8),
    Line("[Ne V]", 3426.8),
)

FEATURE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("place", pa.int64(), "", "Place among the object's features by share, from 1"),
    Column("name", pa.string(), "", "A line's name, or a range of rest wavelengths in Angstrom"),
    Column("category", pa.string(), "", f"One of {', '.join(CATEGORIES)}"),
    Column("share", pa.float64(), "", "Share of the object's positive attribution"),
    Column("peak", pa.float64(), "Angstrom", "Observed vacuum wavelength of the largest value"),
    Column("low", pa.float64(), "Angstrom", "Observed wavelength where it falls below half of it"),
    Column("high", pa.float64(), "Angstrom", "The same on the red side"),
)
"""One row per object and feature; what is elsewhere comes last, without wavelengths."""

SUMMARY_COLUMNS = (
    Column("group", pa.string(), "", "Kind or class of the objects; all for all"),
    Column("name", pa.string(), "", "The feature"),
    Column("category", pa.string(), "", f"One of {', '.join(CATEGORIES)}"),
    Column("n", pa.int64(), "", "Objects of the group"),
    Column("n_with", pa.int64(), "", "Those of which it is a feature"),
    Column("n_first", pa.int64(), "", "Those of which it is the first feature"),
    Column("share", pa.float64(), "", "Mean share of the positive attribution, 0 without it"),
    Column("share_error", pa.float64(), "", "Its standard error"),
)
"""One row per group and feature, by falling share."""

# Standard deviation in pixels by which attributions are smoothed to find peaks; and, as a fraction
# of the wavelength, to find broad lines (350 km/s).
_SMOOTH, _COARSE = 1.5, 1.15e-3
# A peak stands out from the deeper valley by this share of the highest one's value, and ends where
# it falls below this share of its own.
_PROMINENCE, _FOOT = 0.1, 0.2
# Widths at half height, as fractions of the wavelength: the largest of what is narrow (1500 km/s);
# the least of a broad line after smoothing (2600 km/s: occlusion makes peaks at narrow H-alpha and
# [N II] together 2000 to 2400 km/s wide); and the largest of what is named after a line that is not
# broad (4500 km/s) and that is (20,000 km/s).
_NARROW, _BROAD, _OF_LINE, _OF_BROAD = 5e-3, 8.8e-3, 1.5e-2, 6.7e-2
# By how much broad lines may be shifted (2000 km/s).
_SHIFT = 7e-3
# Names reach as far beyond half height (300 km/s), bands of the atmosphere as far from the peak.
_REACH, _BAND = 1e-3, 5e-3
# Where arms overlap, spectra change over within some tens of Angstrom, as a fraction (assumed).
_JOIN = 5e-3
# Rest wavelengths of continuum are named in steps of so many Angstrom.
_STEP = 500
# Observed wavelength in Angstrom of the bluest strong band of OH in the night sky.
_BLUEST_OH = 6385.0

_BANDS = tuple(line for line in SKY_FEATURES if line.name.endswith("band"))
_SKY_LINES = tuple(line for line in SKY_FEATURES if line not in _BANDS)
_FURTHER_LINES = (*_ULTRAVIOLET, *EMISSION_LINES, *ABSORPTION_FEATURES)


def features(
    object_id: str,
    attribution: np.ndarray,
    wavelength: np.ndarray,
    z: float,
    joins: Sequence[float] = (),
    sky: np.ndarray | None = None,
    least: float = 0.02,
) -> pd.DataFrame:
    """The features of one object.

    Args:
        object_id: Its identifier.
        attribution: Shape (L,); what is negative, not finite or masked (0) is no feature.
        wavelength: Observed vacuum wavelengths in Angstrom, shape (L,).
        z: Redshift that lines are looked for at.
        joins: Observed wavelengths at which the arms of the spectrograph meet, such as those of
            `uraniborg.surveys.contamination.ARMS`.
        sky: Pixels in bright lines of the night sky, shape (L,), bool, see `bright_sky`.
        least: Share of the positive attribution below which nothing is a feature.

    Returns:
        The columns `FEATURE_COLUMNS`; no rows if nothing is positive.
    """

    names = [column.name for column in FEATURE_COLUMNS]
    positive = np.nan_to_num(attribution, nan=0, posinf=0, neginf=0).clip(0).astype(np.float64)
    if not positive.any():
        types = {column.name: column.type.to_pandas_dtype() for column in FEATURE_COLUMNS}
        return pd.DataFrame(columns=names).astype(types)
    positive /= positive.sum()
    rows, left = [], np.full(len(positive), True)
    # Broad lines first, with all that is within them.
    pixel = np.median(np.diff(np.log(wavelength)))
    smooth = gaussian_filter1d(positive, _COARSE / pixel, mode="constant")
    for peak, first, last in _peaks(smooth):
        ends = wavelength[[peak, *_half(smooth, peak, first, last)]]
        if line := _broad_line(*ends, z):
            share = positive[first : last + 1].sum()
            rows.append((f"broad {line.name}", "broad line", share, *ends, smooth[peak]))
            left[first : last + 1] = False
    smooth = gaussian_filter1d(positive, _SMOOTH, mode="constant")
    for peak, first, last in _peaks(smooth):
        if not left[peak]:
            continue
        ends = wavelength[[peak, *_half(smooth, peak, first, last)]]
        named = _named(*ends, z, joins, sky is not None and bool(sky[peak]))
        share = (positive * left)[first : last + 1].sum()
        rows.append((*named, share, *ends, smooth[peak]))
    table = pd.DataFrame(rows, columns=[*names[2:], "height"])
    # Peaks of the same name are one feature, whose wavelengths are those of the highest.
    table = table.sort_values("height", ascending=False, kind="stable").drop(columns="height")
    first = dict.fromkeys(("peak", "low", "high"), "first")
    table = table.groupby(names[2:4], as_index=False, sort=False).agg({"share": "sum", **first})
    table = table[table["share"] >= least].sort_values("share", ascending=False, kind="stable")
    rest = {"name": ELSEWHERE, "category": ELSEWHERE, "share": max(0.0, 1 - table["share"].sum())}
    rest |= dict.fromkeys(first, np.nan)
    table = pd.concat([table, pd.DataFrame([rest])], ignore_index=True)
    return table.assign(object_id=object_id, place=np.arange(1, len(table) + 1))[names]


def bright_sky(line: np.ndarray, continuum: np.ndarray) -> np.ndarray:
    """Pixels in which lines of the night sky are brighter than its continuum, shape (L,).

    Args:
        line: Flux density of the lines, shape (L,), such as `line` of a spectrograph's noise table.
        continuum: That of the rest, shape (L,), its `sky`.
    """

    return line > continuum


def feature_summary(
    tables: pd.DataFrame, groups: Mapping[str, str], least_objects: int = 1
) -> pd.DataFrame:
    """Which features make outliers: mean shares over the objects of each group, and over all.

    Args:
        tables: The columns `FEATURE_COLUMNS` of many objects.
        groups: Group of each object by identifier, such as kinds or classes. Those that have no
            features count as well.
        least_objects: Features of fewer objects of a group are left out.

    Returns:
        The columns `SUMMARY_COLUMNS`.
    """

    group_of = pd.Series(dict(groups), dtype=object)
    shares = tables[tables["object_id"].isin(group_of.index)]
    shares = shares.assign(group=shares["object_id"].map(group_of))
    sizes = group_of.value_counts()
    parts = [
        _summary(shares, "all", len(group_of)),
        *(
            _summary(shares[shares["group"] == name], name, sizes[name])
            for name in sorted(sizes.index)
        ),
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[table["n_with"] >= least_objects].reset_index(drop=True)


def _summary(shares: pd.DataFrame, group: str, number: int) -> pd.DataFrame:
    """Rows of one group of so many objects."""

    shares = shares.assign(square=shares["share"] ** 2, first=shares["place"] == 1)
    table = shares.groupby(["name", "category"], as_index=False).agg(
        n_with=("share", "size"),
        n_first=("first", "sum"),
        total=("share", "sum"),
        squares=("square", "sum"),
    )
    mean = table["total"] / number
    variance = (table["squares"] / number - mean**2).clip(lower=0)
    error = np.sqrt(variance / (number - 1)) if number > 1 else np.nan
    table = table.assign(group=group, n=number, share=mean, share_error=error)
    table = table.sort_values(["share", "name"], ascending=[False, True])
    return table[[column.name for column in SUMMARY_COLUMNS]]


def _peaks(smooth: np.ndarray) -> list[tuple[int, int, int]]:
    """The top of each peak and the pixels, first and last, that are its own."""

    # Ends of the spectrum are valleys, so that what rises up to them is a peak as well.
    padded = np.pad(smooth, 1)
    tops = find_peaks(padded, prominence=_PROMINENCE * smooth.max())[0] - 1
    valleys = [a + int(smooth[a : b + 1].argmin()) for a, b in pairwise(tops)]
    firsts, lasts = [0, *(v + 1 for v in valleys)], [*valleys, len(smooth) - 1]
    peaks = []
    for top, first, last in zip(tops, firsts, lasts, strict=True):
        below = smooth < _FOOT * smooth[top]
        left, right = np.flatnonzero(below[first:top]), np.flatnonzero(below[top : last + 1])
        start = first + left[-1] + 1 if len(left) else first
        end = top + right[0] - 1 if len(right) else last
        peaks.append((int(top), int(start), int(end)))
    return peaks


def _half(smooth: np.ndarray, top: int, first: int, last: int) -> tuple[int, int]:
    """First and last pixel of a peak before it falls below half of its height."""

    below = smooth < smooth[top] / 2
    left, right = np.flatnonzero(below[first:top]), np.flatnonzero(below[top : last + 1])
    low = first + left[-1] + 1 if len(left) else first
    return int(low), int(top + right[0] - 1 if len(right) else last)


def _broad_line(peak: float, low: float, high: float, z: float) -> Line | None:
    """The broad line that a smoothed peak is, if it is as wide as one."""

    wide = _BROAD <= (high - low) / peak <= _OF_BROAD
    ends = peak * (1 - _SHIFT), peak * (1 + _SHIFT)
    return _nearest(BROAD_LINES, peak, *ends, 1 + z) if wide else None


def _named(
    peak: float, low: float, high: float, z: float, joins: Sequence[float], in_sky: bool
) -> tuple[str, str]:
    """Name and category of a peak that is at least half as high between two wavelengths."""

    width, stretch = (high - low) / peak, 1 + z
    narrow, ends = width <= _NARROW, (low * (1 - _REACH), high * (1 + _REACH))
    strong = _nearest(LINES, peak, *ends, stretch) if width <= _OF_LINE else None
    night = _nearest(_SKY_LINES, peak, *ends) if narrow else None
    if night and _misses(night, peak) <= (_misses(strong, peak, stretch) if strong else np.inf):
        return f"{night.name} {night.wavelength:.0f}", "sky"
    if strong:
        return strong.name, "line"
    if narrow and any(abs(peak / join - 1) <= _JOIN for join in joins):
        return "join of arms", "instrument"
    if narrow and in_sky:
        return "OH sky" if peak > _BLUEST_OH else "other sky lines", "sky"
    if width <= _OF_LINE and (line := _nearest(_FURTHER_LINES, peak, *ends, stretch)):
        return line.name, "line"
    if width <= _OF_LINE and (
        band := _nearest(_BANDS, peak, peak * (1 - _BAND), peak * (1 + _BAND))
    ):
        return f"{band.name} {band.wavelength:.0f}", "sky"
    return _range(peak / stretch, low / stretch, high / stretch), "continuum"


def _nearest(
    lines: Sequence[Line], peak: float, low: float, high: float, stretch: float = 1.0
) -> Line | None:
    """The line between two observed wavelengths that is nearest to the peak."""

    inside = [line for line in lines if low <= line.wavelength * stretch <= high]
    return min(inside, key=lambda line: _misses(line, peak, stretch), default=None)


def _misses(line: Line, peak: float, stretch: float = 1.0) -> float:
    """By what fraction of the wavelength."""

    return abs(line.wavelength * stretch / peak - 1)


def _range(peak: float, low: float, high: float) -> str:
    """A range of rest wavelengths: the step that the peak is in, or all that it covers."""

    if high - low < _STEP:
        low = high = peak
    first, last = np.floor(low / _STEP), np.floor(high / _STEP) + 1
    return f"{first * _STEP:.0f}–{last * _STEP:.0f} Å"

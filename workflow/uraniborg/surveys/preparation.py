"""What happens to every spectrum, real or simulated: masking, pixel grid, normalisation, S/N.

Arrays have one row per spectrum. A pixel without information has ivar 0 and flux 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.rebinning import resample_spectra
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.selection import failed_cut
from uraniborg.tables import QUARANTINE_COLUMNS, SPECTRUM_COLUMNS

__all__ = [
    "DUPLICATE",
    "Observations",
    "Snapped",
    "masked",
    "normalisation",
    "prepare",
    "quarantine_table",
    "quarantined",
    "resampled",
    "signal_to_noise",
    "snap",
]

NORMALISATION_WINDOW = (5300.0, 5850.0)
"""Rest-frame wavelengths in Angstrom whose median flux is the norm (SPENDER, arXiv:2211.07890)."""

NORMALISATION_PIXELS = 10
"""Good pixels that the window needs, so that a few noisy ones do not decide."""


LARGEST_OFFSET = 0.1
"""Pixels by which wavelengths may differ from the grid's; single precision makes 0.003."""

DUPLICATE = ("duplicate of an object_id that came before", "Remove one of the two.")
"""Reason and remedy of an object that is there twice."""


@dataclass(frozen=True)
class Observations:
    """Spectra as a reader finds them, each on its own wavelengths.

    Args:
        scalars: `object_id`, `ra`, `dec`, `z`, `z_err`, `zwarning`, `spectype` and `subclass`,
            each of shape (N,). What only the selection looks at may be there too: `fiberstatus`,
            `deltachi2`, and `target`, names joined by spaces.
        wavelength: Vacuum Angstrom, shape (N, P); 0, negative or not finite where there is no data.
        flux: In 1e-17 erg s-1 cm-2 Angstrom-1, shape (N, P).
        ivar: Its inverse variance, shape (N, P).
        bad: Pixels that the survey's mask rejects, shape (N, P).
    """

    scalars: Mapping[str, np.ndarray]
    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    bad: np.ndarray


class Snapped(NamedTuple):
    """Spectra on the pixels of a grid: see `snap`."""

    flux: np.ndarray
    ivar: np.ndarray
    offset: np.ndarray


def masked(
    flux: np.ndarray, ivar: np.ndarray, bad: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar with both 0 where a pixel is bad, not finite, or its ivar is not positive.

    Args:
        flux: Shape (N, P).
        ivar: Shape (N, P).
        bad: Further pixels to mask, shape (N, P).

    Returns:
        New arrays of flux and ivar, float32.
    """

    with np.errstate(over="ignore"):
        flux, ivar = np.array(flux, np.float32), np.array(ivar, np.float32)
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    if bad is not None:
        good &= ~np.asarray(bad, bool)
    flux[~good] = 0
    ivar[~good] = 0
    return flux, ivar


def snap(
    grid: WavelengthGrid, wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray
) -> Snapped:
    """Puts spectra whose pixels coincide with those of a grid onto it, without interpolation.

    Pixels beyond the grid are dropped; grid pixels without data get 0. A spectrum on other pixels
    is not resampled: its `offset` tells.

    Args:
        grid: The pixels to use, of kind log10 or linear.
        wavelength: Vacuum Angstrom, shape (N, P); 0, negative or not finite where there is no data.
        flux: Shape (N, P).
        ivar: Shape (N, P).

    Returns:
        Flux and ivar of shape (N, grid.size), float32, and the largest distance between a
        spectrum's pixels and those they were put on, in pixels, shape (N,); it is infinite
        where no pixel falls on the grid or two fall on the same one.
    """

    number = len(wavelength)
    data = np.isfinite(wavelength) & (wavelength > 0)
    coordinate = np.where(data, wavelength, 1.0).astype(np.float64)
    coordinate = np.log10(coordinate) if grid.kind == "log10" else coordinate
    exact = (coordinate - grid.start) / grid.step
    pixel = np.rint(exact)
    inside = data & (pixel >= 0) & (pixel < grid.size)
    offset = np.where(inside, np.abs(exact - pixel), 0).max(axis=1, initial=0)
    row, column = np.nonzero(inside)
    target = pixel[inside].astype(np.int64)
    output = np.zeros((2, number, grid.size), np.float32)
    output[0, row, target] = flux[row, column]
    output[1, row, target] = ivar[row, column]
    filled = np.zeros((number, grid.size), bool)
    filled[row, target] = True
    pixels = inside.sum(axis=1)
    offset[(pixels == 0) | (filled.sum(axis=1) < pixels)] = np.inf
    return Snapped(output[0], output[1], offset)


def resampled(
    grid: WavelengthGrid, wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray
) -> Snapped:
    """Averages spectra on any pixels over those of a grid, conserving flux.

    See `uraniborg.instruments.rebinning` for what that does to the noise. Arguments and result are
    those of `snap`; wavelengths may come in any order, and where there is a gap in them nothing is
    known. The offset is 0, and infinite where nothing falls on the grid.
    """

    if _even(wavelength):
        result = _resampled(grid, wavelength[0].copy(), flux, ivar)
        overlaps = (grid.edges[-1] > wavelength[0, 0]) & (grid.edges[0] < wavelength[0, -1])
        return Snapped(*result, np.full(len(wavelength), 0.0 if overlaps else np.inf))
    output = np.zeros((2, len(wavelength), grid.size), np.float32)
    offset = np.full(len(wavelength), np.inf)
    for row in range(len(wavelength)):
        data = np.isfinite(wavelength[row]) & (wavelength[row] > 0)
        centre, first = np.unique(wavelength[row][data].astype(np.float64), return_index=True)
        if len(centre) < 2:
            continue
        values = flux[row][data][first], ivar[row][data][first]
        centre_and_gaps, *values = _with_gaps(centre, *values)
        output[:, row, None] = _resampled(grid, centre_and_gaps, *(v[None] for v in values))
        overlaps = (grid.edges[-1] > centre[0]) & (grid.edges[0] < centre[-1])
        offset[row] = 0 if overlaps else np.inf
    return Snapped(output[0], output[1], offset)


def _resampled(
    grid: WavelengthGrid, wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar (N, grid.size) of spectra (N, P) on the same wavelengths (P,)."""

    pixels = (torch.from_numpy(np.ascontiguousarray(a)) for a in (flux, ivar, wavelength))
    result = resample_spectra(*pixels, grid)
    return result.flux.numpy(), result.ivar.numpy()


def _even(wavelength: np.ndarray) -> bool:
    """Whether all spectra have the same wavelengths, which rise without a gap."""

    first = wavelength[:1]
    if not (len(first) and np.isfinite(first).all() and (first > 0).all()):
        return False
    step = np.diff(first[0])
    rises = len(step) > 1 and (step > 0).all() and (step[1:] < 1.5 * step[:-1]).all()
    return bool(rises and (step[:-1] < 1.5 * step[1:]).all() and (wavelength == first).all())


def _with_gaps(
    wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pixel without information at either side of every gap, so that none is thought wide."""

    step = np.diff(wavelength)
    usual = np.minimum(np.append(step[1:], step[-1]), np.append(step[0], step[:-1]))
    gap = np.flatnonzero(step > 3 * usual)
    added = np.concatenate([wavelength[gap] + usual[gap], wavelength[gap + 1] - usual[gap]])
    order = np.argsort(np.concatenate([wavelength, added]), kind="stable")
    nothing = np.zeros(len(added), np.float32)
    return (
        np.concatenate([wavelength, added])[order],
        np.concatenate([flux, nothing])[order],
        np.concatenate([ivar, nothing])[order],
    )


def normalisation(
    wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """The flux density that spectra are divided by before a model sees them.

    It is the median flux of good pixels in rest-frame 5300 to 5850 Angstrom, or, where fewer than
    ten of them are good or the redshift is NaN, of all good pixels. Nothing says that it is
    positive.

    Args:
        wavelength: Observed frame, Angstrom, shape (P,).
        flux: Shape (N, P).
        ivar: Shape (N, P), 0 where a pixel is bad.
        z: Redshifts, shape (N,).

    Returns:
        Shape (N,), NaN for a spectrum without a good pixel.
    """

    low, high = (edge * (1 + np.asarray(z)[:, None]) for edge in NORMALISATION_WINDOW)
    good = ivar > 0
    window = good & (wavelength >= low) & (wavelength <= high)
    enough = window.sum(axis=1, keepdims=True) >= NORMALISATION_PIXELS
    return _median(flux, np.where(enough, window, good))


def signal_to_noise(flux: np.ndarray, ivar: np.ndarray) -> np.ndarray:
    """The median signal-to-noise ratio per good pixel.

    Args:
        flux: Shape (N, P).
        ivar: Shape (N, P), 0 where a pixel is bad.

    Returns:
        Shape (N,), NaN for a spectrum without a good pixel.
    """

    return _median(flux * np.sqrt(ivar), ivar > 0)


def _median(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The median over the good pixels of each row, float64."""

    # Bad pixels sort to the end, so that the middle is found by counting the good ones.
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    count = good.sum(axis=1)
    row = np.arange(len(values))
    middle = (
        ordered[row, np.maximum(count - 1, 0) // 2].astype(np.float64)
        + ordered[row, np.minimum(count // 2, values.shape[1] - 1)]
    ) / 2
    return np.where(count > 0, middle, np.nan)


def prepare(
    observations: Observations,
    source: str,
    survey: Survey,
    grid: WavelengthGrid,
    seen: set[str],
    left_out: list[dict[str, str]],
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """The observations that may stay, on the survey's grid, with norm and signal-to-noise ratio.

    Args:
        observations: As a reader or the simulation gives them.
        source: What the quarantine table names as where they came from.
        survey: Says how to normalise and select.
        grid: Wavelengths of the survey's spectra.
        seen: Identifiers that came before; those that stay are added.
        left_out: Entries of the quarantine table; those that do not stay are added.

    Returns:
        The columns of `uraniborg.tables.SPECTRUM_COLUMNS`, flux and ivar, of what stays.

    Raises:
        UserError: The selection looks at something that the observations lack.
    """

    scalars = dict(observations.scalars)
    missing = ~np.isfinite(scalars["z"])
    scalars["z"] = np.where(missing, np.nan, scalars["z"])
    scalars["z_err"] = np.where(missing, np.nan, scalars["z_err"])
    flux, ivar = masked(observations.flux, observations.ivar, observations.bad)
    placed = resampled if survey.resample or survey.log10_step else snap
    flux, ivar, offset = placed(grid, observations.wavelength, flux, ivar)
    z = scalars["z"]
    scalars["snr"] = signal_to_noise(flux, ivar)
    scalars["norm"] = np.ones(len(z))
    if survey.normalisation == "restframe":
        scalars["norm"] = normalisation(grid.wavelength, flux, ivar, z)

    edges = f"{grid.wavelength[0]:.0f} to {grid.wavelength[-1]:.0f} Angstrom"
    to_estimate = missing & (survey.missing_redshift == "estimate")
    cut = failed_cut(survey.selection, scalars, (ivar > 0).mean(axis=1), to_estimate)
    file = f"config/surveys/{survey.name}.yaml"
    # In this order: the first that holds is the reason.
    problems = [
        (
            np.isinf(offset),
            f"has no pixels on the grid of instrument {survey.instrument}, {edges}",
            f"Set `instrument` in {file} to the one that took it.",
        ),
        (
            offset > LARGEST_OFFSET,
            f"has other pixels than the grid of instrument {survey.instrument}",
            f"Set `instrument` in {file} to the one that took it, or `resample: true`.",
        ),
        (
            missing & ~to_estimate,
            "has no finite redshift",
            f"Give it a redshift, or set `missing_redshift: estimate` in {file}.",
        ),
        (~(ivar > 0).any(axis=1), "has no good pixel", "Check its ivar and mask."),
        (cut != "", cut, f"Widen `selection` in {file}."),
        (
            ~(scalars["norm"] > 0),
            "has a median flux that is not positive",
            f"Set `selection: snr_min` in {file}, or `normalisation: none`.",
        ),
    ]
    reason, remedy = np.full(len(z), "", object), np.full(len(z), "", object)
    for holds, why, what in problems:
        holds = holds & (reason == "")
        reason = np.where(holds, np.where(cut == why, "selection: " + cut, why), reason)
        remedy = np.where(holds, what, remedy)
    for row, object_id in enumerate(scalars["object_id"]):
        if reason[row] == "" and object_id in seen:
            reason[row], remedy[row] = DUPLICATE
        elif reason[row] == "":
            seen.add(object_id)
    left_out.extend(
        quarantined(source, str(scalars["object_id"][row]), reason[row], remedy[row])
        for row in np.flatnonzero(reason != "")
    )
    keep = reason == ""
    columns = {column.name: scalars[column.name][keep] for column in SPECTRUM_COLUMNS}
    return columns, flux[keep], ivar[keep]


def quarantined(source: str, object_id: str, reason: str, remedy: str) -> dict[str, str]:
    """An entry of the quarantine table."""

    return {"source": source, "object_id": object_id, "reason": reason, "remedy": remedy}


def quarantine_table(entries: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """The entries as a table, empty if there are none."""

    return pd.DataFrame(entries, columns=[column.name for column in QUARANTINE_COLUMNS])

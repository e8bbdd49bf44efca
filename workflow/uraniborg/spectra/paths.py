"""Paths between galaxies through the latent space, and the real galaxies that they pass."""

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.claims import median
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.generation import compared, decoded, latents_of
from uraniborg.tables import Column, Spectra

__all__ = ["PATH_COLUMNS", "nearest", "path_distances", "path_table"]

PATH_COLUMNS = (
    Column("step", pa.int64(), "", "Step of the path, from 0"),
    Column("object_id", pa.string(), "", "Held-out galaxy whose decoded spectrum is most alike"),
    Column("difference", pa.float64(), "", "Rms difference to it in units of the mean flux"),
    Column("wavelength", pa.float32(), "Angstrom", "Rest-frame vacuum wavelength"),
    Column("path", pa.float32(), "", "Decoded on the path, over its mean in 3800-7000 Angstrom"),
    Column("neighbour", pa.float32(), "", "Data of that galaxy in the rest frame, likewise"),
    Column("neighbour_truth", pa.float32(), "", "Its noiseless flux, NaN for real data"),
)
"""Columns of the spectra along a path."""

# Pairs of galaxies whose paths are measured, and places on them: the last is beyond the end, where
# no galaxy should be.
_PAIRS = 300
_PLACES = {"interpolation": 0.5, "extrapolation": 2.0}


def path_table(
    model: SpectrumAutoencoder,
    objects: pd.DataFrame,
    ends: tuple[str, str],
    steps: int,
    spectra: Spectra,
    truth: Spectra | None = None,
) -> pd.DataFrame:
    """Spectra on the straight line between the latents of two galaxies, beside the real galaxy
    that is most like each; the ends themselves do not count as neighbours.

    Args:
        model: The trained model.
        objects: Held-out objects: `object_id`, `z` and latents.
        ends: Identifiers of the galaxies at either end.
        steps: Spectra on the path, both ends included.
        spectra: The survey.
        truth: Its noiseless spectra in the same order, if it is simulated.

    Returns:
        The columns of `PATH_COLUMNS`, one row per step and pixel.
    """

    wavelength = model.transform.restframe.wavelength
    latents, identifiers = latents_of(objects), objects["object_id"].to_numpy()
    first, last = (int(np.flatnonzero(identifiers == end)[0]) for end in ends)
    fraction = np.linspace(0, 1, steps)[:, None]
    restframe = decoded(model, latents[first] + fraction * (latents[last] - latents[first]))
    exclude = np.isin(np.arange(len(latents)), [first, last])
    neighbours, difference = nearest(
        wavelength, restframe, decoded(model, latents), np.tile(exclude, (steps, 1))
    )
    row_of = {name: row for row, name in enumerate(spectra.column("object_id"))}
    rows = np.array([row_of[name] for name in identifiers[neighbours]])
    flux, ivar = (spectra.vectors(name, rows) for name in ("flux", "ivar"))
    flux = np.where(ivar > 0, flux, np.nan)
    noiseless = np.full_like(flux, np.nan) if truth is None else truth.vectors("flux", rows)
    inside = compared(wavelength)
    parts = []
    for step, row in enumerate(neighbours):
        z = objects["z"].iloc[row]
        data, true = (
            _in_restframe(spectra.grid.wavelength / (1 + z), values[step], wavelength[inside])
            for values in (flux, noiseless)
        )
        # Both by one number, so that the noise cannot shift one against the other.
        level = np.nanmean(data if truth is None else true)
        columns = {
            "step": step,
            "object_id": identifiers[row],
            "difference": difference[step],
            "wavelength": wavelength[inside],
            "path": restframe[step, inside],
            "neighbour": data / level,
            "neighbour_truth": true / level,
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def path_distances(
    model: SpectrumAutoencoder, objects: pd.DataFrame, seed: int = 0
) -> dict[str, dict[str, float]]:
    """How far paths between galaxies are from the nearest real galaxy, in units of how far galaxies
    are from each other.

    Pairs are drawn from the third of the galaxies with the least and that with the greatest 4000
    Angstrom break. `interpolation_distance` is the median at the middle of their paths over the
    median from galaxies to their nearest neighbour; `extrapolation_control` the same as far beyond
    the end as the start is before it.

    Args:
        model: The trained model.
        objects: Held-out objects: `d4000` and latents.
        seed: Of the pairs.
    """

    wavelength = model.transform.restframe.wavelength
    latents = latents_of(objects)
    galaxies = decoded(model, latents)
    _, between = nearest(wavelength, galaxies, galaxies, np.eye(len(galaxies), dtype=bool))
    order, third = np.argsort(objects["d4000"].to_numpy()), max(1, len(objects) // 3)
    random = np.random.default_rng(seed)
    first, last = (
        random.choice(group, min(_PAIRS, third), replace=False)
        for group in (order[:third], order[-third:])
    )
    exclude = np.zeros((len(first), len(galaxies)), bool)
    exclude[np.arange(len(first)), first] = exclude[np.arange(len(last)), last] = True
    numbers = {}
    for name, place in _PLACES.items():
        restframe = decoded(model, latents[first] + place * (latents[last] - latents[first]))
        _, distance = nearest(wavelength, restframe, galaxies, exclude)
        numbers[name] = median(pd.Series(distance / np.median(between)))
    return {
        "interpolation_distance": numbers["interpolation"],
        "extrapolation_control": numbers["extrapolation"],
    }


def nearest(
    wavelength: np.ndarray, restframe: np.ndarray, galaxies: np.ndarray, exclude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The galaxy most like each spectrum: the least rms difference in 3800-7000 Angstrom.

    Args:
        wavelength: Angstrom, vacuum, shape (M,).
        restframe: Spectra as `decoded` gives them, shape (N, M).
        galaxies: Those of the galaxies, shape (G, M).
        exclude: Galaxies that do not count for each spectrum, shape (N, G).

    Returns:
        The row of each galaxy and the rms difference in units of the mean flux, each of shape (N,).
    """

    inside = compared(wavelength)
    spectra, others = restframe[:, inside], galaxies[:, inside]
    square = (
        np.square(spectra).sum(axis=1)[:, None]
        + np.square(others).sum(axis=1)
        - 2 * spectra @ others.T
    )
    distance = np.sqrt(np.maximum(square, 0) / inside.sum())
    distance[exclude] = np.inf
    rows = distance.argmin(axis=1)
    return rows, distance[np.arange(len(rows)), rows]


def _in_restframe(observed: np.ndarray, flux: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """Flux at rest-frame wavelengths, NaN outside the spectrum and next to masked pixels."""

    return np.interp(wavelength, observed, flux, left=np.nan, right=np.nan)

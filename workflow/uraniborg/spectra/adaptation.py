"""What real galaxies add to a model of simulated ones, learned from a few of them.

A rest-frame spectrum is what the model decodes, plus a mean correction m, plus a few correction
spectra V with one coefficient per object,

    y = A T_z [decoded + m + c V] + noise,   c ~ N(0, 1),

fitted by expectation maximisation to residuals (probabilistic principal components with a known
variance per pixel: Tipping & Bishop 1999, JRSS B 61, 611). A prior draws m and V to zero and to
smoothness, less so near lines: there are more pixels than galaxies could decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.autoencoder import SpectrumAutoencoder, best_fit_amplitude
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.lines import EMISSION_LINES

__all__ = [
    "AdaptationSettings",
    "Correction",
    "Residuals",
    "adapted",
    "galaxies_of",
    "leave_one_out",
    "restframe_pixels",
]

_PRIOR_WIDTH = 0.1
"""Standard deviation of the prior of a correction's pixel, in units of the amplitude."""

_LINE_WIDTH = 600 / 299792.458
"""Half-width of the neighbourhood of a line as a fraction of its wavelength: 600 km/s."""

_ITERATIONS = 12

_FOLDS = 24
"""Of more galaxies, several are left out together."""


@dataclass(frozen=True)
class AdaptationSettings:
    """The section `adaptation` of the configuration.

    Args:
        rank: Correction spectra beside the mean.
        smoothness: Weight of squared second differences between pixels, outside of lines.
        line_smoothness: The same near lines.
        error_floor: Error of the model as a fraction of the flux, added to the noise in the fit so
            that the brightest galaxies do not decide alone.
    """

    rank: int = 3
    smoothness: float = 1e6
    line_smoothness: float = 1e3
    error_floor: float = 0.03


class Residuals(NamedTuple):
    """What a model leaves of N spectra, in the M rest-frame pixels, in units of the amplitude.

    Attributes:
        flux: Data minus model, shape (N, M).
        weight: Its inverse variance, 0 where there are no data, shape (N, M).
    """

    flux: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(
        cls,
        model: SpectrumAutoencoder,
        batch: Batch,
        error_floor: float,
        offsets: np.ndarray | None = None,
    ) -> Self:
        """Residuals of a batch.

        Args:
            model: The model.
            batch: The spectra.
            error_floor: See `AdaptationSettings`.
            offsets: Pixels by which each object's residuals are rolled along the spectrum before
                they are taken to the rest frame, shape (N,): a control that keeps their size and
                shape but not their place.
        """

        with torch.inference_mode():
            made = model(*batch)
        amplitude = made.amplitude.double().numpy()[:, None]
        shape = made.observed.double().numpy() / amplitude
        ivar = batch.ivar.double().numpy() * amplitude**2
        flux = batch.flux.double().numpy() / amplitude - shape
        good = ivar > 0
        weight = np.where(good, 1 / (1 / np.where(good, ivar, 1) + (error_floor * shape) ** 2), 0)
        if offsets is not None:
            flux, weight = (
                np.stack([np.roll(x, o) for x, o in zip(v, offsets, strict=True)])
                for v in (flux, weight)
            )
        pixels = restframe_pixels(model, batch.z)
        size = (len(flux), model.transform.restframe.size)
        output = cls(np.zeros(size), np.zeros(size))
        rows = np.arange(len(flux))[:, None]
        output.flux[rows, pixels] = flux
        output.weight[rows, pixels] = weight
        return output

    def of_rows(self, rows: np.ndarray) -> Self:
        """Those of some objects."""

        return type(self)(self.flux[rows], self.weight[rows])


class Correction(NamedTuple):
    """Rest-frame spectra that are added to what a model decodes, in units of the amplitude.

    Attributes:
        mean: Shape (M,).
        spectra: Scaled so that coefficients are of order one, shape (K, M).
    """

    mean: np.ndarray
    spectra: np.ndarray

    @classmethod
    def fit(
        cls,
        residuals: Residuals,
        settings: AdaptationSettings,
        grid: WavelengthGrid,
        shares: np.ndarray,
    ) -> Self:
        """Learns a correction.

        Args:
            residuals: Of N spectra.
            settings: How free it is.
            grid: The rest-frame grid.
            shares: Weight of each spectrum, such as one over the visits to its galaxy, shape (N,).
        """

        flux, weight = residuals.flux, residuals.weight * shares[:, None]
        penalty = _penalty(grid, settings)
        prior = np.full(grid.size, _PRIOR_WIDTH**-2)
        mean = _smoothed(weight.sum(0), (weight * flux).sum(0), penalty, prior)
        # Smooth random numbers to start from, about as large as the residuals are.
        noise = np.random.default_rng(1).standard_normal((settings.rank, grid.size))
        spectra = np.array([_smoothed(prior, prior * row, penalty, prior) for row in noise])
        scale = np.sqrt((weight * flux**2).sum() / max(weight.sum(), 1))
        correction = cls(mean, scale * spectra.reshape(-1, grid.size))
        for _ in range(_ITERATIONS if settings.rank else 0):
            coefficients, covariance = correction.posterior(residuals)
            second = covariance + coefficients[:, :, None] * coefficients[:, None, :]
            left = flux - coefficients @ correction.spectra
            mean = _smoothed(weight.sum(0), (weight * left).sum(0), penalty, prior)
            spectra = correction.spectra.copy()
            for k in range(settings.rank):
                others = second[:, k].copy()
                others[:, k] = 0
                target = coefficients[:, k, None] * (flux - mean) - others @ spectra
                own = (weight * second[:, k, k, None]).sum(0)
                spectra[k] = _smoothed(own, (weight * target).sum(0), penalty, prior)
            correction = cls(mean, spectra)
        return correction

    def posterior(self, residuals: Residuals) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, K) and covariance (N, K, K) of the coefficients of each object."""

        products = np.einsum("nm,km,lm->nkl", residuals.weight, self.spectra, self.spectra)
        covariance = np.linalg.inv(products + np.eye(len(self.spectra)))
        weighted = residuals.weight * (residuals.flux - self.mean)
        return np.einsum("nkl,nl->nk", covariance, weighted @ self.spectra.T), covariance


def _penalty(grid: WavelengthGrid, settings: AdaptationSettings) -> np.ndarray:
    """Weight of the squared second difference about each pixel but the ends, shape (M - 2,)."""

    distance = [np.abs(grid.wavelength / line.wavelength - 1) for line in EMISSION_LINES]
    near = np.min(distance, axis=0) < _LINE_WIDTH
    return np.where(near, settings.line_smoothness, settings.smoothness)[1:-1]


def _smoothed(
    weight: np.ndarray, weighted: np.ndarray, penalty: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """The spectrum (M,) of least weighted squares plus prior and penalty."""

    # The matrix is banded: its diagonals from the second above the main one.
    bands = np.zeros((3, len(weight)))
    bands[0, 2:] = penalty
    bands[1, 1:-1] -= 2 * penalty
    bands[1, 2:] -= 2 * penalty
    bands[2] = weight + prior
    bands[2, :-2] += penalty
    bands[2, 1:-1] += 4 * penalty
    bands[2, 2:] += penalty
    return solveh_banded(bands, weighted)


def restframe_pixels(model: SpectrumAutoencoder, z: Tensor) -> np.ndarray:
    """The rest-frame pixel nearest to each observed one, shape (N, L)."""

    grid = model.transform.restframe
    restframe = np.log10(model.transform.observed.wavelength / (1 + z.double().numpy()[:, None]))
    return np.rint((restframe - grid.start) / grid.step).astype(int)


def galaxies_of(ra: Sequence[float], dec: Sequence[float], separation: float = 3.0) -> np.ndarray:
    """A number for each spectrum that tells which galaxy it is of, shape (N,).

    Spectra of the same place are of one galaxy, however often and by whichever fibre it was seen:
    leaving out one of them would leave its likeness in.

    Args:
        ra: Right ascensions in degrees.
        dec: Declinations in degrees.
        separation: Largest distance between spectra of one galaxy in arcsec.
    """

    ra, dec = np.asarray(ra), np.asarray(dec)
    numbers = np.arange(len(ra))
    for i in range(len(ra)):
        east = ((ra - ra[i] + 180) % 360 - 180) * np.cos(np.radians(dec[i]))
        same = np.hypot(east, dec - dec[i]) < separation / 3600
        numbers[same] = numbers[same].min(initial=i)
    return np.unique(numbers, return_inverse=True)[1]


@torch.inference_mode()
def adapted(
    model: SpectrumAutoencoder, batch: Batch, correction: Correction, residuals: Residuals
) -> Tensor:
    """Observed-frame models (N, L) with a correction, in units of the norm.

    Args:
        model: The model.
        batch: The spectra.
        correction: What to add.
        residuals: Of the same spectra, to which the coefficients are fitted.
    """

    coefficients, _ = correction.posterior(residuals)
    added = torch.from_numpy(correction.mean + coefficients @ correction.spectra).float()
    shape = model.transform(model(*batch).restframe + added, batch.z)
    return best_fit_amplitude(batch.flux, batch.ivar, shape)[:, None] * shape


def leave_one_out(
    model: SpectrumAutoencoder,
    batch: Batch,
    galaxies: np.ndarray,
    settings: AdaptationSettings,
    offsets: np.ndarray | None = None,
) -> Tensor:
    """Models (N, L) of each galaxy, with a correction that was learned from all others.

    Of many galaxies several are left out at a time, to learn no more than 24 corrections.

    Args:
        model: The model.
        batch: The spectra.
        galaxies: Which galaxy each is of, see `galaxies_of`.
        settings: How free the correction is.
        offsets: For a control, see `Residuals.of`: applied to what the correction is learned from,
            not to the galaxy that is left out.
    """

    residuals = Residuals.of(model, batch, settings.error_floor)
    lessons = Residuals.of(model, batch, settings.error_floor, offsets)
    visits = np.bincount(galaxies)[galaxies]
    output = torch.empty_like(batch.flux)
    folds = galaxies % _FOLDS
    for fold in np.unique(folds):
        others, left_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        correction = Correction.fit(
            lessons.of_rows(others), settings, model.transform.restframe, 1 / visits[others]
        )
        part = Batch(*(values[left_out] for values in batch))
        output[left_out] = adapted(model, part, correction, residuals.of_rows(left_out))
    return output

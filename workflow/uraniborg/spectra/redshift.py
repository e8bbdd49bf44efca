"""Redshifts by likelihood: a scan of a linear model over all shifts, refined by the autoencoder."""

from enum import IntFlag
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.tables import Spectra

__all__ = ["RedshiftEstimate", "RedshiftEstimator", "RedshiftWarning", "complete_redshifts"]

SEPARATION = 1000 / 299792.458
"""Difference in ln(1 + z) from which two redshifts are two answers: 1000 km/s."""

LEAST_CONTRAST = 9.0
"""Chi-squared by which the best redshift has to beat any other."""

LEAST_PIXELS = 0.2
"""Fraction of the pixels that have to be good."""

MOST_OUTLIERS = 0.05
"""Fraction of the good pixels that may be more than five standard errors from the model."""

LEAST_ERROR = 1 / 299792.458
"""What is added in quadrature to errors of ln(1 + z) for lines that are not as modelled: 1 km/s."""

_SCAN_CHUNK, _MODEL_CHUNK = 4, 256


class RedshiftWarning(IntFlag):
    """What makes a redshift doubtful, in the bits of SDSS (Bolton et al. 2012, AJ 144, 144)."""

    LITTLE_COVERAGE = 2
    SMALL_DELTA_CHI2 = 4
    NEGATIVE_MODEL = 8
    MANY_OUTLIERS = 16
    FIT_LIMIT = 32


class RedshiftEstimate(NamedTuple):
    """Redshifts of N spectra; without a good pixel, they are NaN and `LITTLE_COVERAGE`.

    Attributes:
        z: The most likely redshift, shape (N,), float64.
        z_err: Its standard error, from the curvature of chi-squared and larger by the square root
            of its reduced value where that exceeds one, plus 1 km/s in quadrature; NaN where there
            is no minimum, shape (N,).
        chi2: Chi-squared of the autoencoder at z, shape (N,).
        second_z: The next best redshift that is at least 1000 km/s away, NaN if there is none.
        delta_chi2: How much larger chi-squared is there, infinite if there is none.
        zwarning: Sum of `RedshiftWarning`, 0 for none, shape (N,).
        log_likelihood: Of the linear model at the S redshifts of the estimator, up to a constant
            of each spectrum, -inf where not searched, shape (N, S).
    """

    z: Tensor
    z_err: Tensor
    chi2: Tensor
    second_z: Tensor
    delta_chi2: Tensor
    zwarning: Tensor
    log_likelihood: Tensor


class RedshiftEstimator:
    """Finds redshifts with a trained autoencoder whose encoder has a rest-frame basis.

    The spectrum is first held against an amplitude times the mean plus the leading basis spectra;
    the coefficients, with the Gaussian prior of the encoder, and the amplitude, with a flat one,
    are integrated out. On a logarithmic grid a redshift is a shift, so the normal equations of all
    redshifts are cross-correlations of flux and inverse variance with the basis and its products,
    by FFT. At the best few maxima the autoencoder then encodes, decodes and is compared to the
    data, and parabolas through its chi-squared give the redshift to a fraction of a pixel.

    Args:
        model: The trained autoencoder.
        z_range: Redshifts that are searched, by default all that the model covers.
        rank: Basis spectra in the scan.
        binning: Pixels of the spectrograph per step of the scan.
        peaks: Maxima of the scan that are refined, at least two.

    Raises:
        UserError: The encoder has no rest-frame basis, or the range is not the model's.

    Example:
        >>> estimate = RedshiftEstimator(model).estimate(flux, ivar)
    """

    def __init__(
        self,
        model: SpectrumAutoencoder,
        z_range: tuple[float, float] | None = None,
        rank: int = 12,
        binning: int = 2,
        peaks: int = 3,
    ) -> None:
        encoder, transform = model.encoder, model.transform
        covered = (transform.z_min, transform.z_max)
        low, high = z_range or covered
        if not isinstance(encoder, RestframeEncoder):
            raise UserError("redshifts need a model whose architecture has `encoder: restframe`.")
        if not covered[0] <= low < high <= covered[1]:
            raise UserError(f"redshifts from {low} to {high} are not within the model's {covered}.")
        self.model, self.binning, self.peaks = model, binning, peaks
        self._limits = np.log10(1 + low), np.log10(1 + high)
        self._step = binning * transform.observed.step
        first, last = np.ceil(self._limits[0] / self._step), np.floor(self._limits[1] / self._step)
        self._shifts = self._step * torch.arange(int(first), int(last) + 1, dtype=torch.float64)
        mean_and_basis = torch.cat([encoder.mean[None], encoder.basis[:rank]]).double().cpu()
        templates = _rebinned(
            mean_and_basis, transform.restframe, transform.observed, binning, int(first), int(last)
        )
        self._deviation = encoder.variance[:rank].double().cpu().sqrt()
        self._prior = nn.functional.pad(torch.ones_like(self._deviation), (1, 0))
        # Pairs of the mean and the basis, each once.
        self._rows, self._columns = torch.tril_indices(len(templates), len(templates))
        # No shorter than the templates, so that what wraps around is beyond the shifts.
        self._size = next_fast_len(templates.shape[1], real=True)
        products = templates[self._rows] * templates[self._columns]
        self._templates = torch.fft.rfft(templates, self._size)
        self._products = torch.fft.rfft(products, self._size)

    @property
    def z(self) -> Tensor:
        """Redshifts of the scan in rising order, shape (S,), float64."""

        return 10**self._shifts - 1

    @torch.inference_mode()
    def estimate(
        self,
        flux: Tensor,
        ivar: Tensor,
        z_start: Tensor | None = None,
        half_width: float = 0.05,
    ) -> RedshiftEstimate:
        """The most likely redshift of each spectrum.

        Args:
            flux: In any unit, shape (N, L).
            ivar: Inverse variance in the same unit, 0 where masked, shape (N, L).
            z_start: Where to look, shape (N,); everywhere, if it is NaN or not given.
            half_width: How far from there.

        Raises:
            UserError: There is nothing to search within `half_width` of a start.
        """

        z_start = torch.full((len(flux),), torch.nan) if z_start is None else z_start
        chunks = zip(*(part.split(_MODEL_CHUNK) for part in (flux, ivar, z_start)), strict=True)
        parts = [self._estimate(*chunk, half_width) for chunk in chunks]
        return RedshiftEstimate(*map(torch.cat, zip(*parts, strict=True)))

    @torch.inference_mode()
    def log_likelihood(self, flux: Tensor, ivar: Tensor) -> Tensor:
        """Log-likelihood of the linear model at the redshifts `z`, up to a constant of each
        spectrum, shape (N, S), float64; the same everywhere without good pixels."""

        likelihood = torch.zeros(len(flux), len(self._shifts), dtype=torch.float64)
        rows = (ivar > 0).any(dim=1).nonzero()[:, 0]
        for start in range(0, len(rows), _SCAN_CHUNK):
            some = rows[start : start + _SCAN_CHUNK]
            likelihood[some] = self._scan(flux[some], ivar[some])
        return likelihood

    def _scan(self, flux: Tensor, ivar: Tensor) -> Tensor:
        projection = self._correlate(ivar * flux, self._templates)
        lower = self._correlate(ivar, self._products)
        # How bright it is roughly: in units of this the prior of the coefficients holds.
        total = lower[..., :1].clamp_min(torch.finfo(lower.dtype).tiny)
        brightness = (projection[..., :1] / total).maximum(total.rsqrt())
        # In units of the prior's standard deviations; the amplitude of the mean is free.
        unit = torch.cat([torch.ones_like(brightness), brightness * self._deviation], dim=-1)
        lower *= unit[..., self._rows] * unit[..., self._columns]
        lower[..., :1] = total
        lower[..., self._rows == self._columns] += self._prior
        size = projection.shape[-1]
        information = lower.new_zeros(*lower.shape[:2], size, size)
        information[..., self._rows, self._columns] = lower
        triangle = torch.linalg.cholesky(information)
        solution = torch.linalg.solve_triangular(
            triangle, (projection * unit)[..., None], upper=False
        )
        log_volume = triangle.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        return 0.5 * solution.square().sum(dim=(-2, -1)) - log_volume

    def _correlate(self, pixels: Tensor, templates: Tensor) -> Tensor:
        """Correlations (N, S, K) of spectra (N, L) with K templates at all shifts."""

        whole = pixels.shape[1] // self.binning * self.binning
        binned = pixels[:, :whole].cpu().double().unflatten(1, (-1, self.binning)).sum(dim=2)
        spectrum = torch.fft.rfft(binned, self._size).conj()
        correlation = torch.fft.irfft(spectrum[:, None] * templates, self._size)
        # The templates begin at the bluest wavelength, which the largest redshift sees.
        return correlation[..., : len(self._shifts)].flip(-1).movedim(1, 2)

    def _estimate(
        self, flux: Tensor, ivar: Tensor, z_start: Tensor, half_width: float
    ) -> RedshiftEstimate:
        likelihood = self.log_likelihood(flux, ivar)
        outside = (self.z - z_start.double()[:, None]).abs() > half_width
        nowhere = outside.all(dim=1)
        if nowhere.any():
            raise UserError(
                f"no redshift from {self.z[0]:.4f} to {self.z[-1]:.4f} is within {half_width} of "
                f"the start {z_start[nowhere][0]:.4f}; give a start in that range, or none."
            )
        likelihood.masked_fill_(outside, -torch.inf)
        first, exists = self._maxima(likelihood)
        # One parabola of chi-squared at every maximum, three more at the best of them.
        pixel = self.model.transform.observed.step
        width = torch.full_like(first[:, 0], pixel)
        fits = [self._parabola(flux, ivar, start, width) for start in first.unbind(1)]
        position, error, chi2 = (torch.stack(values, dim=1) for values in zip(*fits, strict=True))
        chi2.masked_fill_(~exists, torch.inf)
        order = chi2.argsort(dim=1, stable=True)
        position, error, chi2 = (values.gather(1, order) for values in (position, error, chi2))
        best, error = position[:, 0], error[:, 0]
        for _ in range(3):
            # As wide as the error, but not so narrow that interpolation between pixels shows; wider
            # than before where there was no minimum.
            width = error.where(error.isfinite(), 2 * width).clamp(0.75 * pixel, 5 * pixel)
            best, error, least = self._parabola(flux, ivar, best, width)
        # A model that misses something has a wider minimum than its chi-squared says.
        freedom = ((ivar > 0).sum(dim=1) - self.model.parameters_per_object - 1).clamp_min(1)
        misfit = (least / freedom).clamp_min(1).sqrt()
        error = (misfit * error * np.log(10)).hypot(torch.tensor(LEAST_ERROR).double())
        contrast = chi2[:, 1] - least
        nothing = (ivar * flux.square()).sum(dim=1, dtype=torch.float64)
        searched = self._shifts.expand_as(outside)
        low = searched.masked_fill(outside, torch.inf).amin(dim=1)
        high = searched.masked_fill(outside, -torch.inf).amax(dim=1)
        pull = ivar.sqrt() * (flux - self._observed(flux, ivar, best))
        outliers = (pull.abs() > 5).sum(dim=1) > MOST_OUTLIERS * (ivar > 0).sum(dim=1)
        flags = {
            RedshiftWarning.LITTLE_COVERAGE: (ivar > 0).double().mean(dim=1) < LEAST_PIXELS,
            RedshiftWarning.SMALL_DELTA_CHI2: contrast < LEAST_CONTRAST,
            RedshiftWarning.NEGATIVE_MODEL: nothing - least < LEAST_CONTRAST,
            RedshiftWarning.MANY_OUTLIERS: outliers,
            RedshiftWarning.FIT_LIMIT: (best < low + self._step) | (best > high - self._step),
        }
        zwarning = sum(int(flag) * holds.long() for flag, holds in flags.items())
        # Whatever the fits made of nothing.
        empty = ~(ivar > 0).any(dim=1)
        numbers = {
            "z": 10**best - 1,
            "z_err": error * 10**best,
            "chi2": least,
            "second_z": torch.where(exists[:, 1], 10 ** position[:, 1] - 1, torch.nan),
            "delta_chi2": contrast,
        }
        return RedshiftEstimate(
            **{name: values.masked_fill(empty, torch.nan) for name, values in numbers.items()},
            zwarning=zwarning.masked_fill(empty, int(RedshiftWarning.LITTLE_COVERAGE)),
            log_likelihood=likelihood,
        )

    def _maxima(self, likelihood: Tensor) -> tuple[Tensor, Tensor]:
        """The highest maxima that are apart, as log10(1 + z), and which of them exist, (N, P)."""

        left, right = likelihood.roll(1, dims=1), likelihood.roll(-1, dims=1)
        left[:, 0] = right[:, -1] = -torch.inf
        remaining = likelihood.where((likelihood >= left) & (likelihood >= right), -torch.inf)
        positions, exist = [], []
        for _ in range(self.peaks):
            height, index = remaining.max(dim=1, keepdim=True)
            offset, _ = _vertex(left.gather(1, index), height, right.gather(1, index))
            center = self._shifts[index]
            positions.append(center + self._step * offset)
            exist.append(height > -torch.inf)
            near = (self._shifts - center).abs() < SEPARATION / np.log(10)
            remaining = remaining.masked_fill(near, -torch.inf)
        return torch.cat(positions, dim=1), torch.cat(exist, dim=1)

    def _parabola(
        self, flux: Tensor, ivar: Tensor, position: Tensor, width: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Minimum of chi-squared by a parabola through three points `width` apart: log10(1 + z),
        its standard error, and chi-squared there, each (N,)."""

        low, high = self._limits
        position = position.maximum(low + width).minimum(high - width)
        left, middle, right = (
            self._chi2(flux, ivar, position + side * width) for side in (-1, 0, 1)
        )
        offset, curvature = _vertex(-left, -middle, -right)
        least = middle + 0.5 * ((right - left) * offset + curvature * offset.square())
        least = least.where(curvature.isfinite(), left.minimum(middle).minimum(right))
        return position + width * offset, width * (2 / curvature).sqrt(), least

    def _chi2(self, flux: Tensor, ivar: Tensor, position: Tensor) -> Tensor:
        """Chi-squared (N,) of the autoencoder at log10(1 + z)."""

        residual = flux - self._observed(flux, ivar, position)
        return (ivar * residual.square()).sum(dim=1, dtype=torch.float64)

    def _observed(self, flux: Tensor, ivar: Tensor, position: Tensor) -> Tensor:
        """Reconstructions (N, L), nothing where they would be negative."""

        return self.model(flux, ivar, 10**position - 1).light


def complete_redshifts(
    model: SpectrumAutoencoder, spectra: Spectra, rows: np.ndarray | None = None
) -> pd.DataFrame:
    """Redshifts of a survey: the catalogue's, or estimates where it has none.

    Args:
        model: The trained autoencoder, which has to be able to estimate only if one is missing.
        spectra: The spectra.
        rows: Row numbers, all by default.

    Returns:
        `z`, `z_err`, `zwarning` and `z_source`, which is `catalogue` or `estimated`, one row per
        spectrum. Estimates of spectra without a good pixel are NaN.
    """

    rows = np.arange(len(spectra)) if rows is None else np.asarray(rows)
    table = pd.DataFrame({name: spectra.column(name)[rows] for name in ("z", "z_err", "zwarning")})
    missing = np.flatnonzero(~np.isfinite(table["z"]))
    table["z_source"] = "catalogue"
    if len(missing) == 0:
        return table
    estimator = RedshiftEstimator(model)
    dataset = SpectraDataset(spectra, rows[missing], z=np.zeros(len(missing)))
    for start, batch in zip(
        range(0, len(missing), _MODEL_CHUNK), dataset.batches(_MODEL_CHUNK), strict=True
    ):
        estimate = estimator.estimate(batch.flux, batch.ivar)
        here = missing[start : start + _MODEL_CHUNK]
        for name in ("z", "z_err", "zwarning"):
            table.loc[here, name] = getattr(estimate, name).numpy()
    table.loc[missing, "z_source"] = "estimated"
    return table


def _vertex(left: Tensor, middle: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Where the parabola through values at -1, 0 and 1 is highest, at most 1 from the middle, and
    how much it bends down there; where it bends up, the highest of the three and NaN."""

    curvature = 2 * middle - left - right
    offset = (0.5 * (right - left) / curvature).clamp(-1, 1)
    highest = torch.stack([left, middle, right]).argmax(dim=0) - 1.0
    bends = (curvature > 0) & curvature.isfinite()
    return torch.where(bends, offset, highest), torch.where(bends, curvature, torch.nan)


def _rebinned(
    spectra: Tensor,
    restframe: WavelengthGrid,
    observed: WavelengthGrid,
    binning: int,
    first: int,
    last: int,
) -> Tensor:
    """Rest-frame spectra (K, M) averaged over steps of `binning` observed pixels, aligned so that
    step n of the data is at step n + last - s when shifted by s steps, from `first` to `last`."""

    steps = observed.size // binning + last - first
    edges = observed.start + observed.step * (binning * (np.arange(steps + 1) - last) - 0.5)
    edges = (edges - restframe.start) / restframe.step + 0.5
    pixels = np.arange(restframe.size + 1)
    # Pixels are flat steps: integrated to each edge, and the differences.
    integral = nn.functional.pad(spectra.cumsum(dim=1), (1, 0)).numpy()
    at_edges = np.stack([np.interp(edges, pixels, row) for row in integral])
    return torch.from_numpy(np.diff(at_edges, axis=1) * restframe.step / (binning * observed.step))

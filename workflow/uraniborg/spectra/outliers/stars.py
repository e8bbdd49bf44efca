"""Stars that a catalogue calls galaxies: the evidence of a star model against a galaxy model.

The galaxy model sees a spectrum at its catalogued redshift, the star model at the radial velocity
that fits best; both are autoencoders, so each has as many free numbers as its kind of object has
(Liang et al. 2023, arXiv:2307.07664, section 5).

A model is never perfect, and at a high signal-to-noise ratio chi-squared tells its faults rather
than the kind of object: differences of chi-squared grow as S/N squared, whichever model is right.
So the errors of each model are taken to be larger by an unknown factor, at least one, and the
factor of the highest likelihood is put in: with nu degrees of freedom,

    ln L = -chi2 / 2                        if chi2 <= nu,
    ln L = -nu / 2 [1 + ln(chi2 / nu)]      otherwise.

The evidence is the difference of the two. Where neither model describes a spectrum (quasars,
galaxies at wrong redshifts, a star and a galaxy in one fibre) the less bad one would win, so there
is no verdict if the better one misses more of the light than models of ordinary objects do.
"""

from collections.abc import Callable
from enum import IntFlag
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from uraniborg.spectra.autoencoder import Reconstruction, SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset, in_range, masked
from uraniborg.spectra.outliers.verdicts import STAR_COLUMNS, verdicts
from uraniborg.spectra.redshift import LEAST_PIXELS, RedshiftEstimator
from uraniborg.tables import Spectra

__all__ = [
    "LARGEST_VELOCITY",
    "MOST_MISFIT",
    "StarEvidence",
    "StarFlag",
    "StarOrGalaxy",
    "star_table",
]

MOST_MISFIT = 0.025
"""Fraction of the light that the better model may miss."""

LARGEST_VELOCITY = 1000.0
"""Radial velocity in km/s of the fastest star known (Koposov et al. 2020, MNRAS 491, 2465)."""

_C = 299792.458
_CHUNK = 256
# Noise of chi-squared, in standard deviations, that does not count as misfit.
_CERTAIN = 2.0
# Mean spectrum over its median from which a rest-frame pixel counts as known.
_SEEN = 0.1


class StarFlag(IntFlag):
    """Why there is no verdict."""

    LITTLE_COVERAGE = 1
    """Fewer than a fifth of the pixels are good."""
    NO_REDSHIFT = 2
    """The redshift is missing or outside the galaxy model's range."""
    POOR_FIT = 4
    """The better model misses more than `MOST_MISFIT` of the light."""
    IMPLAUSIBLE_VELOCITY = 8
    """A star fits better, but faster than `LARGEST_VELOCITY`."""


class StarEvidence(NamedTuple):
    """What N spectra say about star or galaxy, each of shape (N,).

    Attributes:
        velocity: Radial velocity in km/s at which a star fits best, NaN without data.
        star_reduced_chi2: Chi-squared of the star model per degree of freedom.
        galaxy_reduced_chi2: The same of the galaxy model at the catalogued redshift.
        evidence: Natural logarithm of the evidence of a star over that of a galaxy, NaN without
            data or redshift.
        misfit: Root mean square of what the better model misses beyond the noise, as a fraction of
            its light; 0 if nothing is significant.
        flags: Sum of `StarFlag`, 0 for none.
    """

    velocity: Tensor
    star_reduced_chi2: Tensor
    galaxy_reduced_chi2: Tensor
    evidence: Tensor
    misfit: Tensor
    flags: Tensor


LogProb = Callable[[Tensor], Tensor]
"""Latents (N, S) to the logarithm of their probability density (N,)."""


class StarOrGalaxy:
    """Weighs a star model against a galaxy model.

    Both are compared in the pixels that the star model knows at every velocity: real spectra may
    reach further than those that it was trained on.

    Without densities of the latents the evidence is a ratio of maximum likelihoods. With those of
    both, such as of normalising flows, it is the ratio of the integrals over latents and logarithm
    of the amplitude, by Laplace's approximation: a model that fits with latents that its objects
    do not have, or only in a small part of those they have, is worth less.

    Args:
        galaxy: The galaxy model.
        star: The star model, whose encoder is `restframe`; its range of redshifts is searched.
        galaxy_log_prob: Density of the galaxy model's latents, optional.
        star_log_prob: That of the star model's, with the other or not at all.
        rank: Basis spectra in the search for the velocity.

    Raises:
        UserError: The star model's encoder has no rest-frame basis.
        ValueError: Only one density is given, or the models see different pixels.

    Example:
        >>> evidence = StarOrGalaxy(galaxy, star)(flux, ivar, z)
        >>> stars = (evidence.evidence > 7) & (evidence.flags == 0)
    """

    def __init__(
        self,
        galaxy: SpectrumAutoencoder,
        star: SpectrumAutoencoder,
        galaxy_log_prob: LogProb | None = None,
        star_log_prob: LogProb | None = None,
        rank: int = 6,
    ) -> None:
        if (galaxy_log_prob is None) != (star_log_prob is None):
            raise ValueError("densities of latents are given for both models or for neither")
        if galaxy.transform.observed != star.transform.observed:
            raise ValueError("the models of galaxies and stars see different pixels")
        self.galaxy, self.star = galaxy, star
        self.galaxy_log_prob, self.star_log_prob = galaxy_log_prob, star_log_prob
        self._scan = RedshiftEstimator(star, rank=rank, binning=1)
        self._known = _known_pixels(star)

    def __call__(self, flux: Tensor, ivar: Tensor, z: Tensor) -> StarEvidence:
        """The evidence of each spectrum.

        Args:
            flux: In any unit, shape (N, L).
            ivar: Inverse variance in the same unit, 0 where masked, shape (N, L). What is not
                finite in either is masked.
            z: Catalogued redshifts, shape (N,).
        """

        chunks = zip(*(part.split(_CHUNK) for part in (flux, ivar, z)), strict=True)
        parts = [self._weigh(*chunk) for chunk in chunks]
        return StarEvidence(*map(torch.cat, zip(*parts, strict=True)))

    @torch.no_grad()
    def _weigh(self, flux: Tensor, ivar: Tensor, z: Tensor) -> StarEvidence:
        flux, ivar, _ = masked(Batch(flux, ivar.where(self._known, 0), z))
        good = ivar > 0
        covered, empty = good.float().mean(dim=1) >= LEAST_PIXELS, ~good.any(dim=1)
        transform = self.galaxy.transform
        known = in_range(z, (transform.z_min, transform.z_max))
        # Where there is no redshift any will do: the result is discarded.
        as_galaxy = Batch(flux, ivar, z.where(known, 0.0))
        galaxy = _Fit.of(self.galaxy, as_galaxy, self.galaxy_log_prob)
        star_z = self._velocity(flux, ivar)
        star = _Fit.of(self.star, Batch(flux, ivar, star_z), self.star_log_prob)

        evidence = star.log_evidence - galaxy.log_evidence
        velocity = star_z * _C
        better = star.chi2 < galaxy.chi2
        misfit = torch.where(better, star.misfit, galaxy.misfit)
        fast = (evidence > 0) & (velocity.abs() > LARGEST_VELOCITY)
        flags = {
            StarFlag.LITTLE_COVERAGE: ~covered,
            StarFlag.NO_REDSHIFT: ~known,
            StarFlag.POOR_FIT: misfit > MOST_MISFIT,
            StarFlag.IMPLAUSIBLE_VELOCITY: fast,
        }
        return StarEvidence(
            velocity=velocity.masked_fill(empty, torch.nan),
            star_reduced_chi2=star.reduced_chi2.masked_fill(empty, torch.nan),
            galaxy_reduced_chi2=galaxy.reduced_chi2.masked_fill(empty | ~known, torch.nan),
            evidence=evidence.masked_fill(empty | ~known, torch.nan),
            misfit=misfit.masked_fill(empty | ~known, torch.nan),
            flags=sum(int(flag) * holds.long() for flag, holds in flags.items()),
        )

    def _velocity(self, flux: Tensor, ivar: Tensor) -> Tensor:
        """The velocity over that of light at which a star fits best, shape (N,).

        A scan of a linear model finds the pixel, a parabola through it the fraction, and another
        through the autoencoder's chi-squared improves on that.
        """

        likelihood, shifts = self._scan.log_likelihood(flux, ivar), torch.log10(1 + self._scan.z)
        step = self.star.transform.observed.step
        inner = likelihood[:, 1:-1].argmax(dim=1, keepdim=True) + 1
        around = (likelihood.gather(1, inner + side)[:, 0] for side in (-1, 0, 1))
        position = shifts[inner[:, 0]] + step * _highest(*around)
        edge = step + 1e-9
        position = position.clamp(shifts[0] + edge, shifts[-1] - edge)
        fits = (self._star_chi2(flux, ivar, position + side * step) for side in (-1, 0, 1))
        return 10 ** (position + step * _highest(*(-chi2 for chi2 in fits))) - 1

    def _star_chi2(self, flux: Tensor, ivar: Tensor, position: Tensor) -> Tensor:
        """Chi-squared (N,) of the star model at log10(1 + z)."""

        return _chi2(flux, ivar, self.star(flux, ivar, 10**position - 1).light)


def _known_pixels(star: SpectrumAutoencoder) -> Tensor:
    """Observed pixels that the star model knows at every velocity, shape (L,)."""

    mean, transform = star.encoder.mean, star.transform
    # The mean is zero where no star of the training set has data, towards both ends.
    first, last = (mean > _SEEN * mean.median()).nonzero()[[0, -1], 0].tolist()
    known = torch.zeros_like(mean)
    known[first : last + 1] = 1
    ends = torch.tensor([transform.z_min, transform.z_max], dtype=torch.float64)
    return (transform(known.expand(2, -1), ends) > 0.99).all(dim=0)


class _Fit(NamedTuple):
    """A model's chi-squared, that per degree of freedom, logarithm of the evidence, and the
    fraction of the light that it misses, each (N,)."""

    chi2: Tensor
    reduced_chi2: Tensor
    log_evidence: Tensor
    misfit: Tensor

    @classmethod
    def of(cls, model: SpectrumAutoencoder, batch: Batch, log_prob: LogProb | None) -> Self:
        fit = model(*batch)
        observed = fit.light
        chi2 = _chi2(batch.flux, batch.ivar, observed)
        freedom = ((batch.ivar > 0).sum(dim=1) - model.parameters_per_object).clamp_min(1).double()
        scale = (chi2 / freedom).clamp_min(1)
        log_evidence = -0.5 * (chi2 / scale + freedom * scale.log())
        if log_prob is not None:
            log_evidence += log_prob(fit.latent) + _log_volume(model, batch, fit, scale)
        # Noise of chi-squared alone is no misfit.
        excess = chi2 - freedom - _CERTAIN * (2 * freedom).sqrt()
        light = (batch.ivar * observed.square()).sum(dim=1, dtype=torch.float64)
        tiny = torch.finfo(torch.float64).tiny
        misfit = (excess.clamp_min(0) / light.clamp_min(tiny)).sqrt()
        return cls(chi2, chi2 / freedom, log_evidence, misfit)


def _log_volume(
    model: SpectrumAutoencoder, batch: Batch, fit: Reconstruction, scale: Tensor
) -> Tensor:
    """Logarithm of the volume that the likelihood leaves to latents and logarithm of the
    amplitude, (N,): that of a Gaussian whose inverse covariance is the Fisher matrix."""

    def along(direction: Tensor) -> Tensor:
        directions = direction.expand_as(fit.latent)
        return torch.func.jvp(model.decode, (fit.latent,), (directions,))[1]

    tangents = torch.vmap(along, out_dims=1)(torch.eye(model.latent_size))
    tangents = torch.cat([tangents, fit.restframe[:, None]], dim=1)
    tangents = tangents * fit.amplitude[:, None, None]
    number, size = tangents.shape[:2]
    z = batch.z.repeat_interleave(size)
    observed = model.transform(tangents.flatten(0, 1), z).unflatten(0, (number, size))
    weighted = (observed * batch.ivar.sqrt()[:, None]).double()
    fisher = weighted @ weighted.mT / scale[:, None, None]
    # What data do not constrain at all is left to a Gaussian of unit width.
    return 0.5 * (size * np.log(2 * np.pi) - torch.logdet(fisher + torch.eye(size).double()))


def _chi2(flux: Tensor, ivar: Tensor, model: Tensor) -> Tensor:
    return (ivar * (flux - model).square()).sum(dim=1, dtype=torch.float64)


def _highest(left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
    """Where the parabola through values at -1, 0 and 1 is highest, from -1 to 1; 0 if it has no
    maximum."""

    curvature = 2 * middle - left - right
    offset = (0.5 * (right - left) / curvature).clamp(-1, 1)
    return torch.where(curvature > 0, offset, 0.0)


def star_table(
    test: StarOrGalaxy, spectra: Spectra, z: np.ndarray, rows: np.ndarray | None = None
) -> pd.DataFrame:
    """Whether objects that a catalogue calls galaxies are stars.

    Args:
        test: The two models.
        spectra: The spectra, read in batches.
        z: Their redshifts, one per row; those that are missing or out of range are flagged.
        rows: Row numbers, all by default.

    Returns:
        The columns `STAR_COLUMNS`, one row per spectrum.
    """

    rows = np.arange(len(spectra)) if rows is None else np.asarray(rows)
    redshift = np.asarray(z, np.float64)
    dataset = SpectraDataset(spectra, rows, z=np.nan_to_num(redshift, nan=-1.0))
    parts = [test(*batch) for batch in dataset.batches(_CHUNK)]
    found = StarEvidence(*map(torch.cat, zip(*parts, strict=True))) if parts else None
    if found is None:
        return pd.DataFrame(columns=[column.name for column in STAR_COLUMNS])
    table = pd.DataFrame(
        {
            "object_id": spectra.column("object_id")[rows],
            "star_velocity": found.velocity.numpy(),
            "star_reduced_chi2": found.star_reduced_chi2.numpy(),
            "galaxy_reduced_chi2": found.galaxy_reduced_chi2.numpy(),
            "star_evidence": found.evidence.numpy(),
            "star_misfit": found.misfit.numpy(),
            "star_flags": found.flags.numpy(),
        }
    )
    table["star_verdict"] = verdicts(table)
    return table

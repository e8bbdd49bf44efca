"""Inverse multiscale occlusion without a look at every spectrum.

Where the encoder projects spectra on a rest-frame basis, a window changes a few sums over pixels,
which differ from those of the baseline by a difference of cumulative sums: no spectrum is pasted
and none is encoded, and nothing is neglected. Only the encoder's small network and the density see
every window.

Of any other differentiable score, small windows that matter little are known from the gradient.
"""

from contextlib import suppress

import torch
from torch import Tensor, nn

from uraniborg.nets.encoders import RestframeEncoder, brightness, relative_coefficients
from uraniborg.spectra.attribution.occlusion import (
    Estimate,
    PastedSpectra,
    Pasting,
    Scales,
    attributed,
)
from uraniborg.spectra.attribution.scores import LatentScore, Score
from uraniborg.spectra.dataset import Batch

__all__ = [
    "EVALUATED",
    "PastedProjections",
    "fast_inverse_occlusion",
    "fast_occlusion",
    "pasting",
]

EVALUATED = 0.05
"""Share of small windows that are evaluated for each of two reasons, see `attributed`."""


class PastedProjections:
    """Pastes pixels into the projections of a rest-frame encoder; a
    `uraniborg.spectra.attribution.occlusion.Pasting`.

    Inverse variance and redshift are those of one spectrum, so all share one information matrix I
    and one prior P, see `RestframeEncoder.coefficients`. With U of the generalised eigenproblem
    I u = l (I + P) u, the solution of (I s^2 + P) c = s p is c = U (s U'p / (s^2 l + 1 - l))
    whatever the brightness s.

    Args:
        score: Of latents.
        spectrum: One spectrum.
        hosts: Shape (K, L).
        donors: Shape (K, L).
        batch_size: Latents that are scored at a time.

    Raises:
        ValueError: The encoder is no `RestframeEncoder`.
        torch.linalg.LinAlgError: The spectrum has too few good pixels.
    """

    def __init__(
        self,
        score: LatentScore,
        spectrum: Batch,
        hosts: Tensor,
        donors: Tensor,
        batch_size: int = 2048,
    ) -> None:
        encoder = score.model.encoder
        if not isinstance(encoder, RestframeEncoder):
            raise ValueError("the encoder does not project spectra on a rest-frame basis")
        self.score, self.encoder, self.batch_size = score, encoder, batch_size
        self.good = spectrum.ivar[0] > 0
        with torch.no_grad():
            information, _ = encoder.normal_equations(*spectrum)
            components = torch.cat([encoder.mean[None], encoder.basis])
            observed = encoder.transform(components, spectrum.z.expand(len(components)))
            weighted = (spectrum.ivar * observed).double().T
            prior = torch.diag(nn.functional.pad(1 / encoder.variance, (1, 0)))
            self._weight = information[0, 0, 0].double()
            self._share, self._modes = _modes(information[0].double(), prior.double())
            self._hosts = hosts.double() @ weighted
            change = (donors - hosts).double()[..., None] * weighted
            self._cumulative = nn.functional.pad(change.cumsum(dim=1), (0, 0, 1, 0))
            self.host_scores = self._scored(self._hosts)

    @torch.no_grad()
    def scores(self, host: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """Scores of hosts with the pixels of a window, see `Pasting`."""

        parts = [
            self._scored(self._hosts[k] + self._cumulative[k, b] - self._cumulative[k, a])
            for k, a, b in zip(
                *(x.split(self.batch_size) for x in (host, start, stop)), strict=True
            )
        ]
        return torch.cat([self.host_scores[:0], *parts])

    def estimate(self, edges: Tensor) -> Estimate:
        """Gradient times difference, and the length of the change of the coefficients in units of
        their prior and noise, see `Pasting`."""

        with torch.enable_grad():
            hosts = self._hosts.clone().requires_grad_()
            gradient = torch.autograd.grad(self._scored(hosts).sum(), hosts)[0]
        change = self._cumulative[:, edges].diff(dim=1)
        effect = (change @ gradient[..., None])[..., 0]
        return Estimate(effect, (change @ self._modes).norm(dim=-1))

    def _scored(self, projection: Tensor) -> Tensor:
        """Scores (N,) of projections (N, rank + 1)."""

        scale = brightness(projection[:, :1], self._weight)
        relative = scale * (projection @ self._modes)
        relative = relative / (scale.square() * self._share + (1 - self._share))
        solution = relative @ self._modes.T
        coefficients = relative_coefficients(solution)[1]
        return self.score.of_latents(self.encoder.latents(coefficients.float())).double()


def pasting(
    score: Score, spectrum: Batch, hosts: Tensor, donors: Tensor, batch_size: int = 256
) -> Pasting:
    """The fastest way to paste windows of donors (K, L) into hosts (K, L) without a loss.

    Args:
        score: What is attributed.
        spectrum: One spectrum, see `PastedSpectra`.
        hosts: Shape (K, L).
        donors: Shape (K, L).
        batch_size: Spectra that are scored at a time, where spectra have to be.
    """

    if isinstance(score, LatentScore) and isinstance(score.model.encoder, RestframeEncoder):
        # Too few good pixels leave the information singular.
        with suppress(torch.linalg.LinAlgError):
            return PastedProjections(score, spectrum, hosts, donors)
    return PastedSpectra(score, spectrum, hosts, donors, batch_size)


def fast_inverse_occlusion(
    score: Score,
    spectrum: Batch,
    baselines: Tensor,
    scales: Scales | None = None,
    share: float = EVALUATED,
    largest: int = 4,
    batch_size: int = 256,
) -> Tensor:
    """The same as `uraniborg.spectra.attribution.occlusion.inverse_occlusion`, nearly or exactly,
    much faster; shape (scales, K, L), float64.

    Of a score that is not differentiable every window is evaluated.

    Args:
        score: What is attributed.
        spectrum: The outlier, one spectrum, finite.
        baselines: Ordinary spectra at its redshift, shape (K, L).
        scales: The windows, as published by default.
        share: Of small windows that are evaluated, see `attributed`; 1 is exact.
        largest: Size in pixels of the largest of these small windows.
        batch_size: Spectra that are scored at a time, where spectra have to be.
    """

    donors = spectrum.flux.expand_as(baselines)
    pasted = pasting(score, spectrum, baselines, donors, batch_size)
    return attributed(pasted, scales or Scales(), share, largest)


def fast_occlusion(
    score: Score,
    spectrum: Batch,
    baselines: Tensor,
    scales: Scales | None = None,
    share: float = EVALUATED,
    largest: int = 4,
    batch_size: int = 256,
) -> Tensor:
    """By how much each window of ordinary spectra lowers the score of an outlier, per pixel: hosts
    and donors of `fast_inverse_occlusion` are exchanged. Its arguments and shape."""

    hosts = spectrum.flux.expand_as(baselines)
    pasted = pasting(score, spectrum, hosts, baselines, batch_size)
    return -attributed(pasted, scales or Scales(), share, largest)


def _modes(information: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues l (R,) and vectors U (R, R), in columns, of I u = l (I + P) u."""

    factor = torch.linalg.cholesky(information + prior)
    half = torch.linalg.solve_triangular(factor, information, upper=False)
    whitened = torch.linalg.solve_triangular(factor, half.T, upper=False)
    share, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    return share, torch.linalg.solve_triangular(factor.T, vectors, upper=True)

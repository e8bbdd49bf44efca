"""Decoders: latents in, rest-frame spectra out."""

import torch
from torch import Tensor, nn

from uraniborg.nets.layers import GatedLinearUnit, ResidualLinear, multilayer_perceptron

__all__ = ["LowRankDecoder", "PerceptronDecoder"]


class PerceptronDecoder(nn.Module):
    """The decoder of SPENDER (arXiv:2211.07890, section 2.2): latent to every pixel by an MLP.

    Args:
        latent_size: Number of latents.
        size: Number of rest-frame pixels M.
        hidden: Widths of the hidden layers.
    """

    def __init__(
        self, latent_size: int, size: int, hidden: tuple[int, ...] = (64, 256, 1024)
    ) -> None:
        super().__init__()
        self.network = multilayer_perceptron(latent_size, hidden, size, GatedLinearUnit)

    def forward(self, latent: Tensor) -> Tensor:
        """Rest-frame spectra in units of the norm, (N, latent_size) to (N, M)."""

        # Normalised spectra scatter around one: the network learns the departure from it.
        return 1 + self.network(latent)


class LowRankDecoder(nn.Module):
    """A mean spectrum plus a few basis spectra whose amplitudes are a function of the latent.

    The amplitudes are linear in the latent plus a small network, so that the model starts as a
    weighted principal component analysis and bends from there. The basis itself is trained too.

    Args:
        latent_size: Number of latents.
        mean: Mean rest-frame spectrum, shape (M,).
        basis: Basis spectra, shape (K, M).
        variance: Variance of their amplitudes, shape (K,).
        hidden: Widths of the network.
    """

    def __init__(
        self,
        latent_size: int,
        mean: Tensor,
        basis: Tensor,
        variance: Tensor,
        hidden: tuple[int, ...] = (128, 128),
    ) -> None:
        super().__init__()
        self.amplitudes = ResidualLinear(latent_size, hidden, len(basis))
        self.mean = nn.Parameter(mean.clone())
        # Scaled so that every amplitude is of order one.
        self.basis = nn.Parameter(basis * variance.sqrt()[:, None])

    def forward(self, latent: Tensor) -> Tensor:
        """Rest-frame spectra in units of the norm, (N, latent_size) to (N, M)."""

        return torch.addmm(self.mean, self.amplitudes(latent), self.basis)

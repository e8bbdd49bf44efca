"""Decoders: latents in, rest-frame spectra out."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from uraniborg.nets.layers import GatedLinearUnit, ResidualLinear

__all__ = ["LowRankDecoder", "PublishedDecoder"]


class PublishedDecoder(nn.Module):
    """Latent to every pixel by linear layers, each with an activation, the last one too.

    The published models (arXiv:2211.07890, section 2.2) have gated linear units and add one; the
    first ones, and those of DESI (arXiv:2307.07664), leaky rectifiers and add nothing.

    Args:
        latent_size: Number of latents.
        size: Number of rest-frame pixels M.
        hidden: Widths of the hidden layers.
        activation: `gated` or `leaky_relu`.
    """

    def __init__(
        self,
        latent_size: int,
        size: int,
        hidden: tuple[int, ...] = (64, 256, 1024),
        activation: Literal["gated", "leaky_relu"] = "gated",
    ) -> None:
        super().__init__()
        widths = (latent_size, *hidden, size)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(nn.Linear(before, after))
            layers.append(GatedLinearUnit(after) if activation == "gated" else nn.LeakyReLU())
        self.network = nn.Sequential(*layers)
        self.offset = float(activation == "gated")

    def forward(self, latent: Tensor) -> Tensor:
        """Rest-frame spectra in units of the norm, (N, latent_size) to (N, M)."""

        # Normalised spectra scatter around one: the network learns the departure from it.
        return torch.add(self.network(latent), self.offset)


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

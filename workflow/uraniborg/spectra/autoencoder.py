"""Spectrum autoencoders: an encoder, a decoder, and what lies between galaxy and detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from uraniborg.grids import WavelengthGrid
from uraniborg.nets.decoders import LowRankDecoder, PerceptronDecoder
from uraniborg.nets.encoders import ConvolutionalEncoder, Encoder, RestframeEncoder
from uraniborg.nets.weights import load_card, load_weights
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.transform import RedshiftTransform

__all__ = ["Reconstruction", "SpectrumAutoencoder"]


class Reconstruction(NamedTuple):
    """What the model makes of N spectra, in units of their norm.

    Attributes:
        latent: Shape (N, latent_size).
        restframe: Rest-frame spectra, shape (N, M).
        observed: The same at the objects' redshifts in the spectrograph's pixels, shape (N, L).
    """

    latent: Tensor
    restframe: Tensor
    observed: Tensor


class SpectrumAutoencoder(nn.Module):
    """SPENDER (Melchior et al. 2023, arXiv:2211.07890): encode, decode in the rest frame, redshift.

    Args:
        encoder: Spectra to latents.
        decoder: Latents to rest-frame spectra of M pixels.
        transform: Rest-frame spectra to the L observed pixels.
    """

    def __init__(self, encoder: Encoder, decoder: nn.Module, transform: RedshiftTransform) -> None:
        super().__init__()
        self.encoder, self.decoder, self.transform = encoder, decoder, transform

    @classmethod
    def build(
        cls, architecture: Mapping[str, Any], grid: WavelengthGrid, basis: Basis | None = None
    ) -> Self:
        """Builds a model from its settings.

        Args:
            architecture: `encoder` (`restframe` | `published`), `decoder` (`low_rank` |
                `published`), `latent_size`, `rank`, `z_min`, `z_max`, `lsf_sigma`.
            grid: The spectrograph's grid.
            basis: Where low-rank parts start from. Without one they are zero, to be loaded.
        """

        transform = RedshiftTransform.of(architecture, grid)
        size, latent_size = transform.restframe.size, architecture["latent_size"]
        if basis is None:
            rank = architecture["rank"]
            basis = Basis(torch.ones(size), torch.zeros(rank, size), torch.ones(rank))
        if architecture["encoder"] == "restframe":
            encoder = RestframeEncoder(latent_size, transform, *basis)
        else:
            encoder = ConvolutionalEncoder(latent_size)
        if architecture["decoder"] == "low_rank":
            decoder = LowRankDecoder(latent_size, *basis)
        else:
            decoder = PerceptronDecoder(latent_size, size)
        return cls(encoder, decoder, transform)

    @classmethod
    def load(cls, weights: str | Path, card: str | Path) -> Self:
        """Reads a trained model, ready for inference.

        Raises:
            UserError: A file is damaged or they do not belong together.
        """

        contents = load_card(card)
        grid = WavelengthGrid(**contents["grid"])
        model = cls.build(contents["architecture"], grid)
        load_weights(weights, model)
        return model.eval()

    @property
    def latent_size(self) -> int:
        return self.encoder.latent_size

    def forward(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Reconstruction:
        """Reconstructs spectra.

        Args:
            flux: In units of the norm, shape (N, L).
            ivar: Inverse variance in the same units, 0 where masked, shape (N, L).
            z: Redshifts, shape (N,).
        """

        latent = self.encoder(flux, ivar, z)
        restframe = self.decoder(latent)
        return Reconstruction(latent, restframe, self.transform(restframe, z))

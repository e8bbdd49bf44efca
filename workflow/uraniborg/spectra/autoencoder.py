"""Spectrum autoencoders: an encoder, a decoder, and what lies between galaxy and detector."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.nets.decoders import LowRankDecoder, PublishedDecoder
from uraniborg.nets.encoders import Encoder, PublishedEncoder, RestframeEncoder
from uraniborg.nets.flux_encoder import FluxEncoder
from uraniborg.nets.weights import load_card, load_weights
from uraniborg.spectra.basis import Basis
from uraniborg.spectra.published import published_parts
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import Spectra

__all__ = ["Reconstruction", "SpectrumAutoencoder", "best_fit_amplitude"]


class Reconstruction(NamedTuple):
    """What the model makes of N spectra.

    Attributes:
        latent: Shape (N, latent_size).
        restframe: Rest-frame spectra as decoded, without the amplitude, shape (N, M).
        amplitude: What they are multiplied by, in units of the norm, shape (N,).
        observed: The product at the objects' redshifts in the spectrograph's pixels, in units of
            the norm, shape (N, L).
    """

    latent: Tensor
    restframe: Tensor
    amplitude: Tensor
    observed: Tensor

    @property
    def light(self) -> Tensor:
        """What is observed, nothing where that would be negative, shape (N, L): nothing is a better
        model than light that is negative."""

        return self.observed * (self.amplitude > 0)[:, None]


class SpectrumAutoencoder(nn.Module):
    """SPENDER (Melchior et al. 2023, arXiv:2211.07890): encode, decode in the rest frame, redshift.

    Args:
        encoder: Spectra to latents.
        decoder: Latents to rest-frame spectra of M pixels.
        transform: Rest-frame spectra to the L observed pixels.
        amplitude: `best_fit` multiplies each model by what fits the data best, so that it does not
            matter what they were divided by; `norm` takes the norm for the amplitude, as published.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: nn.Module,
        transform: RedshiftTransform,
        amplitude: Literal["best_fit", "norm"] = "best_fit",
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.transform = encoder, decoder, transform
        self.amplitude = amplitude

    @classmethod
    def build(
        cls,
        architecture: Mapping[str, Any],
        grid: WavelengthGrid,
        basis: Basis | None = None,
        lsf: Tensor | None = None,
    ) -> Self:
        """Builds a model from its settings.

        Args:
            architecture: The section `architecture` of the configuration.
            grid: The spectrograph's grid.
            basis: Where low-rank parts start from. Without one they are zero, to be loaded.
            lsf: The width in pixels that the setting `lsf: instrument` stands for, shape (L,).
                Without it, it is to be loaded.
        """

        if "published" in architecture:
            # Imported weights, see `uraniborg.spectra.published`.
            return cls(*published_parts(architecture, grid), architecture["amplitude"])
        transform = RedshiftTransform.of(architecture, grid, lsf)
        size, latent_size = transform.restframe.size, architecture["latent_size"]
        if basis is None:
            rank = architecture["rank"]
            basis = Basis(torch.ones(size), torch.zeros(rank, size), torch.ones(rank))
        if architecture["encoder"] == "restframe":
            encoder = RestframeEncoder(latent_size, transform, *basis)
        elif architecture["encoder"] == "flux":
            encoder = FluxEncoder(latent_size, weighted=architecture["weighted"])
        else:
            encoder = PublishedEncoder(latent_size)
        if architecture["decoder"] == "low_rank":
            decoder = LowRankDecoder(latent_size, *basis)
        else:
            decoder = PublishedDecoder(latent_size, size)
        return cls(encoder, decoder, transform, architecture["amplitude"])

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

    @property
    def parameters_per_object(self) -> int:
        """Numbers that are fitted to each spectrum."""

        return self.latent_size + (self.amplitude == "best_fit")

    def forward(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Reconstruction:
        """Reconstructs spectra.

        Args:
            flux: In units of the norm, shape (N, L).
            ivar: Inverse variance in the same units, 0 where masked, shape (N, L).
            z: Redshifts, shape (N,).
        """

        return self.reconstruct(self.encode(flux, ivar, z), flux, ivar, z)

    def reconstruct(self, latent: Tensor, flux: Tensor, ivar: Tensor, z: Tensor) -> Reconstruction:
        """What the model makes of spectra that have been encoded, as in `forward`."""

        restframe = self.decode(latent)
        shape = self.transform(restframe, z)
        if self.amplitude == "norm":
            return Reconstruction(latent, restframe, flux.new_ones(len(z)), shape)
        amplitude = best_fit_amplitude(flux, ivar, shape)
        return Reconstruction(latent, restframe, amplitude, amplitude[:, None] * shape)

    def check_grid(self, spectra: Spectra) -> None:
        """Raises a UserError if spectra are on other wavelengths than the model."""

        if spectra.grid != self.transform.observed:
            raise UserError(
                f"{spectra.paths[0]}: has other pixels ({spectra.grid}) than the model "
                f"({self.transform.observed}); give the survey the `instrument` and the "
                "`log10_step` of the survey that the model is trained on."
            )

    def encode(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        """Latents of spectra, as in `forward`, shape (N, latent_size)."""

        return self.encoder(flux, ivar, z)

    def decode(self, latent: Tensor) -> Tensor:
        """Rest-frame spectra of latents, without an amplitude, shape (N, M)."""

        return self.decoder(latent)


def best_fit_amplitude(flux: Tensor, ivar: Tensor, model: Tensor) -> Tensor:
    """The multiple of each model that has the least chi-squared, shape (N,).

    Args:
        flux: Spectra (N, L).
        ivar: Their inverse variance (N, L), 0 where masked.
        model: Models (N, L).
    """

    weighted = ivar * model
    norm = (weighted * model).sum(dim=1).clamp_min(torch.finfo(flux.dtype).tiny)
    return (weighted * flux).sum(dim=1) / norm

"""What a spectrum autoencoder is trained for: a fit, and latents free of redshift."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uraniborg.nets.decoders import LowRankDecoder
from uraniborg.spectra.augmentation import augmented
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.losses import (
    consistency,
    fidelity,
    imitation,
    low_rank_distances,
    restframe_distances,
    restframe_medians,
    restframe_weight,
    similarity,
    similarity_slope,
)
from uraniborg.spectra.projection import ProjectedBatch

__all__ = ["Objective"]


@dataclass(frozen=True)
class Objective:
    """The loss of a training: fidelity plus what else has a weight (arXiv:2302.02496, section 2).

    Args:
        epochs: Epochs of the training.
        similarity: Weight of `uraniborg.spectra.losses.similarity`, 1 as published.
        consistency: Weight of `uraniborg.spectra.losses.consistency`, 1 as published.
        imitation: Weight of `uraniborg.spectra.losses.imitation`, which needs a teacher.
        slope: Largest steepness of the similarity.
        cycle: Epochs in which the steepness rises to it from 0, again and again.
        silent: Epochs at the end in which it is 0.
        sigma: Latent scale of the consistency.
        distance_amplitude: Largest weight of a pixel in the distance of spectra.
        distance_width: Width of these weights about 5000 Angstrom, in Angstrom.
        detector_noise: Of the augmented copies, see `uraniborg.spectra.augmentation.augmented`.
        teacher: A trained model, whose encoder may know what the trained one is not told.

    Example:
        >>> loss = Objective(epochs=20, similarity=1, consistency=1)
        >>> fit(model, loss, train, valid, settings, directory=folder)
    """

    epochs: int
    similarity: float = 0.0
    consistency: float = 0.0
    imitation: float = 0.0
    slope: float = 9.9
    cycle: int = 100
    silent: int = 10
    sigma: float = 0.1
    distance_amplitude: float = 20.0
    distance_width: float = 1000.0
    detector_noise: bool = False
    teacher: SpectrumAutoencoder | None = None

    def __call__(
        self, model: SpectrumAutoencoder, batch: Batch | ProjectedBatch, epoch: int
    ) -> dict[str, Tensor]:
        """The terms that have a weight, and their weighted sum as `loss`.

        Args:
            model: The autoencoder.
            batch: Spectra, with their projections if the encoder has them.
            epoch: From 1.
        """

        latent, latent_of_copy = self._latents(model, batch)
        batch = Batch(*batch[:3])
        reconstruction = model.reconstruct(latent, *batch)
        terms = {"fidelity": fidelity(batch.flux, batch.ivar, reconstruction.observed)}
        if self.similarity:
            slope = similarity_slope(epoch, self.epochs, self.slope, self.cycle, self.silent)
            distances = self._distances(model, latent, reconstruction.restframe)
            terms["similarity"] = similarity(latent, distances, slope)
        if self.consistency:
            terms["consistency"] = consistency(latent, latent_of_copy, self.sigma)
        if self.imitation:
            with torch.no_grad():
                taught = self.teacher.to(batch.flux.device).encode(*batch)
            terms["imitation"] = imitation(latent, taught) + imitation(latent_of_copy, taught)
        weights = {"fidelity": 1.0} | {
            name: getattr(self, name) for name in terms if name != "fidelity"
        }
        return {"loss": sum(weights[name] * term for name, term in terms.items()), **terms}

    def _latents(
        self, model: SpectrumAutoencoder, batch: Batch | ProjectedBatch
    ) -> tuple[Tensor, Tensor | None]:
        """Latents of the spectra, and of augmented copies if a term asks for them."""

        spectra, copy = Batch(*batch[:3]), None
        if self.consistency or self.imitation:
            transform = model.transform
            z_range = (max(transform.z_min, 0), transform.z_max)
            step = transform.observed.step
            copy = augmented(spectra, step, z_range, detector_noise=self.detector_noise)
        if isinstance(batch, ProjectedBatch):
            latent = model.encoder.latents(batch.coefficients)
            return latent, None if copy is None else model.encode(*copy)
        if copy is None:
            return model.encode(*spectra), None
        # In one batch, whose statistics a normalising encoder keeps: apart, it would learn to agree
        # within batches of originals and of copies, and not between them.
        together = (torch.cat(pair) for pair in zip(spectra, copy, strict=True))
        return model.encode(*together).chunk(2)

    def _distances(self, model: SpectrumAutoencoder, latent: Tensor, restframe: Tensor) -> Tensor:
        """Distances of the decoded spectra, in the cheapest way that is exact."""

        wavelength = torch.as_tensor(model.transform.restframe.wavelength).to(restframe)
        medians = restframe_medians(restframe, wavelength)
        weight = restframe_weight(wavelength, self.distance_amplitude, width=self.distance_width)
        decoder = model.decoder
        if not isinstance(decoder, LowRankDecoder):
            return restframe_distances(restframe, medians, weight)
        coefficients = nn.functional.pad(decoder.amplitudes(latent), (1, 0), value=1.0)
        components = torch.cat([decoder.mean[None], decoder.basis])
        return low_rank_distances(coefficients, components, medians, weight)

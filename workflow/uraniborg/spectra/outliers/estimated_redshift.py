"""Latents of spectra without a redshift, by an encoder that needs one."""

import torch
from torch import Tensor

from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.redshift import RedshiftEstimator

__all__ = ["EstimatedRedshiftEncoder"]


class EstimatedRedshiftEncoder:
    """Encodes spectra at the redshifts that their pixels tell; what it is given does not count.

    Args:
        model: A trained autoencoder whose encoder has a rest-frame basis.

    Raises:
        UserError: It has none.

    Example:
        >>> latent = EstimatedRedshiftEncoder(model)(flux, ivar)  # (N, latent_size)
    """

    def __init__(self, model: SpectrumAutoencoder) -> None:
        self.model, self.latent_size = model, model.latent_size
        self._estimator = RedshiftEstimator(model)

    def __call__(self, flux: Tensor, ivar: Tensor, z: Tensor | None = None) -> Tensor:
        return self.with_redshift(flux, ivar)[0]

    @torch.inference_mode()
    def with_redshift(self, flux: Tensor, ivar: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (N, latent_size) of spectra (N, L), and the redshifts (N,) they were taken at."""

        z = self._estimator.estimate(flux, ivar).z
        return self.model.encode(flux, ivar, z), z

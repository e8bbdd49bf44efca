"""Encoders: spectra in, latents out."""

from typing import Protocol

import torch
from torch import Tensor, nn

from uraniborg.nets.layers import ResidualLinear, multilayer_perceptron

__all__ = ["ConvolutionalEncoder", "Encoder", "RestframeEncoder"]


class Encoder(Protocol):
    """What every encoder is called with, whatever it looks at.

    The call takes the spectra (N, L) in units of their norm, their inverse variance (N, L) in the
    same units, 0 where masked, and their redshifts (N,); it returns latents (N, latent_size).
    """

    latent_size: int

    def __call__(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor: ...


class ConvolutionalEncoder(nn.Module):
    """The encoder of SPENDER (Melchior et al. 2023, arXiv:2211.07890, section 2.1).

    Three convolutions reduce the spectrum to a sequence of 512 channels; half of them are values,
    half are keys whose softmax along the sequence attends to the values; a small network maps the
    256 attended features to the latent. It sees the flux alone, neither redshift nor ivar.

    Args:
        latent_size: Number of latents.
        channels: Channels of the convolutions; the last is split into values and keys.
        kernels: Sizes of their kernels.
        pools: Sizes of the max-pooling after each convolution but the last.
        hidden: Widths of the network after attention.
        dropout: Probability of dropping a channel.
    """

    def __init__(
        self,
        latent_size: int,
        channels: tuple[int, int, int] = (128, 256, 512),
        kernels: tuple[int, int, int] = (5, 11, 21),
        pools: tuple[int, int] = (5, 11),
        hidden: tuple[int, ...] = (128, 64, 32),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        stages: list[nn.Module] = []
        for i, (before, after, kernel) in enumerate(
            zip((1, *channels[:-1]), channels, kernels, strict=True)
        ):
            stages += [
                nn.Conv1d(before, after, kernel, padding=kernel // 2),
                nn.InstanceNorm1d(after),
                nn.PReLU(after),
                nn.Dropout(dropout),
            ]
            if i < len(pools):
                stages.append(nn.MaxPool1d(pools[i], padding=pools[i] // 2))
        self.convolutions = nn.Sequential(*stages)
        self.features = multilayer_perceptron(channels[-1] // 2, hidden, latent_size, nn.PReLU)

    def forward(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        values, keys = self.convolutions(flux.unsqueeze(1)).chunk(2, dim=1)
        return self.features((values * keys.softmax(dim=-1)).sum(dim=-1))


class RestframeEncoder(nn.Module):
    """An encoder that knows the redshift: weighted projection on a rest-frame basis, then a net.

    The spectrum is explained by the basis (generalised least squares with the prior variance of
    the coefficients, so gaps and noise are handled where they arise), and the posterior-mean
    coefficients are mapped to the latent by a linear layer plus a small network.

    Args:
        latent_size: Number of latents.
        transform: From the rest-frame grid of M pixels to the observed grid.
        mean: Mean rest-frame spectrum, shape (M,).
        basis: Basis spectra, shape (K, M).
        variance: Prior variance of the K coefficients, shape (K,).
        hidden: Widths of the network.
    """

    def __init__(
        self,
        latent_size: int,
        transform: nn.Module,
        mean: Tensor,
        basis: Tensor,
        variance: Tensor,
        hidden: tuple[int, ...] = (128, 128),
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.transform = transform
        self.register_buffer("mean", mean.clone())
        self.register_buffer("basis", basis.clone())
        self.register_buffer("variance", variance.clone())
        self.register_buffer("_products", _pair_products(basis), persistent=False)
        self.register_load_state_dict_post_hook(_renew_products)
        self.network = ResidualLinear(len(basis), hidden, latent_size)

    def forward(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        return self.network(self.coefficients(flux, ivar, z) / self.variance.sqrt())

    def coefficients(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        """Posterior mean of the basis coefficients, shape (N, K).

        The information matrix uses the inverse variance pulled back to rest-frame pixels, which
        neglects that interpolation mixes neighbouring pixels; the network learns the rest.
        """

        residual = flux - self.transform(self.mean.expand(len(z), -1), z)
        projection = self.transform.adjoint(ivar * residual, z) @ self.basis.T
        information = self._information(self.transform.adjoint(ivar, z))
        return torch.linalg.solve(information, projection)

    def _information(self, ivar: Tensor) -> Tensor:
        """Basis covariance under rest-frame weights plus the prior, shape (N, K, K)."""

        size = len(self.basis)
        rows, columns = torch.tril_indices(size, size, device=ivar.device)
        # One matrix product for all objects: the K (K + 1) / 2 products of basis spectra are fixed.
        lower = ivar @ self._products.T
        information = ivar.new_zeros(len(ivar), size, size)
        information[:, rows, columns] = lower
        information[:, columns, rows] = lower
        return information + torch.diag(1 / self.variance)


def _renew_products(encoder: RestframeEncoder, _: object) -> None:
    """The products follow from the basis, so they are not stored with it."""

    encoder._products.copy_(_pair_products(encoder.basis))


def _pair_products(basis: Tensor) -> Tensor:
    """Products of all pairs of basis spectra, shape (K (K + 1) / 2, M)."""

    rows, columns = torch.tril_indices(len(basis), len(basis), device=basis.device)
    return basis[rows] * basis[columns]

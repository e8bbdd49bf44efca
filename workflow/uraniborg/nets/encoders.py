"""Encoders: spectra in, latents out."""

from typing import Protocol

import torch
from torch import Tensor, nn

from uraniborg.nets.convolution import convolution_stage
from uraniborg.nets.layers import ResidualLinear, multilayer_perceptron

__all__ = [
    "Encoder",
    "PublishedEncoder",
    "RestframeEncoder",
    "brightness",
    "relative_coefficients",
]


class Encoder(Protocol):
    """What every encoder is called with, whatever it looks at.

    The call takes the spectra (N, L) in units of their norm, their inverse variance (N, L) in the
    same units, 0 where masked, and their redshifts (N,); it returns latents (N, latent_size).
    """

    latent_size: int

    def __call__(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor: ...


class PublishedEncoder(nn.Module):
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
        self.latent_size, self.dropout = latent_size, dropout
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
        return self.summarise(*self.attend(flux, ivar))

    def attend(self, flux: Tensor, ivar: Tensor) -> tuple[Tensor, Tensor]:
        """Values and attention along the sequence of P positions, each (N, C, P).

        The attention sums to one over the positions of each channel.
        """

        values, keys = self._sequence(flux).chunk(2, dim=1)
        return values, keys.softmax(dim=-1)

    def summarise(self, values: Tensor, attention: Tensor) -> Tensor:
        """Latents (N, latent_size) of values that are attended to."""

        return self.features((values * attention).sum(dim=-1))

    def _sequence(self, flux: Tensor) -> Tensor:
        """Values and keys, shape (N, 2 C, P), on the CPU at a fraction of the arithmetic.

        Not in half precision, in which Fourier transforms lose too much.
        """

        layers = list(self.convolutions)
        rising = all(bool((x.weight >= 0).all()) for x in layers if isinstance(x, nn.PReLU))
        direct = flux.device.type != "cpu" or torch.is_autocast_enabled("cpu")
        if direct or not rising or (self.training and self.dropout > 0):
            return self.convolutions(flux.unsqueeze(1))
        sequence = flux.unsqueeze(2)
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.Conv1d):
                last = layers[i + 4 : i + 5]
                pool = last[0].kernel_size if last else None
                sequence = convolution_stage(sequence, layer, layers[i + 2], pool)
        return sequence.transpose(1, 2)


class RestframeEncoder(nn.Module):
    """An encoder that knows the redshift: weighted projection on a rest-frame basis, then a net.

    The spectrum is explained by a multiple of the mean plus the basis (generalised least squares
    with the prior variance of the coefficients, so gaps and noise are handled where they arise).
    The coefficients in units of that multiple do not depend on how bright the object is, nor on
    what the spectrum was divided by; a linear layer plus a small network maps them to the latent.

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
        self.register_buffer("_products", _pair_products(self._components), persistent=False)
        self.register_load_state_dict_post_hook(_renew_products)
        self.network = ResidualLinear(len(basis), hidden, latent_size)

    def forward(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        return self.latents(self.coefficients(flux, ivar, z)[1])

    def latents(self, coefficients: Tensor) -> Tensor:
        """What the network, all of the encoder that learns, makes of coefficients (N, K)."""

        return self.network(coefficients / self.variance.sqrt())

    def coefficients(self, flux: Tensor, ivar: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude of the mean spectrum (N,) and posterior mean of the coefficients (N, K) in
        units of it; NaN without good pixels.

        The information matrix uses the inverse variance pulled back to rest-frame pixels, which
        neglects that interpolation mixes neighbouring pixels; the network learns the rest.
        """

        information, projection = self.normal_equations(flux, ivar, z)
        weight = information[:, 0, 0].clamp_min(torch.finfo(flux.dtype).tiny)
        scale = brightness(projection[:, 0], weight)
        prior = torch.diag(nn.functional.pad(1 / self.variance, (1, 0)))
        matrix = information * scale[:, None, None].square() + prior
        # Without a good pixel there is nothing to solve for, and no amplitude.
        empty = information[:, 0, 0] <= 0
        matrix = torch.where(empty[:, None, None], torch.eye(len(prior)).to(prior), matrix)
        solution = torch.linalg.solve(matrix, projection * scale[:, None])
        amplitude, coefficients = relative_coefficients(solution)
        amplitude = amplitude.masked_fill(empty, torch.nan)
        return amplitude * scale, coefficients.masked_fill(empty[:, None], torch.nan)

    def normal_equations(self, flux: Tensor, ivar: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Information matrix (N, K + 1, K + 1) and projection (N, K + 1) of the mean and the
        basis, without the prior."""

        size = len(self.basis) + 1
        projection = self.transform.adjoint(ivar * flux, z) @ self._components.T
        rows, columns = torch.tril_indices(size, size, device=flux.device)
        # One matrix product for all objects: products of pairs of spectra are fixed.
        lower = self.transform.adjoint(ivar, z) @ self._products.T
        information = lower.new_zeros(len(lower), size, size)
        information[:, rows, columns] = lower
        information[:, columns, rows] = lower
        return information, projection

    @property
    def _components(self) -> Tensor:
        return torch.cat([self.mean[None], self.basis])


def brightness(projection: Tensor, weight: Tensor) -> Tensor:
    """How bright spectra are roughly: the amplitude of the mean alone, above its own noise, in
    whose units the prior of the coefficients holds.

    Args:
        projection: On the mean, of any shape.
        weight: Information about its amplitude, of a shape that goes with it.
    """

    return (projection / weight).maximum(weight.rsqrt())


def relative_coefficients(solution: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude of the mean (N,), and coefficients (N, K) in units of it, of solutions (N, K + 1)
    in units of the brightness; those of a spectrum that is all noise would be divided by next to
    nothing."""

    amplitude = solution[:, 0].clamp_min(0.1)
    return amplitude, solution[:, 1:] / amplitude[:, None]


def _renew_products(encoder: RestframeEncoder, _: object) -> None:
    """The products follow from the basis, so they are not stored with it."""

    encoder._products.copy_(_pair_products(encoder._components))


def _pair_products(spectra: Tensor) -> Tensor:
    """Products of all pairs of K spectra, shape (K (K + 1) / 2, M)."""

    rows, columns = torch.tril_indices(len(spectra), len(spectra), device=spectra.device)
    return spectra[rows] * spectra[columns]

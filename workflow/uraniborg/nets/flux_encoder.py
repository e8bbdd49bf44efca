"""A light encoder that sees spectra without knowing their redshift."""

import torch
from torch import Tensor, nn

from uraniborg.nets.layers import multilayer_perceptron

__all__ = ["FluxEncoder"]


class FluxEncoder(nn.Module):
    """Strided convolutions, then the attention of SPENDER (arXiv:2211.07890, section 2.1).

    The published encoder convolves at full resolution and pools; here each convolution takes steps
    as it goes, at a few hundredths of the arithmetic. Half of the last channels are
    values, half are keys whose softmax along the sequence attends to the values. Where something is
    attended to tells of the redshift, which the encoder is not given: attended values are therefore
    summed within segments, not over the whole sequence, before a network maps them to the latent.

    It does not matter what a spectrum was divided by: it is measured in units of its own mean.

    Args:
        latent_size: Number of latents.
        channels: Channels of the convolutions; the last is split into values and keys.
        kernels: Sizes of their kernels.
        strides: Their steps in pixels.
        segments: Number of segments; one as published.
        hidden: Widths of the network after attention.
        weighted: Whether the encoder sees the inverse variance as well: masked pixels are blanked,
            and the signal-to-noise ratio of each pixel is a second channel. Otherwise it sees the
            flux alone, as published.
    """

    def __init__(
        self,
        latent_size: int,
        channels: tuple[int, ...] = (32, 64, 128, 256),
        kernels: tuple[int, ...] = (8, 5, 5, 3),
        strides: tuple[int, ...] = (4, 4, 4, 2),
        segments: int = 16,
        hidden: tuple[int, ...] = (256, 128),
        weighted: bool = True,
    ) -> None:
        super().__init__()
        self.latent_size, self.segments, self.weighted = latent_size, segments, weighted
        self.kernel, self.stride = kernels[0], strides[0]
        # The first convolution as a product of matrices, faster where there are so few channels.
        self.windows = nn.Linear((1 + weighted) * self.kernel, channels[0], bias=False)
        stages: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.SiLU()]
        for i in range(1, len(channels)):
            size, step = (1, kernels[i]), (1, strides[i])
            padding = (0, kernels[i] // 2)
            stages += [
                nn.Conv2d(channels[i - 1], channels[i], size, step, padding, bias=False),
                nn.BatchNorm2d(channels[i]),
                nn.SiLU(),
            ]
        # Without the last activation: values and keys may have either sign.
        self.convolutions = nn.Sequential(*stages[:-1])
        self.features = multilayer_perceptron(
            channels[-1] // 2 * segments, hidden, latent_size, lambda size: nn.SiLU()
        )

    def forward(self, flux: Tensor, ivar: Tensor, z: Tensor) -> Tensor:
        if self.training or flux.is_cuda:
            return self.summarise(*self.attend(flux, ivar))
        # A few spectra at a time stay in the processor's caches.
        parts = zip(flux.split(32), ivar.split(32), strict=True)
        return torch.cat([self.summarise(*self.attend(*part)) for part in parts])

    def attend(self, flux: Tensor, ivar: Tensor) -> tuple[Tensor, Tensor]:
        """Values and attention along the sequence of P positions, each (N, C, P).

        The attention sums to one over the positions of each channel.
        """

        windows = self._inputs(flux, ivar).unfold(2, self.kernel, self.stride)
        first = self.windows(windows.transpose(1, 2).flatten(2))
        # Channels stay last in memory, as two-dimensional convolutions on the CPU prefer.
        sequence = first.transpose(1, 2).unsqueeze(2)
        values, keys = self.convolutions(sequence).squeeze(2).chunk(2, dim=1)
        return values, keys.softmax(dim=-1)

    def summarise(self, values: Tensor, attention: Tensor) -> Tensor:
        """Latents (N, latent_size) of values that are attended to."""

        # Means instead of sums, in units of even attention: of order one whatever P is.
        attended = values * attention * values.shape[-1]
        segments = nn.functional.adaptive_avg_pool1d(attended, self.segments)
        return self.features(segments.flatten(1))

    def _inputs(self, flux: Tensor, ivar: Tensor) -> Tensor:
        """What the first convolution sees, (N, 1 or 2, L)."""

        tiny = torch.finfo(flux.dtype).tiny
        if not self.weighted:
            scale = flux.mean(dim=1).maximum(0.1 * flux.square().mean(dim=1).sqrt())
            return _compressed(flux / scale.clamp_min(tiny)[:, None])[:, None]
        weight = ivar.sum(dim=1).clamp_min(tiny)
        # At least the noise of the mean, below which there is nothing to divide by.
        scale = ((ivar * flux).sum(dim=1) / weight).maximum(weight.rsqrt())[:, None]
        relative = torch.where(ivar > 0, flux / scale, 0)
        return torch.stack([_compressed(relative), (ivar.sqrt() * scale).log1p()], dim=1)


def _compressed(x: Tensor) -> Tensor:
    """Linear near zero and logarithmic beyond, so that no line dominates."""

    return x.sign() * x.abs().log1p()

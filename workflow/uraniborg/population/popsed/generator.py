"""The flow that draws galaxies: their parameters and the density there, in one pass."""

from torch import Tensor, nn

from uraniborg.nets.flows import Flow

__all__ = ["Generator"]

_LOG_TWO_PI = 1.8378770664093453


class Generator(nn.Module):
    """A normalising flow run as a generator.

    An autoregressive transform is fast from its input to its output. Here the input is noise and
    the output are coordinates of `ParameterSpace` (inverse autoregressive flow, Kingma et al.
    2016, arXiv:1606.04934), so that galaxies and their density come in one pass, where a flow that
    was built for densities would need one pass per coordinate.

    Args:
        size: Number D of coordinates.
        transforms: Pairs of an affine and a spline transform.
        hidden: Widths of the networks.
        bins: Bins of the splines.
    """

    def __init__(
        self,
        size: int,
        transforms: int = 2,
        hidden: tuple[int, ...] = (64,),
        bins: int = 8,
    ) -> None:
        super().__init__()
        self.size = size
        self.flow = Flow(size, kind="spline", transforms=transforms, hidden=hidden, bins=bins)

    def forward(self, base: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (N, D) and the log of their density (N,), from standard normals (N, D)."""

        y, determinant = self.flow.transform(None).call_and_ladj(base)
        log_prob = -(base.square().sum(1) + self.size * _LOG_TWO_PI) / 2 - determinant
        return y, log_prob

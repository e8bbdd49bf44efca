"""Small parts that networks are composed of."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["GatedLinearUnit", "ResidualLinear", "multilayer_perceptron"]


class GatedLinearUnit(nn.Module):
    """The activation [g + (1 - g) sigmoid(b x)] x with learned g and b per unit.

    It is linear where g is 1 and a swish where g is 0 (Alsing et al. 2020, arXiv:1911.11778;
    used by the decoder of SPENDER, arXiv:2211.07890).

    Args:
        size: Number of units.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.randn(size))
        self.slope = nn.Parameter(torch.randn(size))

    def forward(self, x: Tensor) -> Tensor:
        return (self.gate + (1 - self.gate) * torch.sigmoid(self.slope * x)) * x


class ResidualLinear(nn.Module):
    """A linear map plus a small network that starts at zero.

    Training starts from the linear model, so a linear solution is where it begins rather than
    something it has to find.

    Args:
        inputs: Number of inputs.
        hidden: Widths of the network.
        outputs: Number of outputs; the linear map starts as the identity on the common part.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.network = multilayer_perceptron(inputs, hidden, outputs, lambda size: nn.SiLU())
        nn.init.zeros_(self.network[-1].weight)
        nn.init.zeros_(self.network[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.network(x)


def multilayer_perceptron(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    activation: Callable[[int], nn.Module],
) -> nn.Sequential:
    """Linear layers with an activation after each but the last.

    Args:
        inputs: Number of inputs.
        hidden: Widths of the hidden layers.
        outputs: Number of outputs.
        activation: Makes the activation for a layer of the given width.
    """

    layers: list[nn.Module] = []
    for before, after in zip((inputs, *hidden[:-1]), hidden, strict=True):
        layers += [nn.Linear(before, after), activation(after)]
    layers.append(nn.Linear(hidden[-1], outputs))
    return nn.Sequential(*layers)

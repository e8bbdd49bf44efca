import torch

from uraniborg.nets.layers import GatedLinearUnit, ResidualLinear


def test_gated_linear_unit_is_linear_at_gate_one_and_swish_at_gate_zero():
    x = torch.linspace(-3, 3, 7)[:, None]
    unit = GatedLinearUnit(1)
    with torch.no_grad():
        unit.slope.fill_(1.0)
        unit.gate.fill_(1.0)
        torch.testing.assert_close(unit(x), x)
        unit.gate.fill_(0.0)
        torch.testing.assert_close(unit(x), torch.nn.functional.silu(x))


def test_residual_linear_starts_as_the_identity():
    x = torch.randn(5, 4)
    torch.testing.assert_close(ResidualLinear(4, (8,), 4)(x), x)
    torch.testing.assert_close(ResidualLinear(4, (8,), 2)(x), x[:, :2])

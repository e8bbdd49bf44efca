"""The flow as a generator: one pass gives galaxies and the density there."""

import pytest
import torch
from torch.distributions import Normal

from uraniborg.population.popsed.generator import Generator


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(3)
    generator = Generator(4, transforms=2, hidden=(16,), bins=4).double()
    with torch.no_grad():
        # Weights as after a training.
        for weight in generator.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return generator


def normal(number, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(number, 4, generator=random, dtype=torch.float64)


def test_the_density_is_that_of_the_change_of_variables(generator):
    base = normal(20)
    y, log_prob = generator(base)
    assert (y - base).abs().mean() > 0.05
    for row in range(len(base)):
        jacobian = torch.autograd.functional.jacobian(lambda x: generator(x[None])[0][0], base[row])
        expected = Normal(0, 1).log_prob(base[row]).sum() - torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(log_prob[row], expected, rtol=1e-8, atol=1e-8)


def test_the_density_is_normalised(generator):
    with torch.no_grad():
        y, log_prob = generator(normal(20_000))
    # The mean ratio of another density to that which galaxies were drawn from is one.
    other = Normal(y.mean(dim=0), y.std(dim=0) / 2)
    ratio = (other.log_prob(y).sum(1) - log_prob).exp()
    assert float(ratio.std()) < 5
    assert float(ratio.mean()) == pytest.approx(1, abs=0.1)


def test_noise_decides_the_galaxies(generator):
    base = normal(30)
    y, log_prob = generator(base)
    again, alone = generator(base), generator(base[7:8])
    assert torch.equal(y, again[0])
    assert torch.equal(log_prob, again[1])
    # Each galaxy comes from its own noise.
    torch.testing.assert_close(alone[0][0], y[7])


def test_all_weights_learn(generator):
    y, log_prob = generator(normal(50))
    (y.square().sum() + log_prob.sum()).backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in generator.parameters())
    assert sum(float(w.grad.abs().sum()) for w in generator.parameters()) > 0

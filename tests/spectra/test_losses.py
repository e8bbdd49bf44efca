import pytest
import torch

from uraniborg.spectra.losses import (
    consistency,
    fidelity,
    low_rank_distances,
    restframe_distances,
    restframe_medians,
    restframe_weight,
    similarity,
    similarity_slope,
)

WAVELENGTH = torch.linspace(2400, 9300, 700)


def spectra(number: int = 24, rank: int = 5, seed: int = 3):
    """Coefficients and components of positive spectra with lines."""

    generator = torch.Generator().manual_seed(seed)
    components = 0.2 * torch.randn(rank + 1, 700, generator=generator)
    components[0] = 1 + 0.3 * torch.sin(WAVELENGTH / 800)
    coefficients = torch.randn(number, rank + 1, generator=generator)
    coefficients[:, 0] = 1
    return coefficients, components


def direct_distances(restframe, medians, weight):
    """As published: differences of all pairs."""

    x = restframe / medians[:, None]
    return (weight * (x[:, None] - x[None]).square()).mean(dim=-1)


def direct_similarity(latent, distances, slope):
    total = 0.0
    for i in range(len(latent)):
        for j in range(len(latent)):
            if i != j:
                u = slope * ((latent[i] - latent[j]).square().mean() - distances[i, j])
                total += torch.sigmoid(u - 2.5) + torch.sigmoid(-u - 2.5)
    return total / len(latent) ** 2


def test_distances_equal_those_of_all_pairs():
    coefficients, components = spectra()
    restframe, weight = coefficients @ components, restframe_weight(WAVELENGTH)
    medians = restframe_medians(restframe, WAVELENGTH)
    direct = direct_distances(restframe.double(), medians.double(), weight.double())
    products = restframe_distances(restframe, medians, weight)
    metric = low_rank_distances(coefficients, components, medians, weight)
    scale = direct.max()
    assert (products - direct).abs().max() / scale < 1e-6
    assert (metric - direct).abs().max() / scale < 1e-6


def test_low_rank_gradients_equal_those_of_the_spectra():
    coefficients, components = (x.double().requires_grad_() for x in spectra())
    weight = restframe_weight(WAVELENGTH.double())
    latent = coefficients[:, 1:3]

    def gradients(low_rank: bool):
        restframe = coefficients @ components
        medians = restframe_medians(restframe, WAVELENGTH)
        if low_rank:
            distances = low_rank_distances(coefficients, components, medians, weight)
        else:
            distances = restframe_distances(restframe, medians, weight)
        loss = similarity(latent, distances, 3.0)
        return torch.autograd.grad(loss, (coefficients, components))

    for one, other in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(one, other)


def test_similarity_is_the_published_sum():
    coefficients, components = spectra(number=9)
    latent = coefficients[:, 1:4]
    restframe = coefficients @ components
    medians = restframe_medians(restframe, WAVELENGTH)
    weight = restframe_weight(WAVELENGTH)
    distances = restframe_distances(restframe, medians, weight)
    direct = direct_similarity(latent, direct_distances(restframe, medians, weight), 4.0)
    torch.testing.assert_close(similarity(latent, distances, 4.0), direct)


def test_similarity_is_least_where_both_distances_agree():
    latent = spectra()[0][:, 1:]
    matching = (latent[:, None] - latent[None]).square().mean(dim=-1)
    number = len(latent)
    least = 2 * torch.sigmoid(torch.tensor(-2.5)) * (number - 1) / number
    torch.testing.assert_close(similarity(latent, matching, 9.0), least)
    assert similarity(latent, 2 * matching, 9.0) > 1.5 * least
    assert similarity(latent, 0 * matching, 9.0) > 1.5 * least


def test_identical_spectra_have_no_distance():
    one = spectra()[0][:1] @ spectra()[1]
    restframe = one.expand(6, -1) * torch.arange(1.0, 7.0)[:, None]
    medians = restframe_medians(restframe, WAVELENGTH)
    distances = restframe_distances(restframe, medians, restframe_weight(WAVELENGTH))
    torch.testing.assert_close(distances, torch.zeros(6, 6), atol=1e-6, rtol=0)


def test_medians_look_at_the_window_alone():
    restframe = torch.where((WAVELENGTH > 4000) & (WAVELENGTH < 7000), 2.0, 50.0).repeat(2, 1)
    torch.testing.assert_close(restframe_medians(restframe, WAVELENGTH), torch.full((2,), 2.0))


def test_weight_is_a_gaussian_of_the_published_width():
    weight = restframe_weight(torch.tensor([3000.0, 5000.0, 7000.0]))
    torch.testing.assert_close(weight, 20 * torch.tensor([-1.0, 0.0, -1.0]).exp())


def test_consistency_is_zero_for_equal_latents_and_a_half_for_distant_ones():
    latent = spectra()[0]
    assert consistency(latent, latent) == 0
    torch.testing.assert_close(consistency(latent, latent + 10), torch.tensor(0.5))
    shifted = consistency(latent, latent + 0.1, sigma=0.1)
    torch.testing.assert_close(shifted, torch.sigmoid(torch.tensor(1.0)) - 0.5)


def test_slope_rises_in_cycles_and_ends_at_zero():
    slopes = [similarity_slope(epoch, 1000) for epoch in range(1, 1001)]
    assert slopes[0] == slopes[100] == 0
    assert slopes[1] == pytest.approx(0.1)
    assert slopes[99] == slopes[199] == max(slopes) == pytest.approx(9.9)
    assert slopes[989] > 0
    assert set(slopes[990:]) == {0.0}


def test_fidelity_is_half_the_reduced_chi2_of_pure_noise():
    generator = torch.Generator().manual_seed(1)
    noise = 0.3 * torch.randn(50, 4000, generator=generator)
    ivar = torch.full_like(noise, 0.3**-2)
    assert fidelity(noise, ivar, torch.zeros_like(noise)) == pytest.approx(0.5, rel=0.01)

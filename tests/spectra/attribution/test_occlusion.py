import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.spectra.attribution.occlusion import (
    PastedSpectra,
    Scales,
    attributed,
    combined,
    consensus,
    inverse_occlusion,
    per_pixel,
    window_sums,
)
from uraniborg.spectra.dataset import Batch

SCALES = Scales((1, 4, 16), (0, 2, 10))


def weighted_sum(batch):
    """A score that is linear in the flux."""

    return (batch.flux.double() * torch.arange(batch.flux.shape[1])).sum(dim=1)


def make_spectrum(length=50, masked=()):
    generator = torch.Generator().manual_seed(3)
    ivar = torch.ones(1, length)
    ivar[0, list(masked)] = 0
    flux = torch.randn(1, length, generator=generator) * (ivar > 0)
    baselines = torch.randn(3, length, generator=generator)
    return Batch(flux, ivar, torch.zeros(1)), baselines


def test_as_many_encodes_as_published():
    """Of 8 baselines, each of which is encoded once per scale, and all windows pasted into them."""

    assert 8 * sum(1 + len(edges) - 1 for edges in Scales().windows(7781)) == 82976


@given(
    length=st.integers(1, 300),
    scale=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 900)), min_size=1, max_size=4),
)
def test_windows_tile_the_spectrum(length, scale):
    sizes, offsets = zip(*scale, strict=True)
    for size, offset, edges in zip(
        sizes, offsets, Scales(sizes, offsets).windows(length), strict=True
    ):
        widths = edges.diff()
        assert edges[0] == 0
        assert edges[-1] == length
        assert (widths > 0).all()
        assert (widths <= size).all()
        assert (widths[1:-1] == size).all()
        assert widths[0] == min(offset % size or size, length)


@pytest.mark.parametrize(
    ("sizes", "offsets"), [((), ()), ((1, 2), (0,)), ((0,), (0,)), ((4,), (-1,))]
)
def test_refuses_scales_that_are_none(sizes, offsets):
    with pytest.raises(ValueError, match=r"sizes|offsets"):
        Scales(sizes, offsets)


def test_a_linear_score_is_attributed_exactly():
    spectrum, baselines = make_spectrum(masked=(7, 8, 30))
    maps = inverse_occlusion(weighted_sum, spectrum, baselines, SCALES, batch_size=7)
    good = spectrum.ivar[0] > 0
    pixel = torch.arange(50)
    expected = (spectrum.flux.double() - baselines) * pixel * good
    torch.testing.assert_close(maps[0], expected)
    # Each scale shares out the whole difference.
    for scale in maps:
        torch.testing.assert_close(scale.sum(dim=1), expected.sum(dim=1))
        assert (scale[:, ~good] == 0).all()
    window = slice(10, 26)
    mean = expected[:, window].sum(dim=1) / 16
    torch.testing.assert_close(maps[2][:, window], mean[:, None].expand(-1, 16))


def test_effects_are_per_good_pixel():
    edges, good = torch.tensor([0, 2, 5]), torch.tensor([True, False, True, True, False])
    shared = per_pixel(torch.tensor([[3.0, 8.0]]), edges, good)
    assert shared.tolist() == [[3, 0, 4, 4, 0]]


def test_a_window_without_good_pixels_has_no_attribution():
    spectrum, baselines = make_spectrum(masked=range(50))
    maps = inverse_occlusion(lambda batch: batch.flux[:, 0] * torch.nan, spectrum, baselines)
    assert (maps == 0).all()


def test_the_batch_size_does_not_matter(explained):
    few, many = (
        inverse_occlusion(
            explained.score, explained.spectrum, explained.baselines, SCALES, batch_size=size
        )
        for size in (50, 256)
    )
    torch.testing.assert_close(few, many, rtol=1e-3, atol=1e-3)


def test_what_is_left_at_the_estimate_is_exact_of_a_linear_score():
    spectrum, baselines = make_spectrum(masked=(3,))
    pasting = PastedSpectra(weighted_sum, spectrum, baselines, spectrum.flux.expand(3, -1))
    near, exact = attributed(pasting, SCALES, 0.1), attributed(pasting, SCALES)
    torch.testing.assert_close(near, exact, rtol=1e-5, atol=1e-5)


def test_only_the_chosen_share_of_small_windows_is_evaluated():
    spectrum, baselines = make_spectrum(200)
    seen = []

    def curved(batch):
        seen.append(len(batch.flux))
        return batch.flux.double().pow(3).sum(dim=1)

    pasting = PastedSpectra(curved, spectrum, baselines, spectrum.flux.expand(3, -1))
    seen.clear()
    near = attributed(pasting, Scales((1,), (0,)), 0.1, largest=1)
    assert sum(seen) <= 3 + 2 * 60
    exact = attributed(pasting, Scales((1,), (0,)))
    changed = (near - exact).abs() > 1e-6
    # Of curved scores the largest are right all the same.
    assert 0.5 < changed.double().mean() < 0.95
    assert not changed.flatten()[exact.abs().flatten().topk(10).indices].any()


def test_scales_weigh_by_inverse_deviation_over_baselines():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 5, 40, generator=generator, dtype=torch.float64)
    mean, deviation = maps.mean(dim=1), maps.std(dim=1)
    expected = (mean / deviation).sum(dim=0) / (1 / deviation).sum(dim=0)
    torch.testing.assert_close(combined(maps), expected)


@given(scale=st.floats(1e-150, 1e150))
def test_the_combination_is_in_the_units_of_the_score(scale):
    maps = torch.randn(3, 5, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(combined(scale * maps), scale * combined(maps), atol=0, rtol=1e-9)


def test_finite_where_baselines_agree():
    agreed = torch.ones(2, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(combined(agreed), torch.ones(5, dtype=torch.float64))
    assert (combined(0 * agreed) == 0).all()
    # One baseline has no deviation: the mean over scales.
    one = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]], dtype=torch.float64)
    torch.testing.assert_close(combined(one), torch.tensor([2.0, 3.0], dtype=torch.float64))


def test_finds_the_line(explained):
    maps = inverse_occlusion(
        explained.score, explained.spectrum, explained.baselines, Scales((4, 16), (2, 10))
    )
    attribution = combined(maps)
    assert explained.line.start <= int(attribution.argmax()) < explained.line.stop
    positive = attribution.clamp_min(0)
    assert positive[explained.line].sum() > 0.5 * positive.sum()


def test_window_sums():
    values = torch.tensor([[1.0, 2, 3, 4]])
    sums = window_sums(values, torch.tensor([0, 1, 4]))
    assert sums.tolist() == [[1, 9]]
    assert sums.dtype == torch.float64


def test_a_consensus_is_of_all_scales_and_baselines():
    maps = torch.tensor([[[4.0, 1.0, -1.0, 0.0], [2.0, 8.0, 2.0, 0.0]]], dtype=torch.float64)
    found = consensus(maps)
    expected = [(1 * 0.25) ** 0.5, (0.25 * 1) ** 0.5, (1e-6 * 0.25) ** 0.5, 0]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_a_consensus_knows_no_units(explained):
    maps = inverse_occlusion(explained.score, explained.spectrum, explained.baselines, SCALES)
    torch.testing.assert_close(consensus(1e3 * maps), consensus(maps))
    assert (consensus(-maps.abs()) == 0).all()

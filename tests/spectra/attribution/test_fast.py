import pytest
import torch

from uraniborg.spectra.attribution.fast import (
    PastedProjections,
    fast_inverse_occlusion,
    pasting,
)
from uraniborg.spectra.attribution.occlusion import (
    PastedSpectra,
    Scales,
    combined,
    inverse_occlusion,
)
from uraniborg.spectra.attribution.scores import WholeScore

SCALES = Scales((1, 4, 16, 64), (0, 2, 10, 42))


def correlation(left, right):
    return float(torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1])


def pasted(explained, kind):
    donors = explained.spectrum.flux.expand_as(explained.baselines)
    return kind(explained.score, explained.spectrum, explained.baselines, donors)


def test_projections_give_the_published_map(explained):
    published = inverse_occlusion(explained.score, explained.spectrum, explained.baselines, SCALES)
    fast = fast_inverse_occlusion(
        explained.score, explained.spectrum, explained.baselines, SCALES, share=1
    )
    assert fast.abs().max() > 0.1
    assert correlation(fast, published) > 1 - 1e-6
    assert correlation(combined(fast), combined(published)) > 1 - 1e-5
    torch.testing.assert_close(fast, published, rtol=1e-3, atol=2e-4)


def test_nothing_but_rounding_is_neglected(explained):
    """The difference from pasted spectra goes away in double precision."""

    windows = (
        torch.tensor([0, 1, 2, 3]),
        torch.tensor([0, 50, 99, 7]),
        torch.tensor([400, 90, 100, 8]),
    )
    fast = pasted(explained, PastedProjections)
    hosts = fast._hosts[windows[0]]
    flux = explained.baselines.clone()
    for k, start, stop in zip(*(x.tolist() for x in windows), strict=True):
        flux[k, start:stop] = explained.spectrum.flux[0, start:stop]
    ivar = explained.spectrum.ivar.expand(4, -1)
    encoder = explained.scorer.model.encoder
    _, direct = encoder.normal_equations(flux, ivar, explained.spectrum.z.expand(4))
    change = fast._cumulative[windows[0], windows[2]] - fast._cumulative[windows[0], windows[1]]
    torch.testing.assert_close((hosts + change).float(), direct, rtol=1e-5, atol=1e-3)


def test_hosts_are_scored_as_they_are(explained):
    fast, slow = pasted(explained, PastedProjections), pasted(explained, PastedSpectra)
    torch.testing.assert_close(fast.host_scores, slow.host_scores, rtol=0, atol=1e-3)


def test_estimates_agree(explained):
    edges = SCALES.windows(400)[1]
    fast = pasted(explained, PastedProjections).estimate(edges).effect
    slow = pasted(explained, PastedSpectra).estimate(edges).effect
    assert correlation(fast, slow) > 1 - 1e-6


@pytest.mark.parametrize("name", ["explained", "explained_flux"])
def test_nearly_the_published_map_from_few_windows(name, request):
    explained = request.getfixturevalue(name)
    published = combined(
        inverse_occlusion(explained.score, explained.spectrum, explained.baselines, SCALES)
    )
    near = combined(
        fast_inverse_occlusion(explained.score, explained.spectrum, explained.baselines, SCALES)
    )
    assert correlation(near, published) > 0.999


def test_spectra_are_pasted_where_nothing_is_projected(explained, explained_flux):
    for case, kind in ((explained, PastedProjections), (explained_flux, PastedSpectra)):
        assert isinstance(pasted(case, pasting), kind)
    with pytest.raises(ValueError, match="rest-frame basis"):
        pasted(explained_flux, PastedProjections)


def test_every_window_is_evaluated_without_a_gradient(explained):
    whole = WholeScore(explained.scorer, explained.snr)
    scales = Scales((16, 4), (0, 0))
    arguments = explained.spectrum, explained.baselines, scales
    torch.testing.assert_close(
        fast_inverse_occlusion(whole, *arguments, largest=16), inverse_occlusion(whole, *arguments)
    )


def test_any_classifier_will_do(explained):
    def classifier(batch):
        return torch.sigmoid(batch.flux[:, 100:110].sum(dim=1) - 10)

    maps = fast_inverse_occlusion(
        classifier, explained.spectrum, explained.baselines, Scales((4,), (0,)), share=0.2
    )
    assert maps[:, :, :100].abs().max() < 1e-6
    assert maps[:, :, 100:110].abs().max() > 1e-3


def test_a_spectrum_without_good_pixels_has_no_attribution(explained):
    flux, ivar, z = explained.spectrum
    empty = type(explained.spectrum)(0 * flux, 0 * ivar, z)
    maps = fast_inverse_occlusion(explained.score, empty, explained.baselines, SCALES)
    assert (maps == 0).all()

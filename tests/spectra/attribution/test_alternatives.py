import numpy as np
import pytest
import torch
from captum.attr import GradientShap

from uraniborg.spectra.attribution.alternatives import METHODS, NEED_GRADIENT
from uraniborg.spectra.attribution.scores import WholeScore
from uraniborg.spectra.dataset import Batch


def curved(batch):
    """A quadratic form, of which every method's answer is known."""

    return (batch.flux.double() ** 2).sum(dim=1)


@pytest.fixture
def quadratic():
    generator = torch.Generator().manual_seed(2)
    flux, baselines = torch.randn(9, 64, generator=generator).split([1, 8])
    ivar = torch.ones(1, 64)
    ivar[0, 5] = 0
    return Batch(flux * (ivar > 0), ivar, torch.zeros(1)), baselines * (ivar > 0)


def score_for(name, explained):
    """Minus log p, but for the method that is of the outlier score alone."""

    whole = name == "contributions"
    return WholeScore(explained.scorer, explained.snr) if whole else explained.score


@pytest.mark.parametrize("name", METHODS)
def test_one_number_per_pixel_that_is_always_the_same(explained, name):
    arguments = score_for(name, explained), explained.spectrum, explained.baselines
    first = METHODS[name](*arguments)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert torch.equal(METHODS[name](*arguments), first)
    good = explained.spectrum.ivar[0] > 0
    assert first.shape == (400,)
    assert first.dtype == torch.float64
    assert first.isfinite().all()
    assert (first[~good] == 0).all()
    assert (first[good] != 0).any()
    assert not first.requires_grad


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"random"}))
def test_finds_the_line(explained, name):
    """All but the control, to whom it is nothing special."""

    score = score_for(name, explained)
    attribution = METHODS[name](score, explained.spectrum, explained.baselines)
    positive = attribution.clamp_min(0)
    inside = float(positive[explained.line].sum() / positive.sum())
    uniform = (explained.line.stop - explained.line.start) / 400
    assert inside > 2 * uniform


def test_the_control_finds_nothing(explained):
    shares = []
    for i in range(200):
        spectrum = explained.spectrum._replace(flux=explained.spectrum.flux + i)
        positive = METHODS["random"](None, spectrum, None).clamp_min(0)
        shares.append(float(positive[:100].sum() / positive.sum()))
    good = (explained.spectrum.ivar[0] > 0).double()
    expected = float(good[:100].sum() / good.sum())
    assert np.mean(shares) == pytest.approx(expected, abs=0.01)


def test_known_answers(quadratic):
    spectrum, baselines = quadratic
    x, b = spectrum.flux[0].double(), baselines.double()
    complete = x**2 - (b**2).mean(dim=0)
    answers = {
        "gradient_x_input": 2 * x**2,
        "integrated_gradients": complete,
    }
    for name, answer in answers.items():
        torch.testing.assert_close(
            METHODS[name](curved, spectrum, baselines), answer, rtol=1e-4, atol=1e-4
        )
    ablated = METHODS["feature_ablation"](curved, spectrum, baselines)
    mean = x**2 - b.mean(dim=0) ** 2
    expected = mean.view(4, 16).sum(dim=1).repeat_interleave(16) * (spectrum.ivar[0] > 0)
    torch.testing.assert_close(ablated, expected, rtol=1e-4, atol=1e-4)


def test_occlusions_are_the_same_where_nothing_interacts(quadratic):
    def linear(batch):
        return batch.flux.double() @ torch.arange(64.0).double()

    one, other = (METHODS[name](linear, *quadratic) for name in ("occlusion", "inverse_occlusion"))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_expected_gradients_are_those_of_captum(quadratic):
    spectrum, baselines = quadratic
    ours = METHODS["expected_gradients"](curved, spectrum, baselines)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    theirs = GradientShap(lambda flux: (flux.double() ** 2).sum(dim=1)).attribute(
        spectrum.flux, baselines, n_samples=2000
    )[0]
    correlation = np.corrcoef(ours.numpy(), theirs.numpy())[0, 1]
    assert correlation > 0.97
    assert float(ours.sum()) == pytest.approx(float(theirs.sum()), abs=15)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_scores_without_a_gradient_are_refused_where_one_is_needed(explained, name):
    score = WholeScore(explained.scorer, explained.snr)
    arguments = score, explained.spectrum, explained.baselines[:1]
    if name in NEED_GRADIENT:
        with pytest.raises(RuntimeError):
            METHODS[name](*arguments)
    elif name != "random":
        assert METHODS[name](*arguments).isfinite().all()


def test_contributions_add_up_to_the_surprises(explained):
    score = WholeScore(explained.scorer, explained.snr)
    found = METHODS["contributions"](score, explained.spectrum, explained.baselines)
    scores = explained.scorer.score(explained.spectrum, score.log_snr)
    total = scores.residual_surprise + explained.scorer.latent_weight * scores.latent_surprise
    assert float(found.sum()) == pytest.approx(float(total), rel=1e-4)
    assert (found >= 0).all()
    assert not found[explained.spectrum.ivar[0] == 0].any()


def test_what_the_model_misses_contributes_most(explained):
    flux = explained.spectrum.flux.clone()
    good = (explained.spectrum.ivar[0] > 0).nonzero()[:, 0]
    flux[0, good[7]] += 500 * explained.spectrum.ivar[0, good[7]].rsqrt()
    score = WholeScore(explained.scorer, explained.snr)
    spectrum = explained.spectrum._replace(flux=flux)
    found = METHODS["contributions"](score, spectrum, explained.baselines)
    assert abs(int(found.argmax()) - int(good[7])) < 64

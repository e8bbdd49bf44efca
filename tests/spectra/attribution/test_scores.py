import pytest
import torch

from uraniborg.spectra.attribution.scores import LatentScore, WholeScore, is_differentiable


def test_latent_score_is_minus_what_the_scorer_says(toy, explained):
    snr = torch.full((20,), explained.snr, dtype=torch.float64)
    batch = type(toy.batch)(*(x[:20] for x in toy.batch))
    scores = explained.scorer.score(batch, snr.log())
    torch.testing.assert_close(
        LatentScore(explained.scorer, explained.snr)(batch), -scores.log_prob, rtol=1e-4, atol=1e-3
    )
    torch.testing.assert_close(
        WholeScore(explained.scorer, explained.snr)(batch), scores.outlier_score
    )


def test_signal_to_noise_that_is_unknown_is_the_lowest(toy, explained):
    lowest = float(torch.tensor(explained.scorer.residual_tail.lowest_snr).exp())
    unknown = LatentScore(explained.scorer, float("nan"))(explained.spectrum)
    torch.testing.assert_close(unknown, LatentScore(explained.scorer, lowest)(explained.spectrum))


def test_larger_for_what_is_stranger(toy, explained):
    assert explained.score(explained.spectrum) > explained.score(toy.batch).quantile(0.99)


def test_the_gradient_is_the_change(explained):
    flux = explained.spectrum.flux.clone().requires_grad_()
    before = explained.score(explained.spectrum._replace(flux=flux))
    gradient = torch.autograd.grad(before.sum(), flux)[0]
    step = 1e-3 * torch.randn(flux.shape, generator=torch.Generator().manual_seed(1))
    after = explained.score(explained.spectrum._replace(flux=flux + step))
    change = float((after - before).detach())
    assert change == pytest.approx(float((gradient * step).sum()), rel=0.1)


def test_which_scores_are_differentiable(explained):
    whole = WholeScore(explained.scorer, explained.snr)
    assert is_differentiable(explained.score, explained.spectrum)
    assert not is_differentiable(whole, explained.spectrum)

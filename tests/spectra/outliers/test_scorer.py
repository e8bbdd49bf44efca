"""Scores: ordinary objects, injected features, faults, order and files."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from uraniborg.errors import UserError
from uraniborg.spectra.dataset import Batch, SpectraDataset
from uraniborg.spectra.outliers.scorer import (
    NEIGHBOURS,
    OutlierFlag,
    OutlierScorer,
    Reference,
    density_sample,
    encoded,
    log_snr,
)
from uraniborg.tables import SPECTRUM_COLUMNS, Spectra, SpectraWriter


def rows(batch, chosen):
    return Batch(*(x[chosen] for x in batch))


@pytest.fixture
def shard(toy, scoring, tmp_path):
    """20 objects, of which the third has no good pixel."""

    flux, ivar, z = (x[:20].numpy().copy() for x in toy.batch)
    ivar[2] = 0
    scalars = {column.name: np.zeros(20) for column in SPECTRUM_COLUMNS}
    scalars |= {name: [""] * 20 for name in ("spectype", "subclass")}
    scalars |= {"object_id": [f"{i}" for i in range(20)], "z": z.astype(float)}
    scalars |= {"norm": np.ones(20), "snr": scoring.log_snr[:20].exp().numpy()}
    with SpectraWriter(tmp_path / "shard.arrow", toy.transform.observed) as writer:
        writer.write(scalars, flux=flux, ivar=ivar)
    return Spectra(tmp_path / "shard.arrow")


@pytest.fixture(scope="module")
def new(toy, scoring):
    """200 objects that nothing was calibrated on, and their scores."""

    batch = rows(toy.batch, slice(400, 600))
    return batch, scoring.log_snr[400:], scoring.scorer.score(batch, scoring.log_snr[400:])


def test_new_ordinary_objects_are_ordinary(new):
    _, _, scores = new
    p = (-scores.latent_surprise).exp().numpy()
    assert kstest(p, "uniform").pvalue > 1e-3
    assert kstest(scores.log_prob_percentile.numpy(), "uniform").pvalue > 1e-3
    assert scores.residual_surprise.median() < 3
    assert scores.reduced_chi2.mean() == pytest.approx(1, abs=0.05)
    assert (scores.flags & ~int(OutlierFlag.OUTSIDE_LATENTS | OutlierFlag.LOW_SNR) == 0).all()
    assert (scores.log_prob_err > 0).all()
    expected = scores.residual_surprise + 0.25 * scores.latent_surprise + scores.signal_surprise
    torch.testing.assert_close(scores.outlier_score, expected)
    low = scores.flags & OutlierFlag.LOW_SNR > 0
    assert (scores.signal_surprise[~low] == 0).all()


def test_the_less_signal_the_more_surprising(scoring, new):
    batch, _, _ = new
    lowest = scoring.scorer.signal_tail.lowest_snr
    given = torch.tensor([lowest - 3, lowest - 1, lowest - 1e-6, lowest, math.nan])
    found = scoring.scorer.score(rows(batch, slice(0, 5)), given)
    surprise = found.signal_surprise
    assert surprise[0] > surprise[1] > surprise[2] > math.log(100)
    assert surprise[3] == 0
    # Without any signal at all, it is no less than with very little.
    assert surprise[4] >= surprise[0]
    assert (found.flags[[0, 1, 2, 4]] & OutlierFlag.LOW_SNR > 0).all()


@pytest.mark.parametrize("width", [1, 30, 120])
def test_a_feature_raises_the_score(scoring, new, width):
    batch, snr, scores = new
    flux = batch.flux.clone()
    flux[:, 150 : 150 + width] += 4 / width**0.25
    found = scoring.scorer.score(batch._replace(flux=flux), snr)
    assert (found.outlier_score > scores.outlier_score).float().mean() > 0.95
    assert found.outlier_score.median() > scores.outlier_score.quantile(0.99)


def test_order_and_batches_do_not_matter(scoring, new):
    batch, snr, scores = new
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3))
    again = scoring.scorer.score(rows(batch, order), snr[order])
    parts = [scoring.scorer.score(rows(batch, slice(i, i + 7)), snr[i : i + 7]) for i in (0, 7)]
    for name, values in scores._asdict().items():
        torch.testing.assert_close(getattr(again, name), values[order], rtol=1e-3, atol=1e-3)
        joined = torch.cat([getattr(part, name) for part in parts])
        torch.testing.assert_close(joined, values[:14], rtol=1e-3, atol=1e-3)
    once_more = scoring.scorer.score(batch, snr)
    assert all(torch.equal(a, b) for a, b in zip(scores, once_more, strict=True))


def test_faults_are_flagged_and_stay_alone(scoring, new):
    batch, snr, scores = new
    flux, ivar, z = (x.clone() for x in batch)
    snr = snr.clone()
    z[0], z[1], z[2] = math.nan, 0.5, -0.5
    ivar[3] = 0
    flux[4] = math.nan
    ivar[5, 40:] = 0
    snr[6], snr[7], snr[8] = math.nan, -math.inf, -20.0
    flux[9, 10], ivar[10, 20] = math.inf, math.nan
    found = scoring.scorer.score(Batch(flux, ivar, z), snr)
    flag = OutlierFlag
    for row in range(3):
        assert found.flags[row] == flag.NO_REDSHIFT
    empty = flag.NOT_FINITE | flag.FEW_PIXELS
    assert found.flags[3] == found.flags[4] == empty
    for name in ("outlier_score", "log_prob", "log_prob_err", "knn_distance", "reduced_chi2"):
        assert getattr(found, name)[:5].isnan().all()
        assert getattr(found, name)[5:].isfinite().all()
    assert found.latent[:5].isnan().all()
    assert (found.neighbours[:5] == -1).all()
    assert found.flags[5] & flag.FEW_PIXELS
    # No ratio, a negative one and a tiny one count as the least.
    assert all(found.flags[row] & flag.LOW_SNR for row in (6, 7, 8))
    least = scoring.scorer.score(rows(batch, [6]), torch.tensor([-20.0]).double())
    torch.testing.assert_close(found.outlier_score[6], least.outlier_score[0], rtol=1e-3, atol=1e-3)
    # One bad pixel is one pixel less.
    near = found.outlier_score[9:11] - scores.outlier_score[9:11]
    assert near.abs().max() < 2
    torch.testing.assert_close(
        found.outlier_score[11:], scores.outlier_score[11:], rtol=1e-3, atol=1e-3
    )


def test_latents_out_of_range_are_flagged_and_scored(scoring, new):
    batch, snr, _ = new
    feature = torch.exp(-(((torch.linspace(0, 1, 400) - 0.5) / 0.1) ** 2))
    found = scoring.scorer.score(batch._replace(flux=batch.flux + 30 * feature), snr)
    flagged = (found.flags & OutlierFlag.OUTSIDE_LATENTS) > 0
    assert flagged.float().mean() > 0.9
    assert found.outlier_score.isfinite().all()
    assert found.log_prob_percentile.median() < 0.01
    assert found.knn_distance.median() > 1


def test_nothing_to_score(scoring, new):
    batch, snr, _ = new
    assert len(scoring.scorer.score(rows(batch, slice(0, 0)), snr[:0]).flags) == 0


def test_neighbours_are_the_nearest():
    latent = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    names = np.array([f"å{i}" for i in range(300)], dtype=object)
    reference = Reference.of(latent, names)
    asked = latent[:5] + 0.05
    distance, row = reference.nearest(asked)
    ordered, index = torch.cdist(asked.double(), latent.double()).sort(dim=1)
    torch.testing.assert_close(distance, ordered[:, NEIGHBOURS - 1], rtol=1e-5, atol=1e-5)
    assert torch.equal(row, index[:, :3])
    distance, row = reference.nearest(latent[:5] + 1e-5)
    ordered, index = torch.cdist(latent[:5].double(), latent.double()).sort(dim=1)
    torch.testing.assert_close(distance, ordered[:, NEIGHBOURS], rtol=1e-3, atol=1e-4)
    assert torch.equal(row, index[:, 1:4])
    assert list(reference.object_id) == list(names)
    latent[7] = math.nan
    assert len(Reference.of(latent, names, size=100).latent) == 100
    assert "å7" not in Reference.of(latent, names).object_id


def test_what_is_saved_scores_the_same(scoring, new, tmp_path):
    batch, snr, scores = new
    paths = tmp_path / "scorer.safetensors", tmp_path / "scorer.json"
    scoring.scorer.save(*paths, scoring.autoencoder, {"training_data": {"survey": "toy"}})
    loaded = OutlierScorer.load(*paths)
    again = loaded.score(batch, snr)
    for name, values in scores._asdict().items():
        assert torch.equal(getattr(again, name), values), name
    assert list(loaded.reference.object_id) == list(scoring.scorer.reference.object_id)
    first = paths[0].read_bytes()
    scoring.scorer.save(*paths, scoring.autoencoder, {"training_data": {"survey": "toy"}})
    assert paths[0].read_bytes() == first
    paths[0].write_bytes(first[:1000])
    with pytest.raises(UserError, match="complete safetensors"):
        OutlierScorer.load(*paths)


def test_latents_alone_are_those_of_all_that_is_judged(toy, scoring, shard):
    spectra, snr = shard, shard.column("snr")
    model, misfit = scoring.scorer.model, scoring.scorer.misfit
    whole, alone = (encoded(model, known, SpectraDataset(spectra), snr) for known in (misfit, None))
    torch.testing.assert_close(alone.latent, whole.latent, rtol=0, atol=0, equal_nan=True)
    assert alone.latent[2].isnan().all()
    assert whole.statistics[2].isnan().all()
    assert whole.statistics[3:].isfinite().all()
    assert alone.statistics.shape == (20, 0)
    for given_snr in (True, False):
        sample = density_sample(model, spectra, np.arange(4, 9), given_snr)
        torch.testing.assert_close(sample.features, alone.latent[4:9], rtol=1e-4, atol=1e-4)
        assert sample.context.shape == (5, given_snr)
    assert torch.equal(density_sample(model, spectra, np.arange(4, 9), True).context[:, 0],
                       alone.log_snr[4:9].float())  # fmt: skip


def test_negative_weights_are_masked(scoring, new):
    batch, snr, _ = new
    ivar = batch.ivar.clone()
    ivar[:, 30] = -1
    expected = scoring.scorer.score(batch._replace(ivar=ivar.clamp_min(0)), snr)
    found = scoring.scorer.score(batch._replace(ivar=ivar), snr)
    assert torch.equal(found.outlier_score, expected.outlier_score)


def test_logarithm_of_what_is_no_ratio_is_missing():
    assert log_snr(np.array([1.0, 0.0, -3.0, np.nan])).isnan().tolist() == [False, True, True, True]

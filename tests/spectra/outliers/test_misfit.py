"""Misfit: none of a model that misses nothing, and as much as is missing."""

import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.spectra.autoencoder import Reconstruction
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.outliers.misfit import SCALES, STATISTICS, ModelMisfit


class Known(torch.nn.Module):
    """A model that gives what it is told."""

    def __init__(self, transform, observed):
        super().__init__()
        self.transform, self.observed = transform, observed

    def forward(self, flux, ivar, z):
        ones = torch.ones(len(z))
        observed = self.observed[: len(z)]
        return Reconstruction(ones[:, None], observed, ones, observed)


def noisy(toy, sigma, shape, seed=0):
    """The truth is one; the model misses a fraction of it, of a sign for each object."""

    generator = torch.Generator().manual_seed(seed)
    sign = torch.randn(600, 1, generator=generator)
    missed = toy.transform(shape.expand(600, -1), toy.batch.z)
    flux = 1 + sign * missed + sigma * torch.randn(600, 400, generator=generator)
    return Batch(flux, torch.full_like(flux, sigma**-2), toy.batch.z)


def test_a_model_that_misses_nothing_has_next_to_no_misfit(toy):
    misfit = ModelMisfit.of(Known(toy.transform, toy.truth), [toy.batch])
    assert misfit.variance.shape == (len(SCALES), toy.transform.restframe.size)
    # The noise is 0.15 of the light: a tenth of it is below the scatter of a quantile.
    assert misfit.variance.sqrt().mean(dim=1).max() < 0.05
    assert (misfit.variance >= 0).all()


@pytest.mark.parametrize("fraction", [0.03, 0.2])
def test_a_known_fraction_is_recovered_where_it_is(toy, fraction):
    size = toy.transform.restframe.size
    shape = torch.where(torch.arange(size) < size // 2, fraction, 0.0)
    batch = noisy(toy, 0.02, shape)
    model = Known(toy.transform, torch.ones(600, 400))
    misfit = ModelMisfit.of(model, batches(batch, 100)).variance.sqrt()
    inside, outside = misfit[:, 128 : size // 2 - 64], misfit[:, size // 2 + 64 : size - 128]
    assert inside.mean(dim=1).tolist() == pytest.approx([fraction] * 4, rel=0.1)
    assert outside.mean(dim=1).max() < 0.25 * min(fraction, 0.02)


def test_whitening_leaves_unit_squares(toy):
    shape = torch.full((toy.transform.restframe.size,), 0.1)
    model = Known(toy.transform, torch.ones(600, 400))
    misfit = ModelMisfit.of(model, [noisy(toy, 0.02, shape)])
    new = noisy(toy, 0.02, shape, seed=1)
    statistics = misfit.statistics(new, model(*new))
    assert statistics.shape == (600, len(STATISTICS))
    means = statistics.exp()[:, :-1].mean(dim=0)
    assert means.tolist() == pytest.approx([1.0] * 3, abs=0.25)
    bare = ModelMisfit(toy.transform).statistics(new, model(*new)).exp()[:, :-1].mean(dim=0)
    assert (bare > 10 * means).all()


def test_outliers_do_not_set_the_misfit(toy):
    shape = torch.full((toy.transform.restframe.size,), 0.05)
    batch = noisy(toy, 0.02, shape)
    model = Known(toy.transform, torch.ones(600, 400))
    clean = ModelMisfit.of(model, [batch]).variance.sqrt().mean(dim=1)
    batch.flux[::100] += 50
    spoilt = ModelMisfit.of(model, [batch]).variance.sqrt().mean(dim=1)
    torch.testing.assert_close(spoilt, clean, rtol=0.15, atol=0.005)


def test_batches_do_not_matter(toy):
    model = Known(toy.transform, torch.ones(600, 400))
    batch = noisy(toy, 0.02, torch.full((toy.transform.restframe.size,), 0.05))
    one, many = (ModelMisfit.of(model, batches(batch, size)).variance for size in (600, 50))
    assert torch.equal(one, many)


def test_masked_pixels_do_not_count(toy):
    model = Known(toy.transform, toy.truth)
    misfit = ModelMisfit.of(model, [toy.batch])
    plain = misfit.statistics(toy.batch, model(*toy.batch))
    garbage = toy.batch._replace(flux=toy.batch.flux.where(toy.batch.ivar > 0, 1e6))
    assert torch.equal(misfit.statistics(garbage, model(*garbage)), plain)
    nothing = toy.batch._replace(ivar=torch.zeros_like(toy.batch.ivar))
    assert misfit.statistics(nothing, model(*nothing)).isnan().all()


@pytest.mark.parametrize(("scale", "width"), [(2, 64), (3, 1)])
def test_wide_features_show_on_wide_scales(toy, scale, width):
    model = Known(toy.transform, toy.truth)
    misfit = ModelMisfit.of(model, [toy.batch])
    plain = misfit.statistics(toy.batch, model(*toy.batch))
    feature = torch.zeros(400)
    # As significant whatever its width.
    feature[128 : 128 + width] = 40 / width**0.5
    flux = toy.batch.flux + feature * toy.batch.ivar.clamp_min(1e-9).rsqrt().where(
        toy.batch.ivar > 0, 0
    )
    wider = misfit.statistics(toy.batch._replace(flux=flux), model(*toy.batch)) - plain
    assert wider.median(dim=0).values.argmax() == scale


def test_too_few_objects_are_an_error(toy):
    with pytest.raises(UserError, match="too few objects"):
        ModelMisfit.of(Known(toy.transform, toy.truth[:0]), [Batch(*(x[:0] for x in toy.batch))])


def batches(batch, size):
    return [Batch(*parts) for parts in zip(*(x.split(size) for x in batch), strict=True)]


def test_running_sums_are_the_blocks_of_the_statistics(toy):
    shape = torch.full((toy.transform.restframe.size,), 0.1)
    model = Known(toy.transform, torch.ones(600, 400))
    misfit, batch = ModelMisfit.of(model, [noisy(toy, 0.02, shape)]), noisy(toy, 0.02, shape, 1)
    batch.ivar[:, 100:110] = 0
    batch.ivar[3] = 0
    made = model(*batch)
    statistics = misfit.statistics(batch, made)
    for scale, name in ((4, "mean_4"), (16, "mean_16"), (64, "mean_64"), (1, "largest_1")):
        whitened = misfit.whitened(batch, made, scale)
        assert whitened.shape == batch.flux.shape
        blocks = whitened[:, (scale - 1) // 2 :: scale][:, : 400 // scale].square()
        value = blocks.nanmean(dim=1)
        if scale == 1:
            value = (
                blocks.nan_to_num(nan=0.0).amax(dim=1).where(~blocks.isnan().all(dim=1), 0 / value)
            )
        expected = statistics[:, STATISTICS.index(name)].exp()
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4, equal_nan=True)
    assert misfit.whitened(batch, made, 1)[:, 100:110].isnan().all()
    assert misfit.whitened(batch, made, 64)[:3, 105].isfinite().all()


def test_shares_are_of_the_pixels_where_the_residual_is(toy):
    batch = Batch(*(x[:5].clone() for x in toy.batch))
    batch.ivar[:, :40] = 0
    model = Known(toy.transform, torch.ones(5, 400))
    flux = torch.ones_like(batch.flux)
    flux[:, 200:204] += 100
    batch = batch._replace(flux=flux.where(batch.ivar > 0, 0))
    shares = ModelMisfit(toy.transform).shares(batch, model(*batch))
    assert shares.shape == (5, len(STATISTICS), 400)
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(5, len(STATISTICS)))
    assert not shares[:, :, :40].any()
    for statistic, width in zip(STATISTICS, (4, 16, 64, 1), strict=True):
        block = shares[:, STATISTICS.index(statistic)] > 1e-6
        assert (block.sum(dim=1) <= width).all()
        assert block[:, 200:204].any(dim=1).all()

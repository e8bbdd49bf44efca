"""Baselines of outlier scores: what they find, what they cannot score, and what must not matter."""

import numpy as np
import pandas as pd
import pytest
import torch

from uraniborg.spectra.outliers.baselines import BASELINE_COLUMNS, Baselines
from uraniborg.tables import SPECTRUM_COLUMNS, Spectra, SpectraWriter

TRAIN = 400
SCORES = [column.name for column in BASELINE_COLUMNS[1:]]


@pytest.fixture(scope="module")
def fitted(toy):
    batches = [type(toy.batch)(*(x[:TRAIN] for x in toy.batch))]
    return Baselines.of(batches, toy.transform, components=3, trees=50)


@pytest.fixture
def table_of(toy, fitted, tmp_path):
    """Scores of spectra (N, L) by the baselines, through a shard."""

    def scored(flux, ivar, z, baselines=fitted, norm=1.0, at=None):
        number = len(z)
        scalars = {column.name: np.zeros(number) for column in SPECTRUM_COLUMNS}
        scalars |= {name: [""] * number for name in ("spectype", "subclass")}
        scalars |= {"object_id": [f"{i}" for i in range(number)], "z": np.asarray(z, float)}
        scalars["norm"] = np.full(number, norm)
        with SpectraWriter(tmp_path / "shard.arrow", toy.transform.observed) as writer:
            writer.write(scalars, flux=norm * np.asarray(flux), ivar=np.asarray(ivar) / norm**2)
        return baselines.table(Spectra(tmp_path / "shard.arrow"), at)

    return scored


@pytest.fixture
def held_out(toy):
    return [x[TRAIN:].numpy().copy() for x in toy.batch]


def test_ordinary_spectra_are_fitted_to_the_noise(table_of, held_out):
    table = table_of(*held_out)
    assert list(table) == [column.name for column in BASELINE_COLUMNS]
    assert table["pca_reduced_chi2"].median() == pytest.approx(1, abs=0.05)
    ivar = held_out[1]
    variance = np.median(1 / ivar[ivar > 0])
    assert table["pca_mean_square"].median() == pytest.approx(variance, rel=0.3)


def test_unknown_features_raise_the_error_of_the_reconstruction(table_of, held_out):
    before = table_of(*held_out)
    held_out[0][::2, 100:110] += 3
    after = table_of(*held_out)
    for name in SCORES[:2]:
        assert (after[name] > before[name])[::2].all()
        pd.testing.assert_series_equal(after[name][1::2], before[name][1::2], rtol=1e-3)
        assert after[name][::2].min() > after[name][1::2].quantile(0.99)


def test_extreme_coefficients_are_isolated_but_well_fitted(toy, table_of, held_out):
    flux, ivar, z = held_out
    shape = torch.linspace(0, 1, toy.transform.restframe.size)
    flux[::2] += 2 * toy.transform(shape.repeat(100, 1), torch.from_numpy(z[::2])).numpy()
    table = table_of(flux, ivar, z)
    strange, ordinary = table[::2], table[1::2]
    assert strange["isolation_forest"].min() > ordinary["isolation_forest"].quantile(0.9)
    assert strange["pca_reduced_chi2"].median() < 1.3


def test_what_cannot_be_scored_is_missing_and_harms_no_other(table_of, held_out):
    before = table_of(*held_out)
    flux, ivar, z = held_out
    ivar[0] = 0
    z[1], z[2], z[3] = np.nan, 5.0, -0.5
    flux[4, :7] = np.nan
    ivar[5, 3] = np.inf
    table = table_of(flux, ivar, z)
    assert table.loc[:3, SCORES].isna().all(axis=None)
    assert table.loc[4:, SCORES].notna().all(axis=None)
    pd.testing.assert_frame_equal(table[6:], before[6:], rtol=1e-3)
    flux[:], ivar[:] = np.nan, np.nan
    assert table_of(flux, ivar, z)[SCORES].isna().all(axis=None)


def test_masked_pixels_and_the_norm_do_not_matter(table_of, held_out):
    before = table_of(*held_out)
    flux, ivar, z = held_out
    flux[ivar == 0] = 1e6
    after = table_of(flux, ivar, z, norm=32.0)
    pd.testing.assert_frame_equal(after, before, rtol=1e-4)


def test_redshifts_may_be_given(table_of, held_out):
    flux, ivar, z = held_out
    expected = table_of(flux, ivar, z)
    found = table_of(flux, ivar, np.full(len(z), np.nan), at=z)
    pd.testing.assert_frame_equal(found, expected)
    wrong = table_of(flux, ivar, z, at=z[::-1].copy())
    assert wrong["pca_reduced_chi2"].median() > 1.1 * expected["pca_reduced_chi2"].median()


def test_same_seed_gives_the_same_scores(toy, table_of, held_out):
    batches = [type(toy.batch)(*(x[:TRAIN] for x in toy.batch))]
    state = torch.random.get_rng_state()
    again = Baselines.of(batches, toy.transform, components=3, trees=50)
    assert torch.equal(torch.random.get_rng_state(), state)
    pd.testing.assert_frame_equal(
        table_of(*held_out, baselines=again), table_of(*held_out), check_exact=True
    )


def test_no_spectra_give_a_table_without_rows(table_of, held_out):
    table = table_of(*(x[:0] for x in held_out))
    assert len(table) == 0
    assert list(table) == [column.name for column in BASELINE_COLUMNS]

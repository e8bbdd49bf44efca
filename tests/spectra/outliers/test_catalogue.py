"""The catalogue: every object once, ranked alike however shards are cut, in both formats."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.spectra.outliers.catalogue import (
    RANK_COLUMNS,
    catalogue,
    ranks,
    score_columns,
    score_shard,
)
from uraniborg.spectra.outliers.scorer import OutlierFlag
from uraniborg.spectra.outliers.verdicts import STAR_COLUMNS
from uraniborg.tables import SPECTRUM_COLUMNS, Spectra, SpectraWriter, read_table, write_table

COLUMNS = score_columns(3)
N = 90


@pytest.fixture(scope="module")
def survey(toy, scoring, tmp_path_factory):
    """Writes objects of the toy as shards, cut where it is told."""

    folder = tmp_path_factory.mktemp("survey")
    flux, ivar, z = (x[400 : 400 + N].numpy().copy() for x in toy.batch)
    ivar[5] = 0
    z = z.astype(float)
    z[3], z[4] = np.nan, 2.0
    scalars = pd.DataFrame(
        {
            column.name: ["GALAXY"] * N if column.type == pa.string() else np.zeros(N)
            for column in SPECTRUM_COLUMNS
        }
    )
    # The last identifiers are longer.
    scalars["object_id"] = [f"toy-{i}" for i in range(N)]
    scalars["zwarning"] = 0
    scalars["snr"] = scoring.log_snr[400 : 400 + N].exp().numpy()
    scalars["z"], scalars["norm"] = z, 5.0

    def write(name, start, end):
        path = folder / f"{name}.arrow"
        metadata = {"survey": "toy", "instrument": "toy", "data": "simulated"}
        with SpectraWriter(path, toy.transform.observed, metadata=metadata) as writer:
            writer.write(
                scalars.iloc[start:end],
                flux=5 * flux[start:end],
                ivar=ivar[start:end] / 25,
            )
        return Spectra(path)

    return write


@pytest.fixture(scope="module")
def whole(survey, scoring):
    return score_shard(scoring.scorer, survey("whole", 0, N))


def test_a_row_for_every_object(whole):
    assert list(whole) == [column.name for column in COLUMNS]
    assert list(whole["object_id"]) == [f"toy-{i}" for i in range(N)]
    assert (whole["neighbour_1"].str.startswith("train-") | whole["outlier_score"].isna()).all()
    assert whole["star_evidence"].isna().all()
    assert (whole["star_verdict"] == "none").all()


def test_missing_redshifts_are_estimated_and_those_out_of_range_are_not(whole):
    assert whole["z_source"][3] == "estimated"
    assert np.isfinite(whole["outlier_score"][3])
    assert (whole["z_source"].drop(3) == "catalogue").all()
    assert whole["z"][4] == 2.0
    assert whole["outlier_flags"][4] & OutlierFlag.NO_REDSHIFT
    assert np.isnan(whole["outlier_score"][4])
    assert whole["good_pixels"][5] == 0
    assert np.isnan(whole["outlier_score"][5])


def test_all_redshifts_are_estimated_if_none_is_trusted(survey, scoring, whole):
    table = score_shard(scoring.scorer, survey("few", 0, 20), redshift="estimated")
    assert (table["z_source"] == "estimated").all()
    assert np.isnan(table["z"][5])
    good = [i for i in range(20) if i not in (3, 4, 5)]
    assert np.median(np.abs(table["z"] - whole["z"][:20])[good]) < 1e-3
    assert np.isfinite(table["outlier_score"][4])


def test_cuts_do_not_change_scores(survey, scoring, whole):
    parts = [score_shard(scoring.scorer, survey(f"p{i}", i, i + 30)) for i in (0, 30, 60)]
    table = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(table, whole, rtol=1e-3, atol=1e-3)
    again = score_shard(scoring.scorer, survey("p0", 0, 30))
    pd.testing.assert_frame_equal(again, parts[0], check_exact=True)


def test_an_empty_shard_has_all_columns(survey, scoring):
    table = score_shard(scoring.scorer, survey("empty", 0, 0))
    assert len(table) == 0
    assert list(table) == [column.name for column in COLUMNS]


def test_verdicts_about_stars_are_taken_over(survey, scoring):
    names = [column.name for column in STAR_COLUMNS]
    stars = pd.DataFrame({name: [1.5] for name in names})
    stars["object_id"], stars["star_verdict"], stars["star_flags"] = "toy-2", "star", 4
    table = score_shard(scoring.scorer, survey("stars", 0, 5), stars=stars)
    assert list(table["star_verdict"]) == ["none", "none", "star", "none", "none"]
    assert table["star_evidence"][2] == 1.5
    assert list(table["star_flags"]) == [0, 0, 4, 0, 0]


def written(folder, tables):
    paths = [folder / f"{i}.parquet" for i in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        write_table(path, table, COLUMNS, {"survey": "toy", "data": "simulated"})
    outputs = folder / "catalogue.parquet", folder / "catalogue.fits"
    catalogue(paths, *outputs, fits_rows=20)
    return outputs


def test_catalogue_is_ranked_in_both_formats(whole, tmp_path):
    parquet, fits = written(tmp_path, [whole[:7], whole[7:50], whole[50:]])
    table = read_table(parquet)
    assert list(table) == [column.name for column in (*COLUMNS, *RANK_COLUMNS)]
    assert sorted(table["outlier_rank"]) == list(range(1, N + 1))
    ordered = table.sort_values("outlier_rank")
    scores = ordered["outlier_score"].to_numpy()
    assert (np.diff(scores[:-2]) <= 0).all()
    assert set(ordered["object_id"][-2:]) == {"toy-4", "toy-5"}
    assert ordered["outlier_percentile"].iloc[0] == 1
    assert ordered["outlier_percentile"].iloc[-2:].isna().all()
    top = Table.read(fits, hdu=1)
    assert list(top["object_id"]) == list(ordered["object_id"][:20])
    np.testing.assert_allclose(top["outlier_score"], scores[:20])
    assert str(top["ra"].unit) == "deg"
    assert Table.read(parquet)["norm"].description.startswith("Flux density")


def test_cuts_do_not_change_ranks(whole, tmp_path):
    ranked = []
    for name, cuts in (("one", [0, N]), ("many", [0, 7, 50, 50, N])):
        (tmp_path / name).mkdir()
        parts = [whole[a:b] for a, b in pairwise(cuts)]
        parquet, fits = written(tmp_path / name, parts)
        table = read_table(parquet).set_index("object_id").sort_index()
        ranked.append((table, fits.read_bytes()))
    pd.testing.assert_frame_equal(ranked[0][0], ranked[1][0], check_exact=True)
    assert ranked[0][1] == ranked[1][1]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_ranks_are_a_permutation_by_falling_score(values):
    scores = np.array(values, dtype=float)
    rank, percentile = ranks(scores)
    assert sorted(rank) == list(range(1, len(scores) + 1))
    finite = np.isfinite(scores)
    ordered = scores[np.argsort(rank)]
    assert np.isfinite(ordered[: finite.sum()]).all()
    assert (np.diff(ordered[: finite.sum()]) <= 0).all()
    assert np.isnan(percentile[~finite]).all()
    for value, share in zip(scores[finite], percentile[finite], strict=True):
        assert share == pytest.approx((scores[finite] <= value).mean())


def test_spectra_on_other_pixels_are_refused(scoring, tmp_path):
    grid = WavelengthGrid("linear", 4000.0, 1.0, 400)
    with SpectraWriter(tmp_path / "other.arrow", grid) as writer:
        empty = {column.name: [] for column in SPECTRUM_COLUMNS}
        writer.write(empty, flux=np.zeros((0, 400)), ivar=np.zeros((0, 400)))
    with pytest.raises(UserError, match=r"other\.arrow: has other pixels.*log10_step"):
        score_shard(scoring.scorer, Spectra(tmp_path / "other.arrow"))

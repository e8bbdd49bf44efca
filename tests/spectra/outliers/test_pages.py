"""Tables for figures of outliers: what is chosen, and what is said of it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.spectra.outliers.catalogue import ranks, score_shard
from uraniborg.spectra.outliers.misfit import SCALES, STATISTICS
from uraniborg.spectra.outliers.pages import (
    OBJECT_COLUMNS,
    SPECTRA_COLUMNS,
    latent_columns,
    outlier_pages,
)
from uraniborg.spectra.outliers.scorer import OutlierFlag
from uraniborg.tables import SPECTRUM_COLUMNS, Column, Spectra, SpectraWriter, write_table

N, NORM = 90, 5.0
PIXELS = 400
# Rows of contaminants; the first spike is the strongest.
SPIKES, JUMPS, UNSCORED = (7, 20, 41), (11, 60), 5


@pytest.fixture(scope="module")
def survey(toy, scoring, tmp_path_factory):
    """Training objects of the toy, some with spikes or jumps: shards, truth and catalogue."""

    folder = tmp_path_factory.mktemp("survey")
    flux, ivar, z = (x[:N].numpy().copy() for x in toy.batch)
    clean = toy.truth[:N].numpy().copy()
    anomaly = np.full(N, "none", object)
    for i, row in enumerate(SPIKES):
        anomaly[row], flux[row, 200 + i] = "spike", flux[row, 200 + i] + 12 / (1 + i)
        ivar[row, 200 + i] = 50
    for row in JUMPS:
        anomaly[row] = "arm_jump"
        flux[row, 250:] += 1.0
    ivar[UNSCORED] = 0
    scalars = pd.DataFrame(
        {
            column.name: ["GALAXY"] * N if column.type == pa.string() else np.zeros(N)
            for column in SPECTRUM_COLUMNS
        }
    )
    scalars["object_id"] = [f"toy-{i:02d}" for i in range(N)]
    scalars.loc[[7, 30], "spectype"] = "QSO"
    scalars["zwarning"] = 0
    scalars["snr"] = scoring.log_snr[:N].exp().numpy()
    scalars["z"], scalars["norm"] = z.astype(float), NORM
    grid, paths, true_paths = toy.transform.observed, [], []
    columns = (
        Column("object_id", pa.string(), "", "Identifier"),
        Column("anomaly", pa.string(), "", "Kind"),
        Column("anomaly_strength", pa.float64(), "", "Strength"),
        Column("z", pa.float64(), "", "Redshift"),
    )
    for start in (0, 30, 60):
        here = slice(start, start + 30)
        paths.append(folder / f"{start}.arrow")
        with SpectraWriter(paths[-1], grid) as writer:
            writer.write(scalars.iloc[here], flux=NORM * flux[here], ivar=ivar[here] / NORM**2)
        true_paths.append(folder / f"truth_{start}.arrow")
        known = scalars[["object_id", "z"]].assign(anomaly=anomaly, anomaly_strength=0.25)
        with SpectraWriter(true_paths[-1], grid, columns, vectors=("flux",)) as writer:
            writer.write(known.iloc[here], flux=NORM * clean[here])
    spectra, truth = Spectra(paths), Spectra(true_paths)
    catalogue = score_shard(scoring.scorer, spectra)
    rank, percentile = ranks(catalogue["outlier_score"].to_numpy())
    return spectra, truth, catalogue.assign(outlier_rank=rank, outlier_percentile=percentile)


@pytest.fixture(scope="module")
def simulated(scoring, survey):
    spectra, truth, catalogue = survey
    return outlier_pages(scoring.scorer, catalogue, spectra, truth, number=4, sample=50)


def test_the_first_and_the_first_of_every_kind(survey, simulated):
    catalogue, objects = survey[2].sort_values("outlier_rank"), simulated.objects
    assert list(objects["outlier_rank"]) == sorted(objects["outlier_rank"])
    paged = objects[objects["page"]]
    assert list(paged["object_id"]) == list(catalogue["object_id"][:4])
    kinds = objects[objects["gallery"]].set_index("anomaly")
    assert set(kinds.index) == {"none", "spike", "arm_jump"}
    of_spikes = catalogue[catalogue["object_id"].isin([f"toy-{row:02d}" for row in SPIKES])]
    assert kinds.loc["spike", "outlier_rank"] == of_spikes["outlier_rank"].min()
    assert kinds.loc["spike", "anomaly_unit"] == ""
    assert (objects["anomaly_strength"] == 0.25).all()
    both = objects.merge(catalogue, on="object_id", suffixes=("", "_of_catalogue"))
    for name in ("outlier_score", "log_prob", "z", "neighbour_2", "outlier_flags"):
        assert (both[name] == both[f"{name}_of_catalogue"]).all()


def test_spectra_are_those_of_the_shards(survey, simulated):
    spectra, truth, _ = survey
    identifiers = list(spectra.column("object_id"))
    for name, table in simulated.spectra.groupby("object_id"):
        row = [identifiers.index(name)]
        np.testing.assert_array_equal(table["flux"], spectra.vectors("flux", row)[0])
        np.testing.assert_array_equal(table["truth"], truth.vectors("flux", row)[0])
        ivar = spectra.vectors("ivar", row)[0]
        np.testing.assert_allclose(table["sigma"] ** -2, np.where(ivar > 0, ivar, np.nan), 1e-5)
        np.testing.assert_allclose(table["wavelength"], spectra.grid.wavelength, rtol=1e-6)
    # The toy's model fits it, but for what is injected.
    (ordinary,) = simulated.objects.query("anomaly == 'none' and gallery")["object_id"]
    table = simulated.spectra[simulated.spectra["object_id"] == ordinary]
    assert np.abs(table["model"] - table["truth"]).median() < 0.1 * NORM


def test_residuals_are_what_the_score_looks_at(scoring, survey):
    spectra, _, catalogue = survey
    snr = catalogue.set_index("object_id")["snr"]
    found = outlier_pages(scoring.scorer, catalogue, spectra, number=N - 1)
    assert set(found.objects["statistic"]) == set(STATISTICS)
    for known in found.objects.itertuples():
        table = found.spectra[found.spectra["object_id"] == known.object_id]
        residual = table["residual"].to_numpy().astype(float)
        scale = known.residual_scale
        assert scale in SCALES
        # In the middle of blocks, the running sum is the block's.
        blocks = residual[(scale - 1) // 2 :: scale][: PIXELS // scale] ** 2
        name = known.statistic
        value = np.log(np.nanmax(blocks) if name.startswith("largest") else np.nanmean(blocks))
        values = torch.full((1, len(STATISTICS)), value)
        log_snr = torch.tensor([snr[known.object_id]]).log()
        of_all = scoring.scorer.residual_tail.surprise(values, log_snr)
        found_again = float(of_all[0, STATISTICS.index(name)])
        assert found_again == pytest.approx(known.residual_surprise, rel=0.05, abs=0.1)


def test_a_training_object_is_not_its_own_neighbour(simulated):
    ordinary = simulated.objects.query("anomaly == 'none' and outlier_score == outlier_score")
    assert len(ordinary)
    for known in ordinary.itertuples():
        itself = f"train-{int(known.object_id[4:])}"
        assert itself not in (known.neighbour_1, known.neighbour_2, known.neighbour_3)
        assert 0 < known.neighbour_1_distance <= known.neighbour_2_distance
        assert known.neighbour_2_distance <= known.neighbour_3_distance
        table = simulated.spectra[simulated.spectra["object_id"] == known.object_id]
        assert np.abs(table["neighbour_3"] - table["model"]).max() > 1e-2


def test_what_is_not_scored_has_no_model(scoring, survey):
    spectra, truth, catalogue = survey
    found = outlier_pages(scoring.scorer, catalogue, spectra, truth, number=N)
    last = found.objects.iloc[-1]
    assert last["object_id"] == f"toy-{UNSCORED:02d}"
    assert last["outlier_flags"] == OutlierFlag.NOT_FINITE | OutlierFlag.FEW_PIXELS
    assert last["flag_names"] == "not finite, few pixels"
    assert last["statistic"] == last["neighbour_1"] == ""
    table = found.spectra[found.spectra["object_id"] == last["object_id"]]
    assert table[["model", "residual", "sigma", "neighbour_1"]].isna().all(axis=None)
    nothing = catalogue[catalogue["object_id"] == last["object_id"]]
    alone = outlier_pages(scoring.scorer, nothing, spectra, truth)
    assert len(alone.objects) == 1


def test_real_data_have_no_kinds_but_classes(scoring, survey):
    spectra, _, catalogue = survey
    found = outlier_pages(scoring.scorer, catalogue, spectra, number=6)
    assert len(found.objects) == 6
    assert found.objects["gallery"].all()
    assert (found.objects["anomaly"] == "").all()
    assert found.objects[["anomaly_strength", "true_z"]].isna().all(axis=None)
    assert found.spectra["truth"].isna().all()
    quasars = found.latents[found.latents["group"] == "qso"]
    assert set(quasars["object_id"]) == {"toy-07", "toy-30"}


def test_latents_are_a_bounded_sample_with_all_that_is_shown(scoring, survey, simulated):
    spectra, truth, catalogue = survey
    few = outlier_pages(scoring.scorer, catalogue, spectra, truth, number=4, sample=10).latents
    roles = few["role"].value_counts()
    assert roles["sample"] <= 10
    assert roles["training"] <= 10
    latents, objects = simulated.latents, simulated.objects
    own = latents[latents["role"] == "chosen"]
    assert set(own["object_id"]) == set(objects["object_id"])
    neighbours = set(objects[["neighbour_1", "neighbour_2", "neighbour_3"]].to_numpy().ravel())
    assert set(latents["object_id"][latents["role"] == "neighbour"]) == neighbours - {""}
    kinds = latents[latents["group"] != ""]
    assert len(kinds) == len(SPIKES) + len(JUMPS)
    assert not latents["object_id"].duplicated().any()
    # All training objects: centred, of unit spread, the first axis the widest.
    everything = outlier_pages(scoring.scorer, catalogue, spectra, truth).latents
    training = everything[everything["role"].isin(["training", "neighbour"])]
    axes = training[["axis_1", "axis_2", "axis_3"]].to_numpy()
    low, middle, high = np.quantile(axes, [0.16, 0.5, 0.84], axis=0)
    np.testing.assert_allclose(middle, 0, atol=1e-6)
    np.testing.assert_allclose((high - low) / 2, 1, atol=1e-6)


def test_the_order_of_the_catalogue_does_not_matter(scoring, survey, simulated):
    spectra, truth, catalogue = survey
    shuffled = catalogue.sample(frac=1, random_state=3)
    again = outlier_pages(scoring.scorer, shuffled, spectra, truth, number=4, sample=50)
    for one, other in zip(again, simulated, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_only_the_chosen_rows_are_read(scoring, survey, monkeypatch):
    spectra, truth, catalogue = survey
    read = []
    original = Spectra.vectors
    monkeypatch.setattr(
        Spectra, "vectors", lambda self, name, rows: read.extend(rows) or original(self, name, rows)
    )
    found = outlier_pages(scoring.scorer, catalogue, spectra, truth, number=4)
    assert len(set(read)) == len(found.objects) < N


def test_tables_are_as_declared(scoring, simulated, tmp_path):
    for name, columns in (
        ("spectra", SPECTRA_COLUMNS),
        ("objects", OBJECT_COLUMNS),
        ("latents", latent_columns(scoring.scorer.model.latent_size)),
    ):
        write_table(tmp_path / f"{name}.parquet", getattr(simulated, name), columns)


def test_a_catalogue_of_another_survey_and_an_empty_one(scoring, survey):
    spectra, truth, catalogue = survey
    other = catalogue.assign(object_id="other-" + catalogue["object_id"])
    with pytest.raises(UserError, match="do not have other-toy"):
        outlier_pages(scoring.scorer, other, spectra, truth)
    with pytest.raises(UserError, match="no object"):
        outlier_pages(scoring.scorer, catalogue[:0], spectra, truth)

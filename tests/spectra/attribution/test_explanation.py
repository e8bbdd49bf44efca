"""Explaining a catalogue: the right objects, at the right redshift, with their features."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from uraniborg.errors import UserError
from uraniborg.figures.attribution import comparison, feature_shares
from uraniborg.spectra.attribution.explanation import (
    Explainer,
    methods_of,
    write_explanations,
)
from uraniborg.spectra.attribution.features import SUMMARY_COLUMNS, feature_summary
from uraniborg.spectra.outliers.catalogue import ranks, score_shard
from uraniborg.tables import (
    SPECTRUM_COLUMNS,
    Column,
    Spectra,
    SpectraWriter,
    read_table,
    write_table,
)

N, NORM = 40, 5.0


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """A survey of the toy sky and its truth: spikes in every eighth object."""

    folder = tmp_path_factory.mktemp("survey")
    flux, ivar, z = (x[100 : 100 + N].numpy().copy() for x in toy.batch)
    ivar[5] = 0
    z = z.astype(float)
    z[3] = np.nan
    added = np.zeros_like(flux)
    added[::8, 250:252] = 60 * np.nanmedian(1 / np.sqrt(np.maximum(ivar, 1e-6)))
    scalars = pd.DataFrame(
        {
            column.name: ["GALAXY"] * N if column.type == pa.string() else np.zeros(N)
            for column in SPECTRUM_COLUMNS
        }
    )
    scalars["object_id"] = [f"toy-{i}" for i in range(N)]
    scalars["subclass"] = np.where(np.arange(N) % 2, "AGN", "STARFORMING")
    scalars["zwarning"], scalars["snr"], scalars["z"], scalars["norm"] = 0, 8.0, z, NORM
    grid, metadata = toy.transform.observed, {"survey": "toy", "data": "simulated"}
    with SpectraWriter(folder / "spectra.arrow", grid, metadata=metadata) as writer:
        writer.write(scalars, flux=NORM * (flux + added), ivar=ivar / NORM**2)
    columns = tuple(Column(name, pa.string(), "", "Text") for name in ("object_id", "anomaly"))
    kind = np.where(added.any(axis=1), "spike", "none")
    with SpectraWriter(folder / "truth.arrow", grid, columns, ["anomaly_flux"]) as writer:
        truth = {"object_id": scalars["object_id"], "anomaly": kind}
        writer.write(truth, anomaly_flux=NORM * added)
    return folder


@pytest.fixture(scope="module")
def spectra(folder):
    return Spectra(folder / "spectra.arrow")


@pytest.fixture(scope="module")
def catalogue(explained, spectra):
    table = score_shard(explained.scorer, spectra)
    return table.assign(outlier_rank=ranks(table["outlier_score"].to_numpy())[0])


@pytest.fixture(scope="module")
def explainer(explained, spectra, catalogue):
    return Explainer(explained.scorer, spectra, catalogue, number=3)


def test_the_first_that_can_be_explained_come_first(explainer, catalogue):
    rows = explainer.first(N)
    # One has no good pixels; the redshift of another had to be estimated, which is no obstacle.
    assert len(rows) == N - 1
    assert 5 not in rows
    assert catalogue["outlier_rank"][rows].is_monotonic_increasing
    assert list(explainer.first(3)) == list(rows[:3])


def test_objects_are_as_they_were_scored(explainer, catalogue, spectra):
    (outlier,) = explainer.outliers([3])
    assert outlier.object_id == "toy-3"
    assert float(outlier.spectrum.z) == pytest.approx(catalogue["z"][3])
    assert outlier.z == pytest.approx(catalogue["z"][3])
    assert outlier.norm == NORM
    np.testing.assert_allclose(
        NORM * outlier.spectrum.flux[0].numpy(),
        np.where(spectra.vectors("ivar", [3])[0] > 0, spectra.vectors("flux", [3])[0], 0),
        rtol=1e-6,
    )


def test_spikes_are_explained_by_their_pixels(explainer, tmp_path):
    tables = explainer.explain(np.array([8, 16]), ["one", "other"])
    assert list(tables.spectra["title"].unique()) == ["one", "other"]
    for name, own in tables.maps.groupby("object_id"):
        # Statistics are of blocks of up to 64 pixels.
        assert abs(int(own["attribution"].to_numpy().argmax()) - 251) < 64, name
    shares = tables.features.groupby("object_id")["share"].sum()
    np.testing.assert_allclose(shares, 1, rtol=1e-5)
    files = {name: tmp_path / f"{name}.parquet" for name in tables._fields}
    write_explanations(files, tables, {"survey": "toy"})
    assert len(read_table(files["maps"])) == len(tables.maps)


def test_methods_are_measured_on_known_anomalies(explained, spectra, catalogue, folder):
    explainer = Explainer(
        explained.scorer,
        spectra,
        catalogue,
        score="outlier_score",
        methods=("contributions", "random"),
        number=3,
    )
    found = explainer.measure(Spectra(folder / "truth.arrow"), local=3, examples=1)
    assert found.measured["object_id"].nunique() == 3
    assert set(found.measured["anomaly"]) == {"spike"}
    mass = found.measured.groupby("method")["mass"].mean()
    assert mass["contributions"] > 5 * mass["random"]
    assert mass["true_window"] == 1
    assert len(found.examples.spectra["object_id"].unique()) == 1
    assert found.examples.spectra["window"].sum() == 2


def test_one_example_of_every_class(explainer):
    again = explainer.at_survey_redshifts()
    rows, titles = again.examples(5)
    assert [title.split(",")[0] for title in titles] == ["GALAXY AGN", "GALAXY STARFORMING"]
    assert [row % 2 for row in rows] == [1, 0]
    # The survey's own redshift, not an estimated one.
    assert np.isnan(again.catalogue["z"][3])
    assert 3 not in rows
    assert list(again.examples(1)[1]) == titles[:1]


def test_attribution_at_broad_lines(explained, toy, folder, catalogue, tmp_path):
    spectra = Spectra(folder / "spectra.arrow")
    scalars = spectra.scalars.assign(subclass="AGN BROADLINE")
    with SpectraWriter(tmp_path / "s.arrow", spectra.grid, metadata={"data": "real"}) as writer:
        writer.write(
            scalars,
            flux=spectra.vectors("flux", np.arange(N)),
            ivar=spectra.vectors("ivar", np.arange(N)),
        )
    methods = ("consensus", "random")
    broad = Explainer(
        explained.scorer,
        Spectra(tmp_path / "s.arrow"),
        catalogue,
        score="log_prob",
        methods=methods,
        number=2,
    )
    numbers = broad.broad_lines()
    assert set(numbers) == {f"broad_line_excess_{name}" for name in methods}
    assert numbers["broad_line_excess_random"]["value"] == pytest.approx(1, abs=0.2)
    assert all(number["n"] == N - 1 for number in numbers.values())
    none = Explainer(explained.scorer, spectra, catalogue, methods=methods)
    assert none.broad_lines() == {}


def test_every_score_has_its_methods():
    assert "contributions" not in methods_of("log_prob")
    assert "integrated_gradients" in methods_of("log_prob")
    assert methods_of("outlier_score")[0] == "contributions"
    assert not {"integrated_gradients", "gradient_x_input"} & set(methods_of("outlier_score"))


def test_nothing_anomalous_is_an_error(explainer, folder, tmp_path):
    truth = Spectra(folder / "truth.arrow")
    columns = tuple(Column(name, pa.string(), "", "Text") for name in ("object_id", "anomaly"))
    with SpectraWriter(tmp_path / "none.arrow", truth.grid, columns, ["anomaly_flux"]) as writer:
        table = {"object_id": truth.column("object_id"), "anomaly": ["none"] * N}
        writer.write(table, anomaly_flux=np.zeros((N, truth.grid.size)))
    with pytest.raises(UserError, match=r"none\.arrow: there is no anomaly"):
        explainer.measure(Spectra(tmp_path / "none.arrow"))


def test_the_catalogue_of_another_survey_is_refused(explained, spectra, catalogue):
    with pytest.raises(UserError, match=r"spectra\.arrow: the catalogue is of other objects"):
        Explainer(explained.scorer, spectra, catalogue.iloc[::-1])


def test_unknown_names_are_refused(explained, spectra, catalogue):
    impossible = {"score": "log_prob", "methods": ("contributions",)}
    for settings in ({"score": "logp"}, {"methods": ("nonsense",)}, impossible):
        with pytest.raises(UserError, match=r"logp|nonsense|contributions"):
            Explainer(explained.scorer, spectra, catalogue, **settings)
    assert Explainer(explained.scorer, spectra, catalogue, score="log_prob").methods == (
        "consensus",
    )


def test_of_no_objects_there_are_tables_and_figures(explainer, tmp_path):
    tables = explainer.explain(np.array([], int), [])
    files = {name: tmp_path / f"{name}.parquet" for name in tables._fields}
    write_explanations(files, tables, {"survey": "toy"})
    read = [read_table(files[name]) for name in tables._fields]
    assert [len(table) for table in read] == [0, 0, 0]
    summary = feature_summary(tables.features, {})
    write_table(tmp_path / "summary.parquet", summary, SUMMARY_COLUMNS)
    for figure in (comparison(*read), feature_shares(read_table(tmp_path / "summary.parquet"))):
        assert figure.texts[0].get_text() == "no object has a score to explain"

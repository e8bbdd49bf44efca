"""What a finished run leaves behind."""

import json

import pytest
from astropy.table import Table

from uraniborg.claims import CLAIM_COLUMNS
from uraniborg.tables import read_table

pytestmark = pytest.mark.workflow


def test_figures_are_pdf_files(finished):
    figures = list((finished.folder / "results/figures").glob("*/*.pdf"))
    assert {figure.stem for figure in figures} >= {
        "reconstructions",
        "fit_quality",
        "training",
        "noise_suppression",
        "uncertainties",
        "redshifts",
        "wrong_redshift",
        "superresolution",
        "latent_dimension",
        "latent_space",
        "latent_probes",
        "interpolation",
        "generation",
        "attention",
        "stellar_populations",
        "bagpipes_photometry",
        "k_corrections",
        "planes",
        "spectrographs",
        "accuracy",
        "contaminants",
    }
    assert all(figure.read_bytes()[:5] == b"%PDF-" for figure in figures)


def test_drawn_galaxies_were_held_out(finished):
    folder = finished.folder / "results/spender/sdss_simulated"
    splits = read_table(folder / "objects.parquet").set_index("object_id")["split"]
    drawn = read_table(folder / "reconstructions.parquet")["object_id"].unique()
    assert len(drawn) == 6
    assert set(splits[drawn]) == {"test"}


def test_every_declared_claim_is_in_the_scorecard(finished):
    scorecard = read_table(finished.folder / "results/scorecard.parquet")
    assert list(scorecard.columns) == [column.name for column in CLAIM_COLUMNS]
    verdicts = scorecard.set_index("claim")["verdict"]
    # No real survey was named: what needs one is not evaluated, never met.
    assert verdicts["real_reduced_chi2"] == "not evaluated"
    assert verdicts["sdss_main_distance"] == "not evaluated"
    simulated = scorecard[
        (scorecard["analysis"] == "universe") & (scorecard["data"] == "simulated")
    ]
    assert set(simulated["verdict"]) <= {"met", "reported"}
    assert verdicts["bagpipes_spectrum"] == "met"
    assert verdicts["untrained_control"] == "met"
    assert set(scorecard["tier"]) == {"test"}


def test_every_column_has_a_description_that_astropy_reads(finished):
    tables = list((finished.folder / "results").glob("**/*.parquet"))
    assert len(tables) >= 8
    for path in tables:
        table = Table.read(path)
        assert all(column.description for column in table.itercols()), path
    objects = Table.read(finished.folder / "results/spender/sdss_simulated/objects.parquet")
    assert objects["norm"].unit == "1e-17 erg / (Angstrom s cm2)"


def test_the_model_has_a_card(finished):
    card = json.loads((finished.folder / "results/models/spender/default/model.json").read_text())
    assert {"architecture", "training_data", "config_digest", "library_version", "metrics"} <= set(
        card
    )


def test_jobs_leave_logs_and_run_times(finished):
    folder = finished.folder / "results"
    assert "epoch" in (folder / "logs/spender/train/default.log").read_text()
    assert (folder / "runtimes/spender/train/default.tsv").exists()


def test_no_temporary_file_stays(finished):
    left = [path.name for path in finished.folder.glob("results/**/*.partial.*")]
    left += [path.name for path in finished.folder.glob("results/**/.*partial*")]
    assert left == []


def test_report_is_written(finished):
    finished.snakemake("--report", "report.html")
    report = (finished.folder / "report.html").read_text()
    assert "SPENDER" in report
    assert "arXiv:2211.07890" in report


def test_a_report_of_a_part_needs_not_the_rest(finished):
    missing = finished.folder / "results/figures/universe/planes.pdf"
    aside = missing.rename(missing.with_suffix(".aside"))
    try:
        finished.snakemake("present", "--report", "part.html")
    finally:
        aside.rename(missing)
    assert "arXiv:2211.07890" in (finished.folder / "part.html").read_text()


def test_a_population_is_told_from_its_controls(finished):
    folder = finished.folder / "results/popsed/gama_simulated"
    numbers = json.loads((folder / "numbers.json").read_text())
    assert {"w1_z", "w1_mass", "published_ratio_z", "null_w1_z", "shuffled_w1_z"} <= set(numbers)
    assert all(number["data"] == "simulated" for number in numbers.values())
    lcurve = read_table(folder / "lcurve.parquet")
    assert lcurve["chosen"].sum() == 1
    weight = json.loads((folder / "weight.json").read_text())["weight"]
    assert lcurve.loc[lcurve["chosen"], "weight"].item() == weight

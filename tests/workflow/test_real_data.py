"""The same rules on real spectra: read, reconstructed, drawn; the rest is quarantined."""

import json
import shutil

import numpy as np
import pytest
from astropy.table import Table

from uraniborg.surveys.registry import load_archives
from uraniborg.tables import Spectra, read_metadata, read_table

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def real(finished_copy, shared_data):
    copy = finished_copy("real")
    files = ("config/test.yaml", "config/real.yaml", "config/sky.yaml")
    copy.snakemake(config=("--configfile", *files, "--config", f"data_root={shared_data}"))
    return copy


def test_every_galaxy_is_reconstructed(real):
    objects = read_table(real.folder / "results/spender/sdss/objects.parquet")
    assert len(objects) >= 20
    assert set(objects["spectype"]) == {"GALAXY"}
    assert np.isfinite(objects[["z", "snr", "reduced_chi2"]]).all().all()
    assert objects["truth_reduced_chi2"].isna().all()
    # A poor model of 600 spectra, but of galaxies: noise alone would give hundreds.
    assert 0.5 < objects["reduced_chi2"].median() < 20


def test_at_least_six_galaxies_are_drawn(real):
    spectra = read_table(real.folder / "results/spender/sdss/reconstructions.parquet")
    assert spectra["object_id"].nunique() >= 6
    figure = real.folder / "results/figures/spender/reconstructions_sdss.pdf"
    assert figure.read_bytes()[:5] == b"%PDF-"


def test_what_is_left_out_is_listed_with_reason_and_remedy(real, shared_data):
    quarantine = read_table(real.folder / "results/surveys/sdss/quarantine.parquet")
    catalogue = read_table(real.folder / "results/surveys/sdss/catalogue.parquet")
    files = list((shared_data / "sdss_spectra").glob("**/*.fits*"))
    assert len(quarantine) + len(catalogue) == len(files)
    assert (quarantine["reason"] != "").all()
    assert (quarantine["remedy"] != "").all()
    image = quarantine[quarantine["source"].str.contains("cg922")]
    assert "holds only an image" in image["reason"].item()


def test_claims_on_real_data_are_evaluated(real):
    claims = read_table(real.folder / "results/scorecard.parquet").set_index("claim")
    assert claims.loc["real_reduced_chi2", "verdict"] == "reported"
    assert claims.loc["sdss_noise_sigma_ratio", "verdict"] == "met"
    assert claims.loc["sdss_noise_std_ratio", "verdict"] == "met"
    universe = claims[claims["analysis"] == "universe"]
    assert (universe["verdict"] != "not evaluated").all()
    controls = universe[universe.index.str.endswith("_control")]
    assert set(controls["verdict"]) == {"met"}
    path = real.folder / "results/spender/sdss/objects.parquet"
    assert read_metadata(path)["data"] == "real"


def test_a_model_can_be_trained_on_real_spectra(real, shared_data):
    settings = "spender={train_on: sdss, apply_to: [], splits: {valid: 0.25, test: 0.25}}"
    options = ("--config", f"data_root={shared_data}", settings)
    real.snakemake("spender", config=("--configfile", "config/test.yaml", *options))
    claims = json.loads((real.folder / "results/claims/spender.json").read_text())
    verdicts = {claim["claim"]: claim["verdict"] for claim in claims}
    # What was declared for simulated data is not judged on real data.
    assert set(verdicts.values()) == {"not evaluated"}


def test_new_files_are_read(checkout, shared_data, tmp_path):
    copy = checkout("new_files")
    target = "results/surveys/sdss/catalogue.parquet"
    options = ("--config", f"data_root={tmp_path}")
    files = sorted((shared_data / "sdss_spectra").glob("dr-guangtou*/*.fits.gz"))
    (tmp_path / "sdss_spectra").mkdir()
    for file in files[:2]:
        shutil.copy(file, tmp_path / "sdss_spectra")
    copy.snakemake(target, config=options)
    assert copy.planned(target, config=options) == set()
    shutil.copy(files[2], tmp_path / "sdss_spectra")
    assert copy.planned(target, config=options) == {"ingest_spectra", "survey_catalogue"}


def test_archive_through_a_mirror(real, shared_data, tmp_path):
    """The archive's own paths in a folder, files compressed."""

    available = {}
    for path in shared_data.glob("sdss_s*/**/*.fits.gz"):
        available.setdefault(path.name.removesuffix(".gz"), path)
    names = {"spec-0392-51793-0517.fits": "MRK 0955.fits", "spec-1176-52791-0591.fits": "SDSS.fits"}
    names["spec-0412-52258-0302.fits"] = "spec-0412-52258-0302.fits"
    names["spec-2101-53858-0049.fits"] = "1237664853103607848.fits"
    for archive in load_archives(real.folder / "resources/archives.tsv").values():
        source = available[names.get(archive.name, archive.name)]
        target = tmp_path / archive.url.removeprefix("https://data.sdss.org/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f"{target.name}.gz").symlink_to(source)
    mirror = f'mirror={{"https://data.sdss.org/": "{tmp_path}"}}'
    real.snakemake(
        "results/surveys/sdss_archive/catalogue.parquet",
        config=("--configfile", "config/test.yaml", "--config", mirror),
    )
    spectra = Spectra(real.folder / "results/surveys/sdss_archive/spectra/0000.arrow")
    assert len(spectra) == 12
    assert (spectra.vectors("ivar", [0]) > 0).mean() > 0.5


def test_the_model_adapts_to_real_galaxies(real):
    folder = real.folder / "results/spender/sdss"
    claims = read_table(real.folder / "results/scorecard.parquet").set_index("claim")
    assert claims.loc["real_after_adaptation", "verdict"] == "reported"
    assert claims.loc["real_shuffled_control", "verdict"] == "met"
    table = read_table(folder / "adaptation.parquet")
    # Several spectra are of one galaxy, which counts once.
    assert claims.loc["real_gap_closed", "n"] == table["galaxy"].nunique() < len(table)
    features = read_table(folder / "residual_features.parquet")
    assert len(features) > 5
    assert (features["significance"].abs() >= 4).all()
    figure = real.folder / "results/figures/spender/real_galaxies.pdf"
    assert figure.read_bytes()[:5] == b"%PDF-"


def test_real_spectra_are_exported(real):
    objects = Table.read(real.folder / "results/spender/sdss/objects.fits")
    exported = real.folder / "results/spender/sdss/reconstructions.fits"
    first = Table.read(exported, hdu=1)
    assert first.meta["OBJECT"] == objects["object_id"][0]
    assert str(first["wavelength"].unit) == "Angstrom"
    assert np.isfinite(first["model"]).all()

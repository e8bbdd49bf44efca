"""GAMA as it is downloaded: tables of the same galaxies, joined and cut."""

import numpy as np
import pytest
from astropy.table import Table

from uraniborg.errors import UserError
from uraniborg.surveys.matching import files_of
from uraniborg.surveys.photometric_ingest import ingest_photometry
from uraniborg.surveys.registry import load_surveys
from uraniborg.tables import read_table

BANDS = "ugrizYJHK"
# Identifier of a galaxy that fails, and why.
FAILURES = {
    101: "snr of gama_u below 1",
    102: "gama_J-gama_K below 0.025",
    103: "gama_K not measured",
    104: "gama_r fainter than 19.65",
    105: "is not in gama/StellarMasses.fits",
    106: "is not in gama/GalacticExtinction.fits",
    107: "gama_g not measured",
}


def photometry():
    """100 to 109, the last one twice; each fails what `FAILURES` says."""

    catalogue = {"CATAID": np.append(np.arange(100, 110), 109).astype(np.int32)}
    for band, magnitude in zip(
        BANDS, (20, 19, 18.2, 17.8, 17.6, 17.5, 17.4, 17.2, 17.1), strict=True
    ):
        catalogue[f"MAG_AUTO_{band}"] = np.full(11, magnitude, np.float32)
        catalogue[f"MAGERR_AUTO_{band}"] = np.full(11, 0.05, np.float32)
    catalogue["MAGERR_AUTO_u"][1] = 1.2
    catalogue["MAG_AUTO_J"][2] = 17.1
    catalogue["MAG_AUTO_K"][3] = -9999
    catalogue["MAG_AUTO_r"][4] = 19.9
    catalogue["MAG_AUTO_g"][7], catalogue["MAGERR_AUTO_g"][7] = 99, 99
    catalogue["MAG_AUTO_H"][8] = -99
    return catalogue


def masses():
    """In another order, with one twice, without 105 and with one that has no photometry."""

    identifiers = np.array([500, 109, 108, 108, *range(107, 105, -1), *range(104, 99, -1)])
    return {
        "CATAID": identifiers,
        "Z": identifiers / 1000,
        "nQ": np.full(len(identifiers), 4, np.int16),
        "logmstar": identifiers / 10,
        "fluxscale": np.full(len(identifiers), 1.1),
    }


def extinction():
    identifiers = np.array([i for i in range(90, 120) if i != 106])
    return {
        "CATAID": identifiers,
        "RA": np.full(len(identifiers), 180.0),
        "DEC": identifiers / 100,
        "A_r": np.full(len(identifiers), 0.2751),
    }


@pytest.fixture
def ingest(root, tmp_path):
    """Ingests the survey from a folder of tables, and returns what is kept and what is not."""

    def ingest(changes=None, **tables):
        folder = tmp_path / "gama"
        folder.mkdir(exist_ok=True)
        tables = {
            "ApMatchedCat": photometry(),
            "GalacticExtinction": extinction(),
            "StellarMasses": masses(),
            **tables,
        }
        for name, table in tables.items():
            path = folder / f"{name}.fits"
            path.unlink(missing_ok=True)
            if isinstance(table, bytes):
                path.write_bytes(table)
            elif table is not None:
                Table(table).write(path)
        survey = load_surveys(root / "config/surveys", {"gama": changes or {}})["gama"]
        paths = tmp_path / "table.parquet", tmp_path / "quarantine.parquet"
        ingest_photometry(survey, files_of(survey, 0, (), tmp_path), *paths)
        return tuple(map(read_table, paths))

    return ingest


def test_tables_are_joined_by_identifier(ingest):
    table, _ = ingest()
    assert list(table["object_id"]) == ["100", "108", "109"]
    np.testing.assert_allclose(table["z"], [0.1, 0.108, 0.109])
    np.testing.assert_allclose(table["logmstar"], [10.0, 10.8, 10.9])
    np.testing.assert_allclose(table["dec"], [1.0, 1.08, 1.09])
    assert set(table["nQ"]) == {4}
    # VIKING's Z is in no table; H was not measured of one.
    assert not table["gama_Z_observed"].any()
    assert list(table["gama_H_observed"]) == [True, False, True]
    assert table["gama_u_observed"].all()


def test_every_failure_is_listed_with_its_reason(ingest):
    _, quarantine = ingest()
    of_galaxies = quarantine[quarantine["source"] == "gama/ApMatchedCat.fits"]
    reasons = dict(zip(of_galaxies["object_id"], of_galaxies["reason"], strict=True))
    for identifier, reason in FAILURES.items():
        assert reasons.pop(str(identifier)).removeprefix("selection: ") == reason
    assert list(reasons) == ["109"]
    assert "duplicate" in reasons["109"]
    of_masses = quarantine[quarantine["source"] == "gama/StellarMasses.fits"]
    assert list(of_masses["object_id"]) == ["108"]
    assert "duplicate" in of_masses["reason"].iloc[0]
    assert quarantine["remedy"].str.len().min() > 0


def test_magnitudes_are_corrected_before_the_cut(ingest):
    table, _ = ingest()
    raw, _ = ingest({"catalogue": {"galactic_extinction": "keep"}})
    dimming = 2.5 * np.log10(table["gama_r_flux"] / raw["gama_r_flux"])
    np.testing.assert_allclose(dimming, 0.2285, atol=2e-3)
    catalogue = photometry()
    catalogue["MAG_AUTO_r"][4] = 19.85
    assert "104" in set(ingest(ApMatchedCat=catalogue)[0]["object_id"])


def truncated(tmp_path, table):
    path = tmp_path / "whole.fits"
    Table(table).write(path, overwrite=True)
    return path.read_bytes()[: path.stat().st_size // 2]


@pytest.mark.parametrize("name", ["ApMatchedCat", "StellarMasses"])
def test_a_truncated_table_is_one_clear_error(ingest, tmp_path, name):
    table = photometry() if name == "ApMatchedCat" else masses()
    with pytest.raises(UserError, match=f"{name}.fits.* truncated"):
        ingest(**{name: truncated(tmp_path, table)})
    assert not (tmp_path / "table.parquet").exists()


def test_what_cannot_be_joined_is_said(ingest):
    with pytest.raises(UserError, match=r"StellarMasses\*.* of 0 of"):
        ingest(StellarMasses=None)
    with pytest.raises(UserError, match=r"StellarMasses\*.* of 2 of"):
        ingest(StellarMassesv19=masses())


def test_a_table_without_identifiers_is_said(ingest):
    nameless = {name: values for name, values in masses().items() if name != "CATAID"}
    with pytest.raises(UserError, match=r"StellarMasses.fits: has no column CATAID"):
        ingest(StellarMasses=nameless)


def test_joined_tables_are_in_one_shard(root):
    with pytest.raises(UserError, match="shards"):
        load_surveys(root / "config/surveys", {"gama": {"shards": 2}})


def test_the_twin_has_the_bands_and_the_limit_of_the_survey(root):
    surveys = load_surveys(root / "config/surveys")
    real, twin = surveys["gama"], surveys["gama_simulated"]
    assert real.instrument == twin.instrument
    assert real.selection["magnitude_max"]["gama_r"] == pytest.approx(
        twin.universe["limits"]["sdss_r0"]["magnitude"]
    )

"""The survey registry and the table of downloads."""

from dataclasses import FrozenInstanceError, replace

import pytest
import yaml

from uraniborg.errors import UserError
from uraniborg.surveys.ingest import READERS
from uraniborg.surveys.registry import Survey, load_archives, load_surveys

FILES = {
    "description": "Mine",
    "kind": "spectra",
    "instrument": "sdss",
    "files": {"patterns": ["a/*.fits"], "reader": "sdss"},
}


@pytest.fixture
def load(tmp_path):
    def load(keys, changes=None):
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(keys))
        return load_surveys(tmp_path, changes)["mine"]

    return load


def test_the_projects_surveys_load(root):
    surveys = load_surveys(root / "config/surveys")
    assert surveys["sdss"].source == "files"
    assert surveys["sdss"].data == "real"
    archives = load_archives(root / "resources/archives.tsv")
    for name, survey in surveys.items():
        assert survey.name == name
        assert survey.description
        assert set(survey.archives) <= set(archives)


def test_a_survey_of_files_has_its_keys_and_defaults(load):
    survey = load(FILES)
    assert survey.patterns == ("a/*.fits",)
    assert survey.reader == "sdss"
    assert survey.shards == 1
    assert survey.normalisation == "restframe"
    with pytest.raises(FrozenInstanceError):
        survey.shards = 2


def test_a_job_makes_the_survey_again_from_what_decides_the_data(load):
    survey = load(FILES)
    again = Survey(**survey.settings)
    assert replace(again, description=survey.description) == survey
    texts = {"description": "Better", "citation": "Someone", "licence": "MIT"}
    assert load({**FILES, **texts}).settings == survey.settings
    assert load({**FILES, "shards": 2}).settings != survey.settings


def test_a_simulated_survey_says_so(load):
    keys = {key: FILES[key] for key in ("description", "kind", "instrument")}
    survey = load({**keys, "simulate": {"objects": 5, "universe": {"z_max": 0.4}}})
    assert (survey.source, survey.data) == ("simulate", "simulated")
    assert (survey.objects, survey.seed, survey.reader) == (5, 0, "")
    assert survey.universe["z_max"] == 0.4
    assert survey.universe["hyperparameters"] == "fitted"


def test_the_instrument_has_to_fit_the_kind(load):
    keys = {**FILES, "kind": "photometry", "instrument": "sdss+wise"}
    files = {**FILES["files"], "reader": "catalogue"}
    keys |= {"files": files, "catalogue": {"bands": {"sdss_u": {"flux": "u", "ivar": "i"}}}}
    assert load(keys).kind == "photometry"
    with pytest.raises(UserError, match="sdss_wise"):
        load({**keys, "instrument": "sdss_wise"})
    with pytest.raises(UserError, match="wise"):
        load({**FILES, "instrument": "wise"})
    with pytest.raises(UserError, match="reader"):
        load({**keys, "files": {**FILES["files"], "reader": "sdss"}})


PHOTOMETRY = {
    "description": "Mine",
    "kind": "photometry",
    "instrument": "sdss",
    "files": {"patterns": ["a/*.fits"], "reader": "catalogue"},
    "catalogue": {"bands": {"sdss_r": {"magnitude": "r", "error": "e"}}},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selection": {"snr_min": 1}}, "selection: snr_min: is no cut of photometry"),
        ({"selection": {"colour_min": {"sdss_r-sdss_I": 0}}}, "sdss_I is none of its bands"),
        ({"selection": {"colour_max": {"sdss_r": 0}}}, "selection: colour_max"),
        ({"selection": {"band_snr_min": {"gama_r": 1}}}, "gama_r is none of its bands"),
        ({"catalogue": {"extra": {"log mass": "m"}}}, "catalogue: extra"),
        ({"catalogue": {"join": {"column": "id"}}}, "catalogue: join: lacks 'tables'"),
    ],
)
def test_cuts_and_layouts_of_photometry_are_checked(load, change, message):
    with pytest.raises(UserError) as error:
        load(PHOTOMETRY, {"mine": change})
    assert message in str(error.value)


def test_photometry_may_be_cut_in_every_way_that_it_has(load):
    selection = {
        "z_min": 0.1,
        "magnitude_max": {"sdss_r": 20},
        "colour_min": {"sdss_g-sdss_r": 0},
        "band_snr_min": {"sdss_u": 1},
    }
    assert load({**PHOTOMETRY, "selection": selection}).selection["colour_min"] == {
        "sdss_g-sdss_r": 0
    }
    with pytest.raises(UserError, match="is no cut of spectra"):
        load({**FILES, "selection": {"magnitude_max": {"sdss_r": 20}}})
    simulated = {key: PHOTOMETRY[key] for key in ("description", "kind", "instrument")}
    with pytest.raises(UserError, match="limits"):
        load({**simulated, "simulate": {"objects": 5}, "selection": {"z_min": 0.1}})


def test_changes_replace_single_keys(load):
    survey = load(FILES, {"mine": {"shards": 3, "files": {"patterns": ["b"]}}})
    assert survey.shards == 3
    assert survey.patterns == ("b",)
    assert survey.reader == "sdss"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shards": 0}, "shards: 0 is less than the minimum of 1"),
        ({"files": {"pattern": []}}, "files: unknown key 'pattern' (did you mean 'patterns'?)"),
        ({"files": {"reader": "sds"}}, "files: reader: 'sds' is not one of"),
        ({"files": {"patterns": []}}, "files: patterns: needs at least 1 entries"),
        ({"simulate": {"objects": 5}}, "needs exactly one of 'simulate', 'archive', 'files'"),
        ({"selection": {"spectyp": []}}, "selection: unknown key 'spectyp'"),
        ({"selection": {"z_min": 1, "z_max": 0.5}}, "selection: z_min is larger than z_max"),
        ({"instrument": "sdsss"}, "instrument: there is no spectrograph 'sdsss'"),
    ],
)
def test_a_message_names_file_and_key(load, change, message):
    keys = {**FILES, **change}
    if "files" in change:
        keys["files"] = {**FILES["files"], **change["files"]}
    with pytest.raises(UserError) as error:
        load(keys)
    assert "mine.yaml: " in str(error.value)
    assert message in str(error.value)


def test_a_wrong_change_is_found_in_the_configuration(load):
    with pytest.raises(UserError, match="surveys: mine"):
        load(FILES, {"mine": {"shards": "two"}})
    with pytest.raises(UserError, match=r"did you mean 'mine'"):
        load(FILES, {"min": {}})


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no survey"):
        load_surveys(tmp_path)


def test_the_schema_knows_every_reader(root):
    schema = yaml.safe_load((root / "workflow/schemas/survey.schema.yaml").read_text())
    assert set(schema["$defs"]["reader"]["enum"]) == {*READERS, "catalogue"}


HEADER = "name\turl\tsha256\tbytes\tlicence\tcitation\n"
ROW = ["a.fits", "https://x.org/a.fits", "0" * 64, "10", "MIT", "Someone"]


def test_downloads_are_read(tmp_path):
    path = tmp_path / "archives.tsv"
    path.write_text(HEADER + "\t".join(ROW) + "\n")
    archive = load_archives(path)["a.fits"]
    assert (archive.url, archive.bytes) == ("https://x.org/a.fits", 10)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (1, "ftp://x.org/a", "a.fits: url"),
        (2, "abc", "a.fits: sha256"),
        (3, "ten", "a.fits: bytes: 'ten' is not a whole number"),
        (3, "", "a.fits: bytes"),
        (4, "", "a.fits: licence: must not be empty"),
        (0, "../a", "../a: name"),
    ],
)
def test_a_wrong_download_is_named(tmp_path, column, value, message):
    path = tmp_path / "archives.tsv"
    row = [*ROW[:column], value, *ROW[column + 1 :]]
    path.write_text(HEADER + "\t".join(row) + "\n")
    with pytest.raises(UserError) as error:
        load_archives(path)
    assert message in str(error.value)


def test_a_download_listed_twice_is_named(tmp_path):
    path = tmp_path / "archives.tsv"
    path.write_text(HEADER + 2 * ("\t".join(ROW) + "\n"))
    with pytest.raises(UserError, match=r"a\.fits: is listed twice"):
        load_archives(path)


def test_a_row_with_missing_or_extra_columns_is_named(tmp_path):
    path = tmp_path / "archives.tsv"
    for row in (ROW[:4], [*ROW, "more"]):
        path.write_text(HEADER + "\t".join(row) + "\n")
        with pytest.raises(UserError, match=r"a\.fits"):
            load_archives(path)

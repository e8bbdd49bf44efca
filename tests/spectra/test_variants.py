from pathlib import Path

import pytest

from uraniborg.errors import UserError
from uraniborg.settings import validate
from uraniborg.spectra.variants import basis_owners, model_variants

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"


def section(**changes):
    return validate({"spender": changes}, SCHEMA, name="test")["spender"]


def test_variants_differ_in_what_they_say_and_share_the_rest():
    settings = section(
        architecture={"rank": 30},
        training={"epochs": 50},
        latent_sizes=[2, 12],
        latent_training={"epochs": 5},
        variants={"flux": {"architecture": {"encoder": "flux"}}},
    )
    variants = model_variants("spender", settings, SCHEMA)
    assert list(variants) == ["default", "latent_02", "latent_12", "flux"]
    assert all(variant["architecture"]["rank"] == 30 for variant in variants.values())
    assert variants["latent_12"]["architecture"]["latent_size"] == 12
    assert variants["latent_12"]["training"]["epochs"] == 5
    assert variants["flux"]["architecture"]["encoder"] == "flux"
    assert variants["flux"]["training"] == variants["default"]["training"]


def test_a_basis_is_shared_where_it_is_the_same():
    settings = section(
        latent_sizes=[4],
        variants={
            "flux": {"architecture": {"encoder": "flux"}},
            "fine": {"architecture": {"oversampling": 2}},
            "finer": {"architecture": {"oversampling": 2, "latent_size": 8}},
        },
    )
    owners = basis_owners(model_variants("spender", settings, SCHEMA))
    assert owners == {
        "default": "default",
        "latent_04": "default",
        "flux": "default",
        "fine": "fine",
        "finer": "fine",
    }


def test_a_wrong_setting_names_the_variant():
    settings = section(variants={"flux": {"architecture": {"encodre": "flux"}}})
    with pytest.raises(UserError, match=r"variant flux.*encodre.*did you mean 'encoder'"):
        model_variants("spender", settings, SCHEMA)


@pytest.mark.parametrize(
    "changes", [{"architecture": {"rank": 4}}, {"latent_sizes": [30]}], ids=["rank", "sizes"]
)
def test_fewer_basis_spectra_than_latents_are_refused(changes):
    with pytest.raises(UserError, match=r"rank \d+ is less than latent_size \d+"):
        model_variants("spender", section(**changes), SCHEMA)


def test_a_misspelt_line_spread_function_is_named():
    with pytest.raises(UserError, match="lsf"):
        section(architecture={"lsf": "blah"})
    assert section(architecture={"lsf": "1.5"})["architecture"]["lsf"] == "1.5"


def outliers(**variants):
    surveys = dict.fromkeys(("train_on", "search", "mislabelled_stars"), "galaxies")
    changes = {**surveys, "losses": {"similarity": 1}, "variants": variants}
    return validate({"sdss_outliers": changes}, SCHEMA, name="test")["sdss_outliers"]


def test_variants_have_surveys_losses_and_teachers_of_their_own():
    settings = outliers(
        stars={"train_on": "stars", "losses": {"similarity": 0}},
        pupil={"teacher": "default", "losses": {"imitation": 1}},
    )
    variants = model_variants("sdss_outliers", settings, SCHEMA)
    assert variants["stars"]["train_on"] == "stars"
    assert variants["stars"]["losses"]["similarity"] == 0
    assert variants["pupil"]["train_on"] == "galaxies"
    assert variants["pupil"]["teacher"] == "default"
    assert "teacher" not in variants["default"]
    assert basis_owners(variants) == {"default": "default", "stars": "stars", "pupil": "default"}


@pytest.mark.parametrize(
    "changes",
    [
        {"teacher": "default"},
        {"losses": {"imitation": 1}},
        {"teacher": "nobody", "losses": {"imitation": 1}},
        {"teacher": "pupil", "losses": {"imitation": 1}},
    ],
)
def test_imitation_needs_a_teacher_who_is_there(changes):
    with pytest.raises(UserError, match=r"variant pupil.*teacher"):
        model_variants("sdss_outliers", outliers(pupil=changes), SCHEMA)


def test_a_teacher_learns_from_nobody():
    taught = {"teacher": "default", "losses": {"imitation": 1}}
    settings = outliers(first=taught, second={**taught, "teacher": "first"})
    with pytest.raises(UserError, match=r"variant second.*has a teacher itself"):
        model_variants("sdss_outliers", settings, SCHEMA)

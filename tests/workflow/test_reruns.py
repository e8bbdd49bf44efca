"""What an edit makes run again: just what it affects."""

import pytest

pytestmark = pytest.mark.workflow

FIGURE = "results/figures/spender/reconstructions.pdf"

# One module draws them.
FIGURES_OF_SPECTRA = {
    "spender_plot_reconstructions",
    "spender_plot_fit_quality",
    "spender_plot_training",
}

AFTER_TRAINING = {
    *FIGURES_OF_SPECTRA,
    "spender_attention",
    "spender_calibration",
    "spender_claims",
    "spender_controls",
    "spender_export",
    "spender_gather",
    "spender_generation",
    "spender_interpolation",
    "spender_latent_dimension",
    "spender_latent_space",
    "spender_objects",
    "spender_plot_attention",
    "spender_plot_generation",
    "spender_plot_interpolation",
    "spender_plot_latent_dimension",
    "spender_plot_latent_probes",
    "spender_plot_latent_space",
    "spender_plot_noise_suppression",
    "spender_plot_redshifts",
    "spender_plot_superresolution",
    "spender_plot_uncertainties",
    "spender_plot_wrong_redshift",
    "spender_quality",
    "spender_reconstructions",
    "spender_redshift_likelihoods",
    "spender_redshift_numbers",
    "spender_redshifts",
    "spender_superresolution",
    "spender_train",
    "spender_uncertainty",
    "spender_wrong_redshifts",
    "scorecard",
    "all",
}
# Every rule about outliers and their attribution but for bases.
OUTLIERS = {
    "imo_claims",
    "imo_evaluate",
    "imo_explain",
    "imo_measure",
    "imo_plot_comparison",
    "imo_plot_features",
    "imo_plot_localisation",
    "imo_plot_perturbation",
    "outlier_baselines",
    "outlier_catalogue",
    "outlier_claims",
    "outlier_density",
    "outlier_invariance",
    "outlier_pages",
    "outlier_plot_gallery",
    "outlier_plot_invariance",
    "outlier_plot_latents",
    "outlier_plot_pages",
    "outlier_plot_ranks",
    "outlier_plot_recovery",
    "outlier_plot_redshift_track",
    "outlier_plot_scores",
    "outlier_plot_star_evidence",
    "outlier_plot_stellar_templates",
    "outlier_recovery",
    "outlier_score",
    "outlier_scorer",
    "outlier_star_recovery",
    "outlier_stars",
    "outlier_stellar_templates",
    "outlier_train",
}


def test_nothing_runs_twice(finished):
    assert finished.planned() == set()


@pytest.mark.parametrize(
    ("path", "old", "new", "rules"),
    [
        pytest.param(
            "workflow/uraniborg/figures/spectra.py",
            "observed vacuum wavelength",
            "wavelength",
            {*FIGURES_OF_SPECTRA, "all"},
            id="label of a figure",
        ),
        pytest.param(
            "workflow/uraniborg/nets/decoders.py",
            "return torch.addmm(self.mean, ",
            "return torch.addmm(1.0 * self.mean, ",
            {
                *AFTER_TRAINING,
                *OUTLIERS,
                "spender_benchmark",
                "outlier_benchmark",
                "imo_benchmark",
                "benchmarks",
            },
            id="decoder",
        ),
        pytest.param(
            "workflow/uraniborg/nets/decoders.py",
            '"""Decoders: latents in',
            '"""Decoders: latent variables in',
            set(),
            id="docstring of the decoder",
        ),
        pytest.param(
            "config/test.yaml",
            "batch_size: 64",
            "batch_size: 60",
            AFTER_TRAINING,
            id="setting of the training",
        ),
        pytest.param(
            "config/config.yaml",
            "maximum: 1.06",
            "maximum: 1.07",
            {"spender_claims", "scorecard", "all"},
            id="criterion of a claim",
        ),
    ],
)
def test_an_edit_reruns_what_it_affects_and_nothing_else(finished, path, old, new, rules):
    undo = finished.edit(path, old, new)
    try:
        planned = finished.planned()
    finally:
        undo()
    assert planned == rules


def test_a_lost_table_is_made_again_from_its_shards(finished):
    table = finished.folder / "results/spender/sdss_simulated/objects.parquet"
    aside = table.rename(table.with_suffix(".aside"))
    try:
        planned = finished.planned()
    finally:
        aside.rename(table)
    assert "spender_gather" in planned
    assert not planned & {"simulate_spectra", "spender_train", "spender_objects"}


def test_one_figure_needs_only_its_own_jobs(checkout):
    planned = checkout("one_figure").planned(FIGURE)
    assert planned == {
        "simulate_spectra",
        "survey_catalogue",
        "spender_basis",
        "spender_train",
        "spender_calibration",
        "spender_objects",
        "spender_gather",
        "spender_reconstructions",
        "spender_plot_reconstructions",
    }

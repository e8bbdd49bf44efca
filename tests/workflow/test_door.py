"""The workflow opened from another project, and its targets."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.workflow


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        env=os.environ,
    )


def test_default_configuration_plans_everything_offline(checkout):
    planned = checkout("default").planned(config=())
    assert {"all", "simulate_spectra", "spender_train", "scorecard", "benchmarks"} <= planned
    assert "download" not in planned
    assert "ssp_grid" not in planned


def test_another_project_uses_it_as_a_module(root, tmp_path):
    (tmp_path / "Snakefile").write_text(
        f'''
configfile: "{root}/config/config.yaml"
config["surveys_folder"] = "{root}/config/surveys"

module uraniborg:
    snakefile: "{root}/workflow/Snakefile"
    config: config

use rule * from uraniborg
'''
    )
    done = run(tmp_path, "--dry-run", "--cores", "1", "results/figures/spender/training.pdf")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "spender_train" in done.stdout + done.stderr


ANALYSES = ("universe", "spender", "sdss_outliers", "desi_outliers", "imo", "popsed")


def test_analyses_are_all_there_is(checkout):
    copy = checkout("aliases")
    targets = {"all", "results", "scorecard", "benchmarks", *ANALYSES}
    expected = copy.planned("all") - targets
    assert copy.planned(*ANALYSES, "benchmarks") - targets == expected


@pytest.mark.parametrize("target", [*ANALYSES, "results", "figures", "scorecard", "benchmarks"])
def test_alias_targets(root, target):
    done = run(root, "--dry-run", "--cores", "1", "--forceall", "--quiet=rules", target)
    assert done.returncode == 0, done.stderr

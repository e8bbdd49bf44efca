"""Mistakes end with one readable message that names file or key and the remedy."""

import pytest
import torch

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def copy(checkout):
    return checkout("errors")


def message(copy, *arguments, config=()):
    return copy.snakemake(*arguments, check=False, config=config)


def test_misspelt_key(copy):
    output = message(copy, "--dry-run", "--config", "spender={trian_on: sdss}")
    assert "spender: unknown key 'trian_on' (did you mean 'train_on'" in output
    assert "config/README.md" in output
    assert "$schema" not in output


def test_value_out_of_range(copy):
    output = message(copy, "--dry-run", "--config", "gpus=-1")
    assert "gpus: -1 is less than the minimum of 0" in output


def test_unknown_survey(copy):
    output = message(copy, "--dry-run", "--config", "spender={train_on: sdss_simulatd}")
    assert "spender: train_on: there is no survey 'sdss_simulatd'" in output
    assert "sdss_simulated" in output


def test_no_file_matches(copy):
    output = message(
        copy,
        "results/surveys/sdss/spectra/0000.arrow",
        config=("--config", "data_root=nowhere"),
    )
    assert "no file matches" in output
    assert "nowhere" in output
    assert "data_root" in output
    assert not (copy.folder / "results/surveys/sdss/spectra/0000.arrow").exists()


def test_gpu_that_is_not_there(finished_copy):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config = ("--configfile", "config/test.yaml", "--config", "gpus=1")
    target = "results/models/spender/default/model.safetensors"
    copy = finished_copy("gpu")
    output = copy.snakemake(target, "--force", check=False, config=config)
    assert "the configuration asks for `gpus: 1` but no CUDA device is present" in output
    assert "set `gpus: 0`" in output
    assert "Traceback" not in (copy.folder / "results/logs/spender/train/default.log").read_text()

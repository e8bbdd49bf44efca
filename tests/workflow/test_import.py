"""Weights of SPENDER's authors become a model that surveys can be reconstructed with."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from uraniborg.tables import read_table

pytestmark = pytest.mark.workflow

TARGET = "results/spender/sdss_simulated/imported/objects.parquet"


def state_dict():
    """Random weights under the authors' names, with fewer channels than theirs."""

    generator = torch.Generator().manual_seed(4)
    channels, wide, latents, pixels = (1, 4, 6, 8), (4, 6, 5, 4), 3, 7000
    state = {}

    def layer(name, *shape):
        state[f"{name}.weight"] = 0.1 * torch.randn(*shape, generator=generator)
        state[f"{name}.bias"] = torch.zeros(shape[0])

    for i, kernel in enumerate((5, 11, 21)):
        layer(f"encoder.conv{i + 1}.0", channels[i + 1], channels[i], kernel)
        state[f"encoder.conv{i + 1}.2.weight"] = torch.full((channels[i + 1],), 0.25)
    for i, (before, after) in enumerate(zip(wide, (*wide[1:], latents), strict=True)):
        layer(f"encoder.mlp.{3 * i}", after, before)
        if i < 3:
            state[f"encoder.mlp.{3 * i + 1}.weight"] = torch.full((after,), 0.25)
    sizes = (latents, 8, 8, 8, pixels)
    for i, (before, after) in enumerate(pairwise(sizes)):
        layer(f"decoder.mlp.{3 * i}", after, before)
        state[f"decoder.mlp.{3 * i + 1}.beta"] = torch.ones(after)
        state[f"decoder.mlp.{3 * i + 1}.gamma"] = torch.zeros(after)
    state["decoder.wave_rest"] = torch.linspace(2359, 9400, pixels)
    return state


def settings(path):
    test = ("--configfile", "config/test.yaml")
    return (*test, "--config", f"spender={{import: {{path: {path}}}}}")


def test_imported_weights_reconstruct_a_survey(finished_copy, tmp_path):
    copy = finished_copy("import")
    torch.save({"model": state_dict()}, tmp_path / "weights.pt")
    copy.snakemake(TARGET, config=settings(tmp_path / "weights.pt"))
    card = json.loads((copy.folder / "results/models/spender/imported/model.json").read_text())
    assert card["architecture"]["published"]["restframe_size"] == 7000
    objects = read_table(copy.folder / TARGET)
    assert np.isfinite(objects[["latent_0", "latent_2", "reduced_chi2"]]).all().all()
    # Random weights fit nothing, and are not the default model's.
    assert objects["reduced_chi2"].median() > 2


def test_a_file_that_is_not_theirs_is_refused(finished_copy, tmp_path):
    copy = finished_copy("import_wrong")
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    output = copy.snakemake(TARGET, check=False, config=settings(tmp_path / "other.pt"))
    assert "Error in spender_import: import: the state dict lacks" in output

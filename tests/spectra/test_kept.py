"""The trained models that ship with the project are those of the configuration."""

import json

import pytest
import torch
import yaml

from uraniborg.settings import validate
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.variants import model_variants


@pytest.fixture(scope="module")
def kept(root):
    """Settings and folder of every variant that is not trained."""

    schema = root / "workflow/schemas/config.schema.yaml"
    config = validate(yaml.safe_load((root / "config/config.yaml").read_text()), schema, name="")
    return {
        (analysis, name): (settings, root / "resources/models" / analysis / name)
        for analysis in ("sdss_outliers", "desi_outliers")
        for name, settings in model_variants(analysis, config[analysis], schema).items()
        if settings["kept"]
    }


def test_no_other_models_are_shipped(root, kept):
    shipped = {path.parent for path in (root / "resources/models").glob("*/*/model.safetensors")}
    assert shipped == {folder for _, folder in kept.values()}


def test_they_have_the_settings_of_the_configuration(kept):
    for settings, folder in kept.values():
        card = json.loads((folder / "model.json").read_text())
        for part in ("architecture", "training", "losses"):
            assert card[part] == settings[part], f"{folder}: {part}; train it again"
        assert (folder / "README.md").is_file()


def test_they_encode(kept):
    for _, folder in kept.values():
        model = SpectrumAutoencoder.load(folder / "model.safetensors", folder / "model.json")
        size = model.transform.observed.size
        flux = 1 + 0.1 * torch.randn(3, size, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            latent = model.encode(flux, torch.full_like(flux, 100.0), torch.full((3,), 0.1))
        assert latent.isfinite().all()

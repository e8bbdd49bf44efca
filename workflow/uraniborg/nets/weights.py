"""Models on disk: safetensors for the weights, a JSON card for everything else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file
from torch import nn

import uraniborg
from uraniborg.errors import UserError
from uraniborg.files import atomic

__all__ = ["load_card", "load_weights", "save_model"]


def save_model(
    weights: str | Path, card: str | Path, module: nn.Module, contents: Mapping[str, Any]
) -> None:
    """Writes a model as two files.

    Args:
        weights: The safetensors file.
        card: The JSON file.
        module: The model.
        contents: What the card says: `architecture` (enough to build the module again),
            `training_data`, `config_digest`, `metrics`. The library version is added.
    """

    # Copies, because two parts of a model may share a tensor, and safetensors does not store that.
    state = {name: x.detach().cpu().clone().contiguous() for name, x in module.state_dict().items()}
    with atomic(weights) as temporary:
        save_file(state, temporary)
    text = json.dumps({**contents, "library_version": uraniborg.__version__}, indent=2)
    with atomic(card) as temporary:
        temporary.write_text(text + "\n")


def load_card(card: str | Path) -> dict[str, Any]:
    """Reads a model's card.

    Raises:
        UserError: The file is not JSON.
    """

    try:
        return json.loads(Path(card).read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{card}: is not a model card ({error}); retrain the model.") from error


def load_weights(weights: str | Path, module: nn.Module) -> None:
    """Loads weights into a module of the same architecture.

    Raises:
        UserError: The file is damaged or belongs to another architecture.
    """

    try:
        module.load_state_dict(load_file(weights))
    except safetensors.SafetensorError as error:
        raise UserError(f"{weights}: is not a complete safetensors file; retrain it.") from error
    except RuntimeError as error:
        raise UserError(f"{weights}: does not fit its card's architecture; retrain it.") from error

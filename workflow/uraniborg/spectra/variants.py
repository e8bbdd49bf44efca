"""Variants of the autoencoder: the settings of each model that an analysis trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uraniborg.errors import UserError
from uraniborg.settings import validate

__all__ = ["BASIS_SETTINGS", "DEFAULT", "basis_owners", "model_variants"]

DEFAULT = "default"
"""The variant with the settings as they are."""

BASIS_SETTINGS = ("rank", "z_min", "z_max", "oversampling", "lsf")
"""Settings of the architecture that a basis depends on."""


def model_variants(
    section: Mapping[str, Any], schema: str | Path
) -> dict[str, dict[str, dict[str, Any]]]:
    """Settings `architecture` and `training` of every variant, by name.

    Args:
        section: The configuration's section `spender`: its own settings are those of the default
            variant, `variants` holds what differs in others, and each of `latent_sizes` makes a
            variant `latent_02`, `latent_04`, ... trained as `latent_training` says.
        schema: The schema of the configuration.

    Raises:
        UserError: The settings of a variant are not valid.
    """

    sizes = {
        f"latent_{size:02d}": {
            "architecture": {"latent_size": size},
            "training": section["latent_training"],
        }
        for size in section["latent_sizes"]
    }
    parts = ("architecture", "training")
    variants = {}
    for name, changes in {DEFAULT: {}, **sizes, **section["variants"]}.items():
        settings = {part: {**section[part], **changes.get(part, {})} for part in parts}
        checked = validate({"spender": settings}, schema, name=f"config: variant {name}")["spender"]
        variants[name] = {part: checked[part] for part in parts}
        _check_rank(name, checked["architecture"])
    return variants


def _check_rank(name: str, architecture: Mapping[str, Any]) -> None:
    rank, size = architecture["rank"], architecture["latent_size"]
    low_rank = architecture["encoder"] == "restframe" or architecture["decoder"] == "low_rank"
    if low_rank and rank < size:
        raise UserError(
            f"config: variant {name}: rank {rank} is less than latent_size {size}; raise `rank` "
            "or lower `latent_size` (or `latent_sizes`) under `spender`."
        )


def basis_owners(variants: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """For each variant the first one with the same basis, so that each basis is fitted once."""

    owners: dict[tuple[Any, ...], str] = {}
    return {
        name: owners.setdefault(
            tuple(settings["architecture"][key] for key in BASIS_SETTINGS), name
        )
        for name, settings in variants.items()
    }

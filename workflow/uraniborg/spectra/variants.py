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
    analysis: str, section: Mapping[str, Any], schema: str | Path
) -> dict[str, dict[str, Any]]:
    """Settings `architecture`, `training` and, where the analysis has any, `losses` of every
    variant, by name, with `train_on`, `kept` and, where it has one, its `teacher`.

    Args:
        analysis: Name of the analysis.
        section: Its section of the configuration: the settings there are those of the default
            variant, `variants` holds what differs in others, and each of `latent_sizes`, if there
            are any, makes a variant `latent_02`, `latent_04`, ... trained as `latent_training`
            says.
        schema: The schema of the configuration.

    Raises:
        UserError: The settings of a variant are not valid.
    """

    sizes = {
        f"latent_{size:02d}": {
            "architecture": {"latent_size": size},
            "training": section["latent_training"],
        }
        for size in section.get("latent_sizes", ())
    }
    parts = [name for name in ("architecture", "training", "losses") if name in section]
    every = {DEFAULT: {}, **sizes, **section["variants"]}
    variants = {}
    for name, changes in every.items():
        settings = {part: {**section[part], **changes.get(part, {})} for part in parts}
        label = f"config: {analysis}: variant {name}"
        checked = validate({analysis: {**section, **settings}}, schema, name=label)[analysis]
        variants[name] = {part: checked[part] for part in parts}
        variants[name]["train_on"] = changes.get("train_on", section["train_on"])
        variants[name]["kept"] = changes.get("kept", False)
        _check_rank(label, checked["architecture"])
        teacher = changes.get("teacher")
        if teacher is not None:
            variants[name]["teacher"] = teacher
        if (teacher is not None) != (checked.get("losses", {}).get("imitation", 0) > 0):
            raise UserError(f"{label}: `teacher` and `losses: imitation` need each other.")
        if teacher is not None and (teacher not in every or teacher == name):
            raise UserError(f"{label}: there is no teacher {teacher!r}; name another variant.")
        if teacher is not None and "teacher" in every[teacher]:
            raise UserError(f"{label}: its teacher {teacher!r} has a teacher itself; name that.")
    return variants


def _check_rank(label: str, architecture: Mapping[str, Any]) -> None:
    rank, size = architecture["rank"], architecture["latent_size"]
    low_rank = architecture["encoder"] == "restframe" or architecture["decoder"] == "low_rank"
    if low_rank and rank < size:
        raise UserError(
            f"{label}: rank {rank} is less than latent_size {size}; raise `rank` or lower "
            "`latent_size` (or `latent_sizes`)."
        )


def basis_owners(variants: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """For each variant the first one with the same basis, so that each basis is fitted once."""

    owners: dict[tuple[Any, ...], str] = {}
    return {
        name: owners.setdefault(
            (settings["train_on"], *(settings["architecture"][key] for key in BASIS_SETTINGS)), name
        )
        for name, settings in variants.items()
    }

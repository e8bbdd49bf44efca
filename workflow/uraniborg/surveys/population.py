"""What a simulated survey consists of: its objects, its shards, its population."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.surveys.registry import Survey
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE, generator
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit

__all__ = [
    "FORMATION_COLUMNS",
    "Resources",
    "galaxies_only",
    "galaxy_population",
    "kinds",
    "objects_of",
    "point_source_limit",
    "redshift_errors",
]

FORMATION_COLUMNS = (
    Column("log_sfr", pa.float64(), "dex(solMass / yr)", "log10 of the SFR of the last 100 Myr"),
    Column("age", pa.float64(), "Gyr", "Mean age of the stars by mass formed"),
)
"""What a star-formation history amounts to, see `GalaxyModel.formation`."""

# Standard error of redshifts, typical of bright SDSS galaxies (column Z_ERR of their spectra).
_REDSHIFT_ERROR = 1e-5
# That of quasars' redshifts from their broad lines (assumed).
_QUASAR_REDSHIFT_ERROR = 5e-4


class Resources(NamedTuple):
    """Files that the universe is made from; those that a survey makes no use of may be absent.

    Args:
        ssp_grid: Of the rule `ssp_grid`.
        hyperparameters: Of the rule `population_fit`, used unless the survey asks for the published
            values.
        star_basis: Of the rule `star_basis`, for stars.
        quasar_lines: Of the rule `quasar_lines`, for quasars.
        dust_emission: Of the rule `dust_emission`, for photometry in the infrared.
        history_basis: Of the rule `history_basis`, for the histories `nmf`.
    """

    ssp_grid: str | Path
    hyperparameters: str | Path | None = None
    star_basis: str | Path | None = None
    quasar_lines: str | Path | None = None
    dust_emission: str | Path | None = None
    history_basis: str | Path | None = None

    @classmethod
    def of(cls, files: Mapping[str, Any]) -> Self:
        """Those among a rule's inputs, which bear these names."""

        return cls(*(files.get(name) for name in cls._fields))


def objects_of(survey: Survey, shard: int) -> tuple[int, int]:
    """First object of a shard and the first of the next, whole blocks but for the survey's end."""

    total = -(-survey.objects // BLOCK_SIZE)
    edges = [total * k // survey.shards * BLOCK_SIZE for k in (shard, shard + 1)]
    return edges[0], min(edges[1], survey.objects)


def galaxy_population(
    survey: Survey, resources: Resources, fibre_diameter: float = 3.0
) -> GalaxyPopulation:
    """The galaxies of a simulated survey.

    Args:
        survey: Its section `universe` says which galaxies.
        resources: What they are made from.
        fibre_diameter: Of the instrument's fibres in arcsec.

    Raises:
        UserError: The fractions of stars and quasars exceed one, or a survey of photometry asks
            for contaminants.
    """

    universe = survey.universe
    if universe.get("stars", 0.0) + universe.get("quasars", 0.0) > 1:
        raise UserError(
            f"config/surveys/{survey.name}.yaml: universe: stars and quasars together are more "
            "than all objects; lower one of the fractions."
        )
    if survey.kind == "photometry" and universe.get("contaminants"):
        raise UserError(
            f"config/surveys/{survey.name}.yaml: universe: contaminants: are those of spectra; "
            "remove the key, or set `kind: spectra`."
        )
    fitted = universe["hyperparameters"] == "fitted"
    return GalaxyPopulation(
        resources.ssp_grid,
        z_min=universe["z_min"],
        z_max=universe["z_max"],
        limits={name: Limit(**limit) for name, limit in universe["limits"].items()},
        luminous_red=universe["luminous_red"],
        basis=universe["basis"],
        history_basis=resources.history_basis,
        fibre_diameter=fibre_diameter,
        values=universe["values"],
        hyperparameter_file=resources.hyperparameters if fitted else None,
    )


def kinds(survey: Survey, block: int) -> np.ndarray:
    """What the objects of a block are, `galaxy`, `star` or `quasar`, shape (BLOCK_SIZE,)."""

    universe = survey.universe
    star, quasar = universe.get("stars", 0.0), universe.get("quasars", 0.0)
    chance = generator(survey.seed, block, "mixture").uniform(size=BLOCK_SIZE)
    drawn = np.full(BLOCK_SIZE, "galaxy", object)
    drawn[chance < star + quasar] = "quasar"
    drawn[chance < star] = "star"
    return drawn


def redshift_errors(kind: np.ndarray) -> np.ndarray:
    """Standard errors of the redshifts of objects of N kinds, shape (N,)."""

    return np.where(kind == "quasar", _QUASAR_REDSHIFT_ERROR, _REDSHIFT_ERROR)


def galaxies_only(
    table: Mapping[str, np.ndarray], names: Iterable[str], kind: np.ndarray
) -> dict[str, np.ndarray]:
    """The truth with what only galaxies have made empty for all else, the redshift but for itself.

    Args:
        table: Columns by name, each of shape (N,).
        names: Those of galaxies.
        kind: What the objects are, shape (N,).
    """

    table, other = dict(table), kind != "galaxy"
    if other.any():
        for name in set(names) - {"z"}:
            empty = None if table[name].dtype == bool else np.nan
            values = table[name].astype(object if empty is None else float)
            table[name] = np.where(other, empty, values)
    return table


def point_source_limit(survey: Survey) -> float:
    """The magnitude to which a survey takes stars (in r) and quasars (in i).

    That of its limit in r, without one that of its first limit (stars and quasars differ little in
    AB magnitude between r and i), and 20 without any.
    """

    limits = survey.universe["limits"]
    red = [limit for name, limit in limits.items() if name.removesuffix("0").endswith("_r")]
    return next((limit["magnitude"] for limit in (*red, *limits.values())), 20.0)

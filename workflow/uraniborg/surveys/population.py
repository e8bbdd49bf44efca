"""What a simulated survey consists of: its objects, its shards, its population."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.surveys.registry import Survey
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE, generator
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit

__all__ = [
    "FORMATION_COLUMNS",
    "REDSHIFT_ERROR",
    "galaxy_population",
    "kinds",
    "objects_of",
    "point_source_limit",
]

FORMATION_COLUMNS = (
    Column("log_sfr", pa.float64(), "dex(solMass / yr)", "log10 of the SFR of the last 100 Myr"),
    Column("age", pa.float64(), "Gyr", "Mean age of the stars by mass formed"),
)
"""What a star-formation history amounts to, see `GalaxyModel.formation`."""

REDSHIFT_ERROR = 1e-5
"""Standard error of redshifts, typical of bright SDSS galaxies (column Z_ERR of their spectra)."""


def objects_of(survey: Survey, shard: int) -> tuple[int, int]:
    """First object of a shard and the first of the next, whole blocks but for the survey's end."""

    total = -(-survey.objects // BLOCK_SIZE)
    edges = [total * k // survey.shards * BLOCK_SIZE for k in (shard, shard + 1)]
    return edges[0], min(edges[1], survey.objects)


def galaxy_population(
    survey: Survey,
    ssp_grid: str | Path,
    hyperparameters: str | Path,
    fibre_diameter: float = 3.0,
) -> GalaxyPopulation:
    """The galaxies of a simulated survey.

    Args:
        survey: Its section `universe` says which galaxies.
        ssp_grid: The file of the rule `ssp_grid`.
        hyperparameters: The file of the rule `population_fit`, used unless the survey asks for
            the published values.
        fibre_diameter: Of the instrument's fibres in arcsec.

    Raises:
        UserError: A survey of photometry asks for contaminants.
    """

    universe = survey.universe
    if survey.kind == "photometry" and universe.get("contaminants"):
        raise UserError(
            f"config/surveys/{survey.name}.yaml: universe: contaminants: are those of spectra; "
            "remove the key, or set `kind: spectra`."
        )
    return GalaxyPopulation(
        ssp_grid,
        z_min=universe["z_min"],
        z_max=universe["z_max"],
        limits={name: Limit(**limit) for name, limit in universe["limits"].items()},
        luminous_red=universe["luminous_red"],
        basis=universe["basis"],
        fibre_diameter=fibre_diameter,
        values=universe["values"],
        hyperparameter_file=hyperparameters if universe["hyperparameters"] == "fitted" else None,
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


def point_source_limit(survey: Survey) -> float:
    """The magnitude to which a survey takes stars (in r) and quasars (in i).

    That of its limit in r, without one that of its first limit (stars and quasars differ little in
    AB magnitude between r and i), and 20 without any.
    """

    limits = survey.universe["limits"]
    red = [limit for name, limit in limits.items() if name.removesuffix("0").endswith("_r")]
    return next((limit["magnitude"] for limit in (*red, *limits.values())), 20.0)

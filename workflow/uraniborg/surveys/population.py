"""What a simulated survey consists of: its objects, its shards, its population."""

from pathlib import Path

import pyarrow as pa

from uraniborg.errors import UserError
from uraniborg.surveys.registry import Survey
from uraniborg.tables import Column
from uraniborg.universe.blocks import BLOCK_SIZE
from uraniborg.universe.galaxy_population import GalaxyPopulation, Limit

__all__ = [
    "FORMATION_COLUMNS",
    "REDSHIFT_ERROR",
    "galaxy_population",
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
        UserError: A survey of photometry asks for anything but galaxies.
    """

    universe = survey.universe
    others = [key for key in ("stars", "quasars", "contaminants") if universe.get(key)]
    if survey.kind == "photometry" and others:
        raise UserError(
            f"config/surveys/{survey.name}.yaml: universe: {others[0]}: simulated photometry is of "
            "galaxies alone; remove the key, or set `kind: spectra`."
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


def point_source_limit(survey: Survey) -> float:
    """The magnitude to which a survey takes stars (in r) and quasars (in i).

    That of its limit in r, without one that of its first limit (stars and quasars differ little in
    AB magnitude between r and i), and 20 without any.
    """

    limits = survey.universe["limits"]
    red = [limit for name, limit in limits.items() if name.removesuffix("0").endswith("_r")]
    return next((limit["magnitude"] for limit in (*red, *limits.values())), 20.0)

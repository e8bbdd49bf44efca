"""A survey as the inference of its population needs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uraniborg.instruments.bands import bands_of
from uraniborg.population.popsed.forward import ForwardModel, Selection
from uraniborg.population.popsed.parameters import ParameterSpace
from uraniborg.population.popsed.photometry import Catalogue, read_catalogue
from uraniborg.tables import read_table
from uraniborg.universe.galaxy_population import Limit
from uraniborg.universe.histories import NMFHistory
from uraniborg.universe.relations import hyperparameters

__all__ = ["forward_model", "hyperparameters_of", "read_survey", "read_truth"]

_TRUTH = ("z", "stellar_mass", "log_metallicity", "A_V", "log_sfr", "age")


def read_survey(
    photometry: Sequence[str | Path], instrument: str, population: Mapping[str, Any]
) -> Catalogue:
    """The photometry that a survey's section `population` asks for.

    Args:
        photometry: Shards.
        instrument: Of the survey.
        population: `bands` and `reference`.

    Raises:
        UserError: See `read_catalogue`.
    """

    wanted = list(population["bands"])
    by_name = {band.name: band for band in bands_of(instrument)}
    return read_catalogue(photometry, [by_name[name] for name in wanted], population["reference"])


def forward_model(
    catalogue: Catalogue,
    population: Mapping[str, Any],
    ssp_grid: str | Path,
    history_basis: str | Path,
) -> ForwardModel:
    """The model of a survey's photometry.

    Args:
        catalogue: Its photometry.
        population: `z_min`, `z_max` and `limits`.
        ssp_grid: The file of the rule `ssp_grid`.
        history_basis: The file of the rule `history_basis`.
    """

    components = NMFHistory.load(history_basis).size
    space = ParameterSpace(population["z_min"], population["z_max"], components)
    limits = {name: Limit(**limit) for name, limit in population["limits"].items()}
    return ForwardModel(space, catalogue.bands, Selection(limits), ssp_grid, history_basis)


def hyperparameters_of(universe: Mapping[str, Any], fitted: str | Path) -> dict[str, float] | None:
    """Hyperparameters of a simulated survey's population, None of a real one.

    Args:
        universe: The section `universe` of the survey's file, empty for a real one.
        fitted: The file of the rule `population_fit`.
    """

    if not universe:
        return None
    file = fitted if universe["hyperparameters"] == "fitted" else None
    return hyperparameters(universe["values"], file)


def read_truth(files: Sequence[str | Path], catalogue: Catalogue) -> pd.DataFrame:
    """What is known of the galaxies: all parameters of simulated ones, else redshifts.

    Args:
        files: Shards of the truth; none for a real survey.
        catalogue: Its galaxies.

    Returns:
        `z`, `stellar_mass`, `log_metallicity`, `A_V`, `log_sfr`, `log_ssfr` and `age`, NaN where
        not known.
    """

    if not files:
        table = pd.DataFrame({"z": catalogue.z}).reindex(columns=list(_TRUTH))
        table = table[np.isfinite(table["z"])]
    else:
        table = pd.concat([read_table(file, list(_TRUTH)) for file in files], ignore_index=True)
    return table.astype(float).assign(log_ssfr=table["log_sfr"] - table["stellar_mass"])

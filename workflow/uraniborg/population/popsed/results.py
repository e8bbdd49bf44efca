"""Tables and numbers of a survey's recovered population, beside the truth and the controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from uraniborg.errors import UserError
from uraniborg.population.popsed import nulls
from uraniborg.population.popsed.neighbours import halves, neighbour_redshifts
from uraniborg.population.popsed.photometry import Catalogue, Features
from uraniborg.population.popsed.posterior import (
    band_table,
    densities,
    interval,
    main_sequence,
    mass_function,
    prior_pull,
    sequence_table,
)
from uraniborg.population.popsed.tables import MASS_FUNCTION, POPULATION_COLUMNS, SEQUENCE_COLUMNS
from uraniborg.universe.galaxy_population import Limit
from uraniborg.universe.relations import mass_density

__all__ = ["Results", "null_redshifts"]

_PARAMETERS = tuple(column.name for column in POPULATION_COLUMNS[2:])
# Galaxies of each source in the tables that figures are drawn from.
_SHOWN = 4000
_BINS = 30
_MASSES = np.arange(8.0, 12.01, 0.2)
# An edge of the bins.
_NORMALISED_ABOVE = 9.6
_NULLS = {
    "blanton_2003": nulls.BLANTON_2003,
    "loveday_2015": nulls.LOVEDAY_2015,
    "kochanek_2001": nulls.KOCHANEK_2001,
}


def null_redshifts(population: Mapping[str, Any], number: int = 20_000) -> np.ndarray | None:
    """Redshifts without photometry, by the luminosity function that a survey names, (number,).

    Args:
        population: The section `population` of a survey's file.
        number: How many.

    Returns:
        None if it names none.

    Raises:
        UserError: There is no limit in the band of the luminosity function.
    """

    if not population["luminosity_function"]:
        return None
    function = _NULLS[population["luminosity_function"]]
    if function.filter not in population["limits"]:
        raise UserError(
            f"population: luminosity_function {population['luminosity_function']!r} is one in "
            f"{function.filter}, in which there is no limit; add it to `limits`, or remove the key."
        )
    limit = Limit(**population["limits"][function.filter])
    return nulls.schechter_redshifts(
        function, limit, population["z_min"], population["z_max"], number
    )


@dataclass(frozen=True)
class Results:
    """What the ensemble says of a survey.

    Args:
        catalogue: The photometry.
        members: Galaxies that each member drew, see `fits.galaxies_of`.
        prior: Galaxies of the prior alone.
        published: Galaxies by the published recipe.
        shuffled: Galaxies by a fit to shuffled bands: a control that has to fail.
        lightest: Galaxies by the fit with the smallest weight of the prior.
        heaviest: Galaxies by the fit with the largest.
        truth: True parameters, NaN where not known.
        population: The section `population` of the survey's file.
        true_values: Hyperparameters of a simulated survey's population; none of a real one.
    """

    catalogue: Catalogue
    members: Sequence[pd.DataFrame]
    prior: pd.DataFrame
    published: pd.DataFrame
    shuffled: pd.DataFrame
    lightest: pd.DataFrame
    heaviest: pd.DataFrame
    truth: pd.DataFrame
    population: Mapping[str, Any]
    true_values: Mapping[str, float] | None = None

    @property
    def simulated(self) -> bool:
        """Whether the survey is simulated."""

        return self.true_values is not None

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """The galaxies of all members."""

        return pd.concat(self.members, ignore_index=True)

    @cached_property
    def neighbours(self) -> np.ndarray | None:
        """Redshifts of one half of the catalogue by supervised neighbours in the other."""

        if not np.isfinite(self.catalogue.z).any():
            return None
        return neighbour_redshifts(*halves(self.catalogue)).ravel()

    @cached_property
    def null(self) -> np.ndarray | None:
        """Redshifts without photometry."""

        return null_redshifts(self.population)

    def population_table(self) -> pd.DataFrame:
        """Galaxies of each source, the columns of `tables.POPULATION_COLUMNS`."""

        each = _SHOWN // len(self.members)
        parts = [
            _shown(member, each).assign(source="recovered", member=number)
            for number, member in enumerate(self.members)
        ]
        others = {"truth": self.truth, "prior": self.prior, "published": self.published}
        parts += [_shown(t, _SHOWN).assign(source=name, member=-1) for name, t in others.items()]
        names = [column.name for column in POPULATION_COLUMNS]
        return pd.concat(parts, ignore_index=True)[names]

    def photometry_table(self) -> pd.DataFrame:
        """Observed and recovered photometry, the columns of `tables.PHOTOMETRY_COLUMNS`."""

        names = list(self.catalogue.feature_names)
        values = Features.of(self.catalogue).of_catalogue(self.catalogue).numpy()
        observed = pd.DataFrame(values, columns=names)
        sources = {"observed": observed, "recovered": self.pooled[names]}
        parts = []
        for source, table in sources.items():
            rows = _some(table, _SHOWN).reset_index(drop=True)
            long = rows.melt(var_name="feature", value_name="value", ignore_index=False)
            parts.append(long.rename_axis("galaxy").reset_index().assign(source=source))
        return pd.concat(parts, ignore_index=True)[["source", "galaxy", "feature", "value"]]

    def bands(self) -> pd.DataFrame:
        """Distributions with their uncertainty, the columns of `tables.BAND_COLUMNS`."""

        parts = []
        for quantity in ("z", "stellar_mass"):
            edges = self._edges(quantity)
            members = densities([member[quantity] for member in self.members], edges)
            others = {"truth": self._known(quantity), "prior": self.prior[quantity]}
            if quantity == "z":
                others |= {"null": self.null, "neighbours": self.neighbours}
            counted = {
                name: None if sample is None else densities([sample], edges)[0]
                for name, sample in others.items()
            }
            parts.append(band_table(quantity, edges, members, counted))
        parts.append(
            band_table(MASS_FUNCTION, _MASSES, self._mass_functions(), self._true_masses())
        )
        return pd.concat(parts, ignore_index=True)

    def sequence(self) -> pd.DataFrame:
        """The main sequence by source, the columns of `tables.SEQUENCE_COLUMNS`."""

        sequences = [main_sequence(member) for member in self.members]
        parts = [sequence_table("recovered", self.pooled, sequences)]
        others = {"truth": self.truth, "prior": self.prior, "published": self.published}
        parts += [sequence_table(name, table) for name, table in others.items()]
        names = [column.name for column in SEQUENCE_COLUMNS]
        filled = [part for part in parts if len(part)]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=names)

    def parameters(self) -> pd.DataFrame:
        """What is known of each parameter, the columns of `tables.PARAMETER_COLUMNS`."""

        rows = []
        for name in _PARAMETERS:
            means = [member[name].mean() for member in self.members]
            rows.append(
                {
                    "parameter": name,
                    "mean": np.mean(means),
                    "mean_error": np.std(means, ddof=1),
                    "spread": self.pooled[name].std(),
                    "truth_mean": self.truth[name].mean(),
                    "truth_spread": self.truth[name].std(),
                    "prior_mean": self.prior[name].mean(),
                    "prior_pull": prior_pull(self.lightest[name], self.heaviest[name]),
                }
            )
        return pd.DataFrame(rows)

    def numbers(self) -> dict[str, dict[str, Any]]:
        """Numbers to hold against claims, by name."""

        numbers = {}
        for name, short in (("z", "z"), ("stellar_mass", "mass")):
            known = self._known(name)
            if known is None:
                continue
            ours = wasserstein_distance(self.pooled[name], known)
            numbers[f"w1_{short}"] = _number(ours, self._jackknife(name, known), known)
            means = np.array([member[name].mean() for member in self.members])
            offset = abs(means.mean() - known.mean())
            numbers[f"mean_{short}_offset"] = _number(
                offset, means.std(ddof=1) / len(means) ** 0.5, known
            )
            low, high = interval(means, 0.95)
            numbers[f"mean_{short}_inside"] = _number(low < known.mean() < high, np.nan, known)
            controls = {"published": self.published, "prior": self.prior, "shuffled": self.shuffled}
            for label, table in controls.items():
                control = wasserstein_distance(table[name], known)
                numbers[f"{label}_w1_{short}"] = _number(control, np.nan, known)
            ratio = ours / wasserstein_distance(self.published[name], known)
            numbers[f"published_ratio_{short}"] = _number(ratio, np.nan, known)
        redshifts = self._known("z")
        for label, sample in (("null", self.null), ("neighbours", self.neighbours)):
            if sample is not None and redshifts is not None:
                apart = wasserstein_distance(sample, redshifts)
                numbers[f"{label}_w1_z"] = _number(apart, np.nan, redshifts)
        if "null_w1_z" in numbers:
            ours, null = numbers["w1_z"], numbers["null_w1_z"]["value"]
            numbers["null_gain"] = _number(null - ours["value"], ours["uncertainty"], redshifts)
        if redshifts is not None:
            table = self.bands().query("quantity == 'z'")
            inside = table["truth"].between(table["low_95"], table["high_95"])
            numbers["inside_95_z"] = _number(inside.mean(), np.nan, redshifts)
        numbers |= self._sequence_numbers()
        data = "simulated" if self.simulated else "real"
        return {name: {**number, "data": data} for name, number in numbers.items()}

    def _sequence_numbers(self) -> dict[str, dict[str, Any]]:
        true = main_sequence(self.truth)
        if not np.isfinite(true.slope):
            return {}
        found = [main_sequence(member) for member in self.members]
        numbers = {}
        for name in ("slope", "scatter"):
            values = np.array([getattr(each, name) for each in found])
            error = values.std(ddof=1) / len(values) ** 0.5
            numbers[f"sequence_{name}_offset"] = {
                "value": float(abs(values.mean() - getattr(true, name))),
                "uncertainty": float(error),
                "n": true.n,
            }
        pull = [main_sequence(t).slope for t in (self.lightest, self.heaviest)]
        numbers["sequence_slope_pull"] = {
            "value": float(abs(pull[1] - pull[0])),
            "uncertainty": np.nan,
            "n": true.n,
        }
        return numbers

    def _jackknife(self, name: str, known: pd.Series) -> float:
        """Standard error of the distance of the pooled members, by leaving each of them out."""

        samples = [member[name].to_numpy() for member in self.members]
        apart = [
            wasserstein_distance(np.concatenate(samples[:left] + samples[left + 1 :]), known)
            for left in range(len(samples))
        ]
        return float(np.std(apart) * (len(apart) - 1) ** 0.5)

    def _known(self, name: str) -> pd.Series | None:
        known = self.truth[name].dropna()
        return known if len(known) else None

    def _edges(self, name: str) -> np.ndarray:
        samples = [self.pooled[name]]
        if self._known(name) is not None:
            samples.append(self._known(name))
        ends = np.array([np.quantile(sample, [0.002, 0.998]) for sample in samples])
        return np.linspace(ends[:, 0].min(), ends[:, 1].max(), _BINS + 1)

    def _mass_functions(self) -> np.ndarray:
        return np.array(
            [
                mass_function(
                    member["stellar_mass"].to_numpy(),
                    member["volume"].to_numpy(),
                    _MASSES,
                    _NORMALISED_ABOVE,
                )
                for member in self.members
            ]
        )

    def _true_masses(self) -> dict[str, np.ndarray | None]:
        """The universe's own mass function where its galaxies of each mass are seen."""

        if not self.simulated:
            return {}
        centres = (_MASSES[1:] + _MASSES[:-1]) / 2
        cells = np.digitize(self.truth["stellar_mass"], _MASSES) - 1
        typical = pd.Series(self.truth["z"]).groupby(cells).mean().reindex(range(len(centres)))
        density = mass_density(centres, typical.to_numpy(), self.true_values)
        above = centres >= _NORMALISED_ABOVE
        total = np.nansum(density[above]) * (_MASSES[1] - _MASSES[0])
        return {"truth": np.log10(density / total)}


def _number(value: float, uncertainty: float, known: pd.Series) -> dict[str, Any]:
    return {"value": float(value), "uncertainty": float(uncertainty), "n": len(known)}


def _some(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Evenly spaced rows."""

    rows = np.linspace(0, len(table) - 1, min(number, len(table))).astype(int)
    return table.iloc[rows]


def _shown(galaxies: pd.DataFrame, number: int) -> pd.DataFrame:
    return _some(galaxies, number)[list(_PARAMETERS)]

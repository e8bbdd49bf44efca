"""Contaminants of a simulated survey: what they do to the spectra that a spectrograph takes.

A contaminant takes the place of a galaxy and keeps its catalogue entry: class, redshift and
position, but for `wrong_redshift`. What happens on the sky changes the light before it is observed;
what happens in the instrument or the pipeline is added to the observed spectrum and leaves the
noise as it is. The kinds are those of `uraniborg.universe.contaminants.KINDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.surveys.population import Resources, point_source_limit
from uraniborg.surveys.registry import Survey
from uraniborg.surveys.sources import (
    Galaxies,
    PointSources,
    quasar_view,
    quasars,
    star_view,
    stars,
)
from uraniborg.tables import Column
from uraniborg.universe.blocks import generator
from uraniborg.universe.contaminants import (
    chances,
    companions,
    contaminated,
    double_peaked,
    irregular_lines,
    log_uniform,
    wrong_redshift,
)
from uraniborg.universe.photometry import read_filter
from uraniborg.universe.relations import attenuation_slope

__all__ = [
    "ANOMALY_COLUMNS",
    "ARMS",
    "Change",
    "Contaminants",
    "arm_jump",
    "extent",
    "scattered_light",
    "sky_failure",
    "spike",
]

ANOMALY_COLUMNS = (
    Column("kind", pa.string(), "", "What the object is: galaxy, star or quasar"),
    Column("anomaly", pa.string(), "", "Kind of contaminant, none if it is none"),
    Column("anomaly_strength", pa.float64(), "", "Strength; meaning and unit depend on the kind"),
    Column(
        "anomaly_significance",
        pa.float64(),
        "",
        "Root of the sum of ivar x anomaly_flux^2 over the spectrum, 0 without anomaly",
    ),
    Column(
        "anomaly_low",
        pa.float64(),
        "Angstrom",
        "Observed vacuum wavelength below which 5% of |anomaly_flux| sqrt(ivar) lies",
    ),
    Column(
        "anomaly_high",
        pa.float64(),
        "Angstrom",
        "Observed vacuum wavelength above which 5% of |anomaly_flux| sqrt(ivar) lies",
    ),
)
"""What the truth table says about contaminants."""

ARMS = {"sdss": (6000.0,), "boss": (6000.0,), "desi": (5780.0, 7570.0)}
"""Wavelengths in Angstrom at which spectrographs change from one arm to the next, rounded."""

_COMPANION_Z = Column("companion_z", pa.float64(), "", "Redshift of the second galaxy of a pair")

# Rest wavelength in Angstrom that lies within the troughs of C IV.
_TROUGH = 1450.0
# Fraction of an anomaly that `extent` leaves out at either end.
_TAIL = 0.05


@dataclass(frozen=True)
class Change:
    """What a kind of contaminants does on the sky to the objects that it strikes, row by row.

    Args:
        strength: See `KINDS`, shape (N,).
        clean: Noiseless flux density in observed pixels, shape (N, M).
        truth: Entries of the truth table that change, each of shape (N,).
        kind: What the objects are now.
        z_catalogue: Redshifts that the catalogue gives; None for those of the galaxies.
    """

    strength: np.ndarray
    clean: Tensor
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)
    kind: str = "galaxy"
    z_catalogue: np.ndarray | None = None


class Extent(NamedTuple):
    """How significant an anomaly is and where it lies, each of shape (N,): see `extent`."""

    significance: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Struck(NamedTuple):
    """The galaxies of a block that a kind strikes: parameters, noiseless flux, uniform numbers."""

    block: int
    rows: np.ndarray
    galaxies: Mapping[str, np.ndarray]
    clean: Tensor
    chance: np.ndarray


class Contaminants:
    """The contaminants of a survey.

    Args:
        survey: Its section `universe` says how many there are of each kind.
        spectrograph: What observes them.
        galaxies: Of the survey.
        resources: What stars and quasars are made from.

    Raises:
        UserError: A rate is no fraction, or their sum is above one.
    """

    def __init__(
        self,
        survey: Survey,
        spectrograph: Spectrograph,
        galaxies: Galaxies,
        resources: Resources,
    ) -> None:
        self.rates = {k: r for k, r in survey.universe.get("contaminants", {}).items() if r > 0}
        contaminated(self.rates, survey.seed, 0)
        self.seed, self.limit = survey.seed, point_source_limit(survey)
        self.spectrograph, self.galaxies = spectrograph, galaxies
        self._resources = resources
        band = read_filter("sdss_r0")
        wavelength = spectrograph.grid.wavelength
        weight = np.interp(wavelength, *band, left=0, right=0) * wavelength
        weight = weight * np.diff(spectrograph.grid.edges)
        self._red = torch.as_tensor(weight / weight.sum()).float()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of the truth table, about what is among or within contaminants but for galaxies."""

        columns = (_COMPANION_Z,) if "galaxy_pair" in self.rates else ()
        if self.rates.keys() & {"star", "star_blend"}:
            columns += self._stars.columns
        if self.rates.keys() & {"quasar", "bal_quasar", "type1_agn"}:
            columns += self._quasars.columns
        return columns

    def kinds(self, block: int) -> np.ndarray:
        """The kind of every object of a block, shape (BLOCK_SIZE,)."""

        return contaminated(self.rates, self.seed, block)

    def on_the_sky(
        self, kind: str, block: int, rows: np.ndarray, galaxies: Mapping[str, np.ndarray],
        clean: Tensor,
    ) -> Change | None:  # fmt: skip
        """What a kind makes of galaxies, None if it happens in the instrument.

        Args:
            kind: Its name.
            block: Number of the block.
            rows: Which objects of the block it strikes, shape (N,).
            galaxies: Their parameters, each of shape (N,).
            clean: Their noiseless flux density in observed pixels, shape (N, M).
        """

        if kind not in _ON_THE_SKY:
            return None
        chance = chances(kind, self.seed, block)[:, rows]
        return _ON_THE_SKY[kind](self, Struck(block, rows, galaxies, clean, chance))

    def in_the_instrument(
        self, kind: str, block: int, rows: np.ndarray, truth: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The strength of a kind, (N,), and the flux that it adds, (N, M); None if on the sky.

        Args:
            kind: Its name.
            block: Number of the block.
            rows: Which objects of the block it strikes, shape (N,).
            truth: Their noiseless flux density with its calibration error, shape (N, M).
        """

        if kind not in _IN_THE_INSTRUMENT:
            return None
        chance = chances(kind, self.seed, block)[:, rows]
        return _IN_THE_INSTRUMENT[kind](self.spectrograph, truth, chance)

    @cached_property
    def _stars(self) -> PointSources:
        view = star_view(self.spectrograph)
        return stars(self._resources.star_basis, view, self.limit, self.seed)

    @cached_property
    def _quasars(self) -> PointSources:
        return self._quasar_sources(bal_fraction=0.0)

    @cached_property
    def _absorbed_quasars(self) -> PointSources:
        """At redshifts that bring the absorption by C IV into the spectrograph's range."""

        z_min = self.spectrograph.grid.wavelength[0] / _TROUGH - 1
        return self._quasar_sources(bal_fraction=1.0, z_min=z_min)

    def _quasar_sources(self, **changes: float) -> PointSources:
        # Quasars are scaled to galaxies: this limit decides their luminosities before.
        view = quasar_view(self.spectrograph)
        return quasars(self._resources.quasar_lines, view, 20.0, self.seed, **changes)

    @cached_property
    def _companion_seed(self) -> int:
        return int(generator(self.seed, 0, "companions").integers(2**31))

    def _r_flux(self, clean: Tensor) -> np.ndarray:
        """Mean flux density in r as photons are counted, shape (N,)."""

        return (clean @ self._red).double().numpy()

    def _star_blend(self, at: Struck) -> Change:
        ratio = 10 ** (-0.4 * (3.5 - 4.5 * at.chance[0]))
        added, parameters = self._scaled(self._stars, at, ratio)
        return Change(ratio, at.clean + added, self._stars.truth(parameters))

    def _galaxy_pair(self, at: Struck) -> Change:
        ratio = 10 ** (-0.4 * (3.0 - 3.5 * at.chance[0]))
        others = self.galaxies.sample(at.block, self._companion_seed)
        chosen = companions(at.galaxies["z"], others["z"], at.rows)
        light = self.galaxies.view({name: values[chosen] for name, values in others.items()})
        factor = ratio * self._r_flux(at.clean) / self._r_flux(light)
        light = light * torch.as_tensor(factor).float()[:, None]
        return Change(ratio, at.clean + light, {"companion_z": others["z"][chosen]})

    def _extreme_reddening(self, at: Struck) -> Change:
        A_V = 2 + 3 * at.chance[0]
        slope = attenuation_slope(A_V, self.galaxies.population.hyperparameters)
        light = self.galaxies.view({**at.galaxies, "A_V": A_V, "dust_slope": slope})
        factor = self._r_flux(at.clean) / self._r_flux(light)
        mass = at.galaxies["stellar_mass"] + np.log10(factor)
        light = light * torch.as_tensor(factor).float()[:, None]
        return Change(A_V, light, {"A_V": A_V, "dust_slope": slope, "stellar_mass": mass})

    def _star(self, at: Struck) -> Change:
        return self._replaced(self._stars, at)

    def _quasar(self, at: Struck) -> Change:
        return self._replaced(self._quasars, at)

    def _bal_quasar(self, at: Struck) -> Change:
        return self._replaced(self._absorbed_quasars, at)

    def _wrong_redshift(self, at: Struck) -> Change:
        z, population = at.galaxies["z"], self.galaxies.population
        wrong = wrong_redshift(z, population.z_min, population.z_max, at.chance)
        return Change((wrong - z) / (1 + z), at.clean, z_catalogue=wrong)

    def _lines(self, at: Struck, draw: Callable) -> Change:
        changes, strength = draw(at.galaxies, at.chance)
        light = self.galaxies.view({**at.galaxies, **changes})
        return Change(strength, light, {k: v for k, v in changes.items() if k in at.galaxies})

    def _double_peaked(self, at: Struck) -> Change:
        return self._lines(at, double_peaked)

    def _irregular_lines(self, at: Struck) -> Change:
        return self._lines(at, irregular_lines)

    def _type1_agn(self, at: Struck) -> Change:
        ratio = log_uniform(at.chance[0], 0.1, 3.0)
        # The galaxy brings the starlight and the narrow lines that quasars' parameters include.
        nucleus = {"strength_narrow": -np.inf, "red_slope": -1.2, "z": at.galaxies["z"]}
        added, parameters = self._scaled(self._quasars, at, ratio, nucleus)
        return Change(ratio, at.clean + added, self._quasars.truth(parameters))

    def _scaled(
        self,
        sources: PointSources,
        at: Struck,
        ratio: np.ndarray | float,
        changes: Mapping[str, np.ndarray | float] | None = None,
    ) -> tuple[Tensor, dict[str, np.ndarray]]:
        """Point sources of `ratio` times the galaxies' flux in r, and their parameters."""

        parameters = sources.sample(at.block, at.rows)
        for name, values in (changes or {}).items():
            parameters[name] = np.full(len(at.rows), values)
        light = sources.view(parameters)
        factor = ratio * self._r_flux(at.clean) / self._r_flux(light)
        light = light * torch.as_tensor(factor).float()[:, None]
        return light, sources.brighter(parameters, factor)

    def _replaced(self, sources: PointSources, at: Struck) -> Change:
        light, parameters = self._scaled(sources, at, 1.0)
        difference = (light - at.clean).abs().sum(1) / (light + at.clean).sum(1)
        truth = {"z": parameters["z"], **sources.truth(parameters)}
        return Change(difference.double().numpy(), light, truth, sources.name)


def sky_failure(
    spectrograph: Spectrograph, truth: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of the sky's lines and continuum: see `KINDS`.

    Args:
        spectrograph: Its noise table has the sky.
        truth: Noiseless flux density, shape (N, M).
        chance: Uniform random numbers, shape (CHANCES, N).

    Returns:
        Strength (N,), and flux density to add (N, M).
    """

    curves = spectrograph.noise.curves
    line, sky = curves["line"].to_numpy(np.float64), curves["sky"].to_numpy(np.float64)
    fraction = _sign(chance[0]) * log_uniform(chance[1], 0.03, 0.5)
    shift, continuum = 0.2 * chance[2] - 0.1, 0.5 * chance[3] * fraction
    added = np.outer(fraction, line) + np.outer(shift, np.gradient(line))
    return fraction, added + np.outer(continuum, sky)


def spike(
    spectrograph: Spectrograph, truth: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cosmic rays and ghosts that were not masked: see `KINDS`.

    Args:
        spectrograph: Its noise table has the noise of an empty fibre.
        truth: Noiseless flux density, shape (N, M).
        chance: Uniform random numbers, shape (CHANCES, N).

    Returns:
        Strength (N,), and flux density to add (N, M).
    """

    noise = spectrograph.noise.curves["sigma"].to_numpy(np.float64)
    pixel = np.arange(len(noise))
    height = log_uniform(chance[0], 8.0, 200.0)
    ghost = chance[1] < 0.25
    height = np.where(ghost, height / 5, height)
    count = np.where(ghost, 1, 1 + np.floor(4 * chance[2]))
    added = np.zeros(truth.shape)
    for number in range(4):
        place, size, peak = chance[3 + 3 * number : 6 + 3 * number]
        centre = np.rint(place * (len(noise) - 1))[:, None]
        width = np.where(ghost, 15 + 25 * size, 0.4 + 0.6 * size)[:, None]
        # The first is the highest.
        peak = np.where(number == 0, 1.0, 0.2 + 0.8 * peak) * height * (number < count)
        added += peak[:, None] * np.exp(-0.5 * ((pixel - centre) / width) ** 2)
    return added.max(1), added * noise


def arm_jump(
    spectrograph: Spectrograph, truth: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Different calibration of the arms on either side of a dichroic: see `KINDS`.

    Args:
        spectrograph: Its name tells the arms.
        truth: Noiseless flux density, shape (N, M).
        chance: Uniform random numbers, shape (CHANCES, N).

    Returns:
        Strength (N,), and flux density to add (N, M).
    """

    step = _sign(chance[0]) * log_uniform(chance[1], 0.05, 0.5)
    edges = np.array(ARMS[spectrograph.name])
    edge = edges[(chance[2] * len(edges)).astype(int)][:, None]
    # Where arms overlap, spectra change over within some 20 Angstrom (assumed).
    redder = 1 / (1 + np.exp(-(spectrograph.grid.wavelength - edge).clip(-300, 300) / 10))
    return step, step[:, None] * redder * truth


def scattered_light(
    spectrograph: Spectrograph, truth: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A smooth hump of stray light: see `KINDS`.

    Args:
        spectrograph: What observes.
        truth: Noiseless flux density, shape (N, M).
        chance: Uniform random numbers, shape (CHANCES, N).

    Returns:
        Strength (N,), and flux density to add (N, M).
    """

    x = np.linspace(-1, 1, spectrograph.grid.size)
    strength = log_uniform(chance[0], 0.1, 1.0)
    centre, width = 2 * chance[1][:, None] - 1, 0.2 + 0.4 * chance[2][:, None]
    height = strength * np.median(truth, axis=1)
    return strength, height[:, None] * np.exp(-0.5 * ((x - centre) / width) ** 2)


def extent(wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> Extent:
    """How significant anomalies are, and the wavelengths that hold the central 90% of them.

    Where there is no flux at all, the whole spectrum.

    Args:
        wavelength: Observed wavelengths in Angstrom, shape (M,).
        flux: What the anomalies add, shape (N, M).
        ivar: Inverse variances of the observed spectra, shape (N, M).
    """

    weight = np.abs(flux).astype(np.float64) * np.sqrt(ivar)
    nothing = ~weight.any(axis=1)
    significance = np.sqrt((weight**2).sum(1))
    weight[nothing] = ivar[nothing] > 0
    cumulative = np.cumsum(weight, axis=1)
    tail = np.where(nothing, 0, _TAIL)[:, None] * cumulative[:, -1:]
    low = (cumulative > tail).argmax(1)
    high = (cumulative >= cumulative[:, -1:] - tail).argmax(1)
    return Extent(significance, wavelength[low], wavelength[high])


def _sign(chance: np.ndarray) -> np.ndarray:
    return np.where(chance < 0.5, -1.0, 1.0)


_ON_THE_SKY: Mapping[str, Callable[[Contaminants, Struck], Change]] = {
    "star_blend": Contaminants._star_blend,
    "galaxy_pair": Contaminants._galaxy_pair,
    "extreme_reddening": Contaminants._extreme_reddening,
    "star": Contaminants._star,
    "wrong_redshift": Contaminants._wrong_redshift,
    "double_peaked": Contaminants._double_peaked,
    "irregular_lines": Contaminants._irregular_lines,
    "type1_agn": Contaminants._type1_agn,
    "bal_quasar": Contaminants._bal_quasar,
    "quasar": Contaminants._quasar,
}
_IN_THE_INSTRUMENT = {
    "sky_failure": sky_failure,
    "spike": spike,
    "arm_jump": arm_jump,
    "scattered_light": scattered_light,
}

"""Objects that a survey of galaxies holds by mistake: which kinds, how many, and how strong.

`KINDS` says of every kind what it is, what its strength means and how that is distributed. The
functions here draw what is physical about them; what spectrographs and pipelines do wrong is
`uraniborg.surveys.contamination`. Every kind has a stream of random numbers of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uraniborg.errors import UserError
from uraniborg.universe.blocks import BLOCK_SIZE, generator

__all__ = [
    "CHANCES",
    "CONFUSED_LINES",
    "KINDS",
    "NONE",
    "Kind",
    "chances",
    "companions",
    "contaminated",
    "double_peaked",
    "irregular_lines",
    "log_uniform",
    "wrong_redshift",
]


@dataclass(frozen=True)
class Kind:
    """A kind of contaminant.

    Args:
        name: Its name, in config and in the truth table.
        description: What it is, and what is assumed.
        strength: What `anomaly_strength` means.
        unit: Its unit; empty for a pure number.
        distribution: Of the strength, and what share is subtle or obvious.
        source: Papers, or `assumed`.
    """

    name: str
    description: str
    strength: str
    unit: str
    distribution: str
    source: str


_DISSIMILAR = "Sum of |new - old| over that of new + old, where old is the galaxy that it replaces"

KINDS = (
    Kind(
        "star_blend",
        "A star of the Milky Way in the galaxy's fibre, at its own velocity",
        "Flux of the star over that of the galaxy in r",
        "",
        "uniform in magnitude from 3.5 mag fainter to 1 mag brighter (0.04 to 2.5): a third below "
        "0.16, a quarter above the galaxy",
        "assumed; counts of stars rise slowly with magnitude",
    ),
    Kind(
        "galaxy_pair",
        "A second galaxy of the survey's population at another redshift in the fibre",
        "Flux of the second galaxy over that of the first in r",
        "",
        "uniform in magnitude from 3 mag fainter to 0.5 mag brighter (0.06 to 1.6); redshifts "
        "differ by at least 0.005 (1 + z)",
        "assumed",
    ),
    Kind(
        "extreme_reddening",
        "A galaxy behind much diffuse dust, of the mean slope at its A_V, with more stars, so that "
        "it is as bright in r as before",
        "A_V of diffuse dust",
        "mag",
        "uniform from 2 to 5",
        "assumed",
    ),
    Kind(
        "star",
        "A star with the class, redshift and r magnitude in the fibre of a galaxy",
        _DISSIMILAR,
        "",
        "follows from the star and the galaxy: mostly 0.05 (cool stars) to 0.3 (M dwarfs, hot "
        "stars), half of them below 0.15",
        "the pipeline's confusion of stars (Liang et al. 2023b, arXiv:2307.07664)",
    ),
    Kind(
        "wrong_redshift",
        "A galaxy whose catalogued redshift is wrong; its spectrum is as it was, so that "
        "anomaly_flux and anomaly_significance are zero and the anomaly spans the whole spectrum",
        "(z of the catalogue - z) / (1 + z)",
        "",
        "60% one of the lines `CONFUSED_LINES` taken for another, as likely every pair that leaves "
        "the redshift within the survey's (below 0.4 mostly H-beta and [O III], 0.03); otherwise "
        "uniform, at least 0.01 (1 + z) away",
        "assumed",
    ),
    Kind(
        "double_peaked",
        "Emission lines in two peaks, as of two nuclei or a rotating disc. Quiescent galaxies get "
        "the lines of a Seyfert nucleus, which count as part of the anomaly",
        "Separation of the peaks",
        "km/s",
        "log-uniform from 200 (hardly resolved by SDSS) to 800; the weaker peak has 30 to 50% of "
        "the flux",
        "range of Wang et al. (2009) and Liu et al. (2010), rounded",
    ),
    Kind(
        "irregular_lines",
        "Emission lines with a broad second component, mostly blueshifted, as of an outflow. "
        "Quiescent galaxies get the lines of a Seyfert nucleus",
        "Share of the lines' flux in the broad component",
        "",
        "uniform from 0.15 to 0.85; its velocity is uniform from -600 to 100 km/s, its dispersion "
        "log-uniform from 250 to 900 km/s",
        "range of Mullaney et al. (2013), rounded",
    ),
    Kind(
        "type1_agn",
        "The power law and broad lines of an active nucleus, without narrow lines, in a galaxy",
        "Flux of the nucleus over that of the galaxy in r",
        "",
        "log-uniform from 0.1 to 3: a third below 0.3, a third above the galaxy",
        "assumed",
    ),
    Kind(
        "bal_quasar",
        "A quasar with broad absorption by C IV in the spectrograph's range, with the class, "
        "redshift and r magnitude in the fibre of a galaxy",
        _DISSIMILAR,
        "",
        "follows from the quasar and the galaxy: mostly 0.1 to 0.3",
        "see the population of quasars",
    ),
    Kind(
        "quasar",
        "A quasar without broad absorption at redshift 0.3 to 4 with the class, redshift and r "
        "magnitude in the fibre of a galaxy",
        _DISSIMILAR,
        "",
        "follows from the quasar and the galaxy: mostly 0.15 to 0.35",
        "see the population of quasars",
    ),
    Kind(
        "sky_failure",
        "Sky lines that are subtracted too little or too much, at wavelengths wrong by up to 0.1 "
        "pixel, and up to half the same fraction of the sky's continuum",
        "Fraction of the sky lines that is left; negative if too much is subtracted",
        "",
        "log-uniform from 0.03 (a few times the usual residual of SDSS) to 0.5, either sign",
        "sizes assumed; lines of the instrument's noise table",
    ),
    Kind(
        "spike",
        "One to four cosmic rays of one pixel or two that were not masked; in a fourth of the "
        "cases a ghost, a single bump of 15 to 40 pixels' standard deviation, a fifth as high",
        "Height of the highest peak over the noise of an empty fibre there",
        "",
        "log-uniform from 8 to 200 (ghosts from 1.6 to 40)",
        "assumed",
    ),
    Kind(
        "arm_jump",
        "The arm redward of a dichroic is calibrated to another level than the one blueward of it",
        "Fraction by which the redder arm is too bright",
        "",
        "log-uniform from 0.05 to 0.5, either sign",
        "sizes assumed; arms of Smee et al. (2013) and DESI Collaboration (2022)",
    ),
    Kind(
        "scattered_light",
        "Stray light: a smooth hump, a Gaussian of 20 to 60% of half the spectrum's length in "
        "standard deviation, anywhere",
        "Height of the hump over the median flux",
        "",
        "log-uniform from 0.1 to 1",
        "assumed",
    ),
)
"""Every kind; those further up take precedence where streams of random numbers agree."""

NONE = "none"
"""What the truth table calls an object that is no contaminant."""

CHANCES = 16
"""Uniform random numbers per object and kind."""

CONFUSED_LINES = {
    "[O II] 3728": 3728.5,
    "H-beta": 4862.7,
    "[O III] 5008": 5008.2,
    "H-alpha": 6564.6,
}
"""Vacuum wavelengths in Angstrom of lines that are taken for each other."""

# Smallest differences of redshift over 1 + z.
_APART, _WRONG = 0.005, 0.01


def chances(kind: str, seed: int, block: int) -> np.ndarray:
    """Uniform random numbers of a block's objects for a kind, shape (CHANCES, BLOCK_SIZE)."""

    return generator(seed, block, f"contaminant {kind}").uniform(size=(CHANCES, BLOCK_SIZE))


def contaminated(rates: Mapping[str, float], seed: int, block: int) -> np.ndarray:
    """The kind of every object of a block, `NONE` for most, shape (BLOCK_SIZE,).

    An object that a rate strikes is struck at every higher rate of the same kind as well, unless a
    kind further up in `KINDS` takes it.

    Args:
        rates: Fraction of objects by kind; kinds that are not named do not occur.
        seed: Of the survey.
        block: Number of the block.

    Raises:
        UserError: A rate names no kind, is no fraction, or their sum is above one.
    """

    names = [kind.name for kind in KINDS]
    if unknown := set(rates) - set(names):
        raise UserError(
            f"universe: contaminants: there is no kind {sorted(unknown)[0]!r}; "
            f"known are {', '.join(names)}."
        )
    if any(not 0 <= rate <= 1 for rate in rates.values()) or sum(rates.values()) > 1 + 1e-9:
        raise UserError(
            "universe: contaminants: rates must lie between 0 and 1, and so must their sum."
        )
    kinds = np.full(BLOCK_SIZE, NONE, object)
    left = 1.0
    for name in names:
        rate = rates.get(name, 0.0)
        if rate > 0:
            # Of those that are left, so that the fraction of all is the rate.
            struck = generator(seed, block, f"strike {name}").uniform(size=BLOCK_SIZE)
            kinds[(kinds == NONE) & (struck < rate / left)] = name
            left = max(left - rate, 1e-12)
    return kinds


def log_uniform(chance: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers from `low` to `high`, uniform in their logarithm, from uniform ones."""

    return low * (high / low) ** chance


def companions(z: np.ndarray, candidates: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The first candidate for each galaxy that is at another redshift, shape (N,).

    Args:
        z: Redshifts of the galaxies, shape (N,).
        candidates: Redshifts of the candidates, shape (M,).
        first: Which candidate to try first, shape (N,); the others follow in turn.
    """

    order = (first[:, None] + np.arange(len(candidates))) % len(candidates)
    apart = np.abs(candidates[order] - z[:, None]) > _APART * (1 + z[:, None])
    return order[np.arange(len(z)), apart.argmax(1)]


def double_peaked(
    galaxies: Mapping[str, np.ndarray], chance: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters of `GalaxyModel.luminosity` that change, and the separation of peaks in km/s.

    The weaker peak is on either side; the lines' mean velocity stays zero. Each peak is narrow
    enough to be told from the other, at most 0.35 of the separation in standard deviation.

    Args:
        galaxies: Parameters by name, each of shape (N,).
        chance: Uniform random numbers, shape (CHANCES, N).
    """

    separation = log_uniform(chance[0], 200.0, 800.0)
    weaker = 0.3 + 0.2 * chance[1]
    share = np.where(chance[2] < 0.5, weaker, 1 - weaker)
    dispersion = np.minimum(galaxies["gas_dispersion"], 0.35 * separation)
    return {
        "gas_dispersion": dispersion,
        "first_velocity": -share * separation,
        "second_share": share,
        "second_velocity": (1 - share) * separation,
        "second_dispersion": dispersion,
        **_seyfert(galaxies, chance[3], chance[4]),
    }, separation


def irregular_lines(
    galaxies: Mapping[str, np.ndarray], chance: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parameters of `GalaxyModel.luminosity` that change, and the broad component's share.

    Args:
        galaxies: Parameters by name, each of shape (N,).
        chance: Uniform random numbers, shape (CHANCES, N).
    """

    share = 0.15 + 0.7 * chance[0]
    return {
        "first_velocity": np.zeros_like(share),
        "second_share": share,
        "second_velocity": -600 + 700 * chance[1],
        "second_dispersion": log_uniform(chance[2], 250.0, 900.0),
        **_seyfert(galaxies, chance[3], chance[4]),
    }, share


def wrong_redshift(z: np.ndarray, z_min: float, z_max: float, chance: np.ndarray) -> np.ndarray:
    """Redshifts that a catalogue gives by mistake, shape (N,).

    Args:
        z: True redshifts, shape (N,).
        z_min: Smallest redshift of the catalogue.
        z_max: Largest redshift of the catalogue.
        chance: Uniform random numbers, shape (CHANCES, N).
    """

    apart = _WRONG * (1 + z)
    below = np.maximum(z - apart - z_min, 0)
    above = np.maximum(z_max - z - apart, 0)
    place = chance[0] * (below + above)
    anywhere = np.where(place < below, z_min + place, z + apart + place - below)

    lines = np.array(list(CONFUSED_LINES.values()))
    ratios = (lines[:, None] / lines)[~np.eye(len(lines), dtype=bool)]
    confused = (1 + z[:, None]) * ratios - 1
    possible = (confused > z_min) & (confused < z_max)
    # One of the possible confusions, each as likely.
    wanted = np.floor(chance[1] * possible.sum(1))
    chosen = (np.cumsum(possible, axis=1) > wanted[:, None]).argmax(1)
    confused = confused[np.arange(len(z)), chosen]
    return np.where((chance[2] < 0.6) & possible.any(1), confused, anywhere)


def _seyfert(
    galaxies: Mapping[str, np.ndarray], brightness: np.ndarray, ionisation: np.ndarray
) -> dict[str, np.ndarray]:
    """An active nucleus for galaxies without gas to speak of.

    Its [O III] has some 5 to 50 Angstrom of equivalent width (assumed).
    """

    luminosity = galaxies["stellar_mass"] - 3.9 + brightness
    quiescent = np.asarray(galaxies["quiescent"], bool)
    brighter = quiescent & (luminosity > galaxies["agn_luminosity"])
    return {
        "agn_luminosity": np.where(brighter, luminosity, galaxies["agn_luminosity"]),
        "agn_ionisation": np.where(brighter, 0.5 + 0.5 * ionisation, galaxies["agn_ionisation"]),
    }

"""Active galactic nuclei seen from the side: the narrow lines of the gas that they ionise."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uraniborg.universe.parameters import Parameter

__all__ = ["AGN_PARAMETERS", "BOLOMETRIC_CORRECTION", "NarrowLines", "draw_agn"]

BOLOMETRIC_CORRECTION = 3500.0
"""Bolometric luminosity over that of [O III] 5007 before dust (Heckman et al. 2004)."""

AGN_PARAMETERS = (
    Parameter(
        "agn_luminosity",
        "",
        "log10 of the AGN's luminosity in [O III] 5007 before dust in L_sun, -inf without AGN",
        "in a fraction 0.45 / (1 + 10^(-2.5 (log M - 10.75))) of galaxies; log-normal Eddington "
        "ratio about 10^-2 (star-forming) or 10^-3.7 (quiescent), 0.6 dex; black holes of 0.05% "
        "or 0.2% of the stellar mass, 0.4 dex",
        "rise with mass after Kauffmann et al. (2003); bolometric correction of Heckman et al. "
        "(2004); black holes after Reines & Volonteri (2015) and Haering & Rix (2004), rounded; "
        "other numbers assumed",
    ),
    Parameter(
        "agn_ionisation",
        "",
        "Place of the AGN's lines between LINER (0) and Seyfert (1)",
        "1 / (1 + 10^(-1.5 (log Eddington ratio + 3))), scatter 0.15",
        "Kewley et al. (2006): the Eddington ratio sets the class; numbers assumed",
    ),
)
"""What a galaxy's AGN adds to its parameters."""

# log10 of line ratios of a LINER and of a Seyfert nucleus: to H-beta for [O III] 5007, [O II] (sum
# of the doublet), [Ne III] and He II, to H-alpha for [N II] 6583, [S II] (sum) and [O I] 6300.
# Assumed, chosen to lie on the observed branches of Kewley et al. (2006).
_RATIOS = {
    "O 3": (0.35, 1.00),
    "O 2": (0.70, 0.50),
    "Ne 3": (-0.10, 0.00),
    "He 2": (-1.10, -0.60),
    "N 2": (0.15, 0.05),
    "S 2": (0.10, -0.25),
    "O 1": (-0.60, -0.85),
}
_H_ALPHA = 3.1
# Lines by their names in CLOUDY: which ratio they belong to and their share in it. Doublets from
# one upper level have ratios fixed by atomic physics; [S II] and [O II] at 400 electrons/cm3.
_SHARES = {
    "O 3 5006.84A": ("O 3", 1.0),
    "O 3 4958.91A": ("O 3", 1 / 2.98),
    "O 2 3726.03A": ("O 2", 0.53),
    "O 2 3728.81A": ("O 2", 0.47),
    "Ne 3 3868.76A": ("Ne 3", 1.0),
    "Ne 3 3967.47A": ("Ne 3", 0.30),
    "He 2 4685.68A": ("He 2", 1.0),
    "N 2 6583.45A": ("N 2", _H_ALPHA),
    "N 2 6548.05A": ("N 2", _H_ALPHA / 3.0),
    "S 2 6716.44A": ("S 2", _H_ALPHA * 0.51),
    "S 2 6730.82A": ("S 2", _H_ALPHA * 0.49),
    "O 1 6300.30A": ("O 1", _H_ALPHA),
    "O 1 6363.78A": ("O 1", _H_ALPHA / 3.1),
}
# H-alpha over H-beta in narrow-line regions (Halpern & Steiner 1983); others case B at 10,000 K
# (Osterbrock & Ferland 2006).
_BALMER = {
    "H 1 6562.80A": _H_ALPHA,
    "H 1 4861.32A": 1.0,
    "H 1 4340.46A": 0.468,
    "H 1 4101.73A": 0.259,
    "H 1 3970.07A": 0.159,
    "H 1 3889.05A": 0.105,
}
# Metallicity of the gas, log10 Z/Z_sun, to which the ratios above belong.
_METALLICITY = 0.25


class NarrowLines:
    """Lines of a narrow-line region, a sequence from LINERs to Seyfert nuclei.

    log10 of every ratio is linear along the sequence. [N II] follows the metallicity of the gas
    squared relative to the other metals' weak dependence (secondary nitrogen; Groves et al. 2006
    use it to find metal-poor AGN), by at most 0.5 dex.

    Args:
        names: The L lines as `NebularEmission.names` has them; those of which nothing is known
            here get no light.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def luminosities(
        self, agn_luminosity: Tensor, agn_ionisation: Tensor, log_metallicity: Tensor
    ) -> Tensor:
        """Luminosities of the lines before dust in L_sun, shape (N, L).

        Args:
            agn_luminosity: log10 of L([O III] 5007) in L_sun, -inf without AGN, shape (N,).
            agn_ionisation: Between LINER (0) and Seyfert (1), shape (N,).
            log_metallicity: log10 of the gas' metallicity over Z_sun, shape (N,).
        """

        ratios = {
            name: 10 ** (liner + (seyfert - liner) * agn_ionisation)
            for name, (liner, seyfert) in _RATIOS.items()
        }
        ratios["N 2"] = ratios["N 2"] * 10 ** (log_metallicity - _METALLICITY).clamp(-0.5, 0.1)
        none, one = torch.zeros_like(agn_luminosity), torch.ones_like(agn_luminosity)
        columns = []
        for name in self.names:
            if name in _SHARES:
                ratio, share = _SHARES[name]
                columns.append(ratios[ratio] * share)
            else:
                columns.append(one * _BALMER[name] if name in _BALMER else none)
        h_beta = 10**agn_luminosity / ratios["O 3"]
        return h_beta[:, None] * torch.stack(columns, dim=1)


def draw_agn(
    stellar_mass: np.ndarray, quiescent: np.ndarray, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random AGN of galaxies by the names of `AGN_PARAMETERS`, each of shape (N,).

    Args:
        stellar_mass: log10 of stellar mass in M_sun, shape (N,).
        quiescent: Whether the galaxy has ceased to form stars, shape (N,).
        random: Takes one uniform and three normal numbers per galaxy.
    """

    count = len(stellar_mass)
    uniform, normal = random.uniform(size=count), random.standard_normal((3, count))
    active = uniform < 0.45 / (1 + 10 ** (-2.5 * (stellar_mass - 10.75)))
    eddington = np.where(quiescent, -3.7, -2.0) + 0.6 * normal[0]
    black_hole = stellar_mass + np.log10(np.where(quiescent, 2e-3, 5e-4)) + 0.4 * normal[1]
    # The Eddington luminosity is 3.3e4 L_sun per M_sun.
    luminosity = eddington + black_hole + np.log10(3.3e4 / BOLOMETRIC_CORRECTION)
    ionisation = 1 / (1 + 10 ** (-1.5 * (eddington + 3))) + 0.15 * normal[2]
    return {
        "agn_luminosity": np.where(active, luminosity, -np.inf),
        "agn_ionisation": np.clip(ionisation, 0, 1),
    }

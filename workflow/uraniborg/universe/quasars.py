"""Quasars' spectra, with and without broad absorption lines, and the nuclei of type-1 galaxies.

A power law with a break (Vanden Berk et al. 2001, AJ 122, 549), steepening in the far ultraviolet
(Lusso et al. 2015, MNRAS 449, 4204), and dust at three temperatures, of which the hottest is that
of Glikman et al. (2006, ApJ 640, 579); lines and blends of `quasar_lines`, whose strengths, widths
and shifts vary; broad absorption troughs; reddening as in the Small Magellanic Cloud (Gordon et al.
2003); and hydrogen between the galaxies (`igm`). Starlight of the host is left out but for what the
red slope of composites of faint quasars holds.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from astropy import units
from dust_extinction.averages import G03_SMCBar
from torch import Tensor
from torch.nn.functional import softplus

from uraniborg.grids import WavelengthGrid
from uraniborg.tables import read_metadata, read_table
from uraniborg.universe.cosmology import L_SUN, observed_flux
from uraniborg.universe.igm import forest_transmission
from uraniborg.universe.quasar_lines import BREAK, CORE, FAMILIES, power_law, profile

__all__ = ["BROAD_ABSORPTION", "QuasarModel", "smc_curve"]

_C = 299792.458
_PIVOT = 5100.0
# Nodes of line width (FWHM) and of the shift of high-ionisation lines in km/s.
_WIDTHS = np.array([1500.0, 2100.0, 3000.0, 4300.0, 6100.0, 8700.0, 12500.0])
_SHIFTS = np.array([-1000.0, 0.0, 1000.0, 2000.0, 3500.0])
_HIGH_IONISATION = ("Lya", "OVI", "SiIV", "CIV")
_NARROW = "narrow"
# Which parameter says how strong a family of lines is.
_STRENGTH = {
    "Lya": "strength_lya", "OVI": "strength_lya", "SiIV": "strength_civ", "CIV": "strength_civ",
    "CIII": "strength_mgii", "MgII": "strength_mgii", "Balmer": "strength_balmer",
    "other": "strength_balmer", "Balmer_continuum": "strength_balmer",
    "FeII_uv": "strength_iron", "FeII_optical": "strength_iron", "narrow": "strength_narrow",
}  # fmt: skip
# Dust: temperature in K, and the peak of its wavelength x luminosity over that of the power law at
# 5100 A. The hottest varies (`hot_dust`); the others keep the mean distribution of Richards et al.
# (2006, ApJS 166, 470) flat to 20 um (assumed).
_DUST = ((1260.0, 1.0), (420.0, 0.75), (150.0, 0.60))
_FAR_ULTRAVIOLET, _FAR_SLOPE = 1000.0, -0.3
_NEAR_INFRARED, _INFRARED_SLOPE = 10000.0, -1.9

BROAD_ABSORPTION = {
    1: {"C IV": (1549.06, 1.0), "Si IV": (1396.76, 0.6), "N V": (1240.1, 0.9),
        "Lya": (1215.67, 0.5), "O VI": (1033.8, 0.9)},
    2: {"Mg II": (2798.75, 0.6), "Al III": (1857.0, 0.7), "Al II": (1670.8, 0.3)},
    3: {"Fe II 2600": (2600.2, 0.5), "Fe II 2383": (2382.8, 0.5), "Fe II 2750": (2750.0, 0.4),
        "Fe II 1608": (1608.5, 0.3)},
}  # fmt: skip
"""Vacuum wavelength in Angstrom, and depth over that of C IV, of the troughs that quasars of kind
1 (high ionisation), 2 (also low) and 3 (also iron) add to those of the kind before; assumed."""


class QuasarModel:
    """Quasars on a rest-frame grid.

    The memory needed is about eight float32 arrays of N x M.

    Args:
        path: The file of the rule `quasar_lines`.
        grid: Rest-frame grid, log10, vacuum, from 500 A on.

    Raises:
        UserError: The file is missing or damaged.
        ValueError: The grid is not log10.

    Example:
        >>> model = QuasarModel("resources/quasar_lines.parquet", grid)
        >>> flux = model.flux(QuasarPopulation().sample(0, 100, seed=1))  # (100, grid.size)
    """

    def __init__(self, path: str | Path, grid: WavelengthGrid) -> None:
        if grid.kind != "log10":
            raise ValueError("velocities are constant shifts on a log10 grid only")
        self.grid = grid
        table, metadata = read_table(path), read_metadata(path)
        slopes = float(metadata["blue_slope"]), float(metadata["red_slope"])
        wavelength = grid.wavelength
        reference = power_law(wavelength, *slopes)
        families: dict[str, dict[tuple[int, int], np.ndarray]] = {name: {} for name in FAMILIES}
        for family, profiles in families.items():
            rows = [row for _, row in table[table["family"] == family].iterrows()]
            shifts = _SHIFTS if family in _HIGH_IONISATION else np.zeros(1)
            widths = np.array([CORE]) if family == _NARROW else _WIDTHS
            for i, width in enumerate(widths):
                for j, shift in enumerate(shifts):
                    profiles[i, j] = sum(
                        profile(wavelength, row, width / CORE, -shift)
                        * row["equivalent_width"]
                        * power_law(row["wavelength"], *slopes)
                        for row in rows
                    ) / reference  # fmt: skip
        self._families = [name for name, profiles in families.items() if np.ndim(profiles[0, 0])]
        stacked = [profile for name in self._families for profile in families[name].values()]
        self._lines = torch.as_tensor(np.stack(stacked), dtype=torch.float32)
        self._log_x = torch.as_tensor(np.log(wavelength / BREAK), dtype=torch.float32)
        self._dust = torch.as_tensor(_dust_shapes(wavelength), dtype=torch.float32)
        self._reddening = torch.as_tensor(smc_curve(wavelength), dtype=torch.float32)

    def luminosity(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Luminosity density in L_sun/Angstrom, shape (N, grid.size), before the IGM.

        Also the light of the nucleus of a type-1 galaxy; with `strength_narrow` at -inf it has
        broad lines only.

        Args:
            parameters: By name, see `quasar_population.PARAMETERS`: all but `z` and `forest`.
        """

        p = {name: np.asarray(values, np.float64) for name, values in parameters.items()}
        continuum = self._continuum(_column(p["slope"]), _column(p["red_slope"]))
        dust = torch.as_tensor(_dust_weights(p["hot_dust"])).float() @ self._dust
        luminosity = continuum * (1 + self._line_weights(p) @ self._lines) + dust
        log_scale = torch.as_tensor(10 ** (p["log_luminosity"] - np.log10(_PIVOT * L_SUN))).float()
        transmission = -0.4 * np.log(10) * _column(p["reddening"]) * self._reddening
        luminosity = luminosity * log_scale[:, None] * torch.exp(transmission)
        return self._absorb(luminosity, p)

    def flux(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Flux density in 1e-17 erg/s/cm2/Angstrom, shape (N, grid.size).

        Per observed Angstrom, at the grid's wavelengths times 1 + z.

        Args:
            parameters: As for `luminosity`, and `z` and `forest`.
        """

        z = torch.as_tensor(np.array(parameters["z"]), dtype=torch.float64)
        flux = observed_flux(self.luminosity(parameters), z)
        seeds = np.asarray(parameters["forest"]).astype(np.int64)
        below = int(np.searchsorted(self.grid.wavelength, 1216.0))
        if below > 1:
            start = self.grid.start
            part = WavelengthGrid("log10", start, self.grid.step, below)
            flux[:, :below] *= forest_transmission(part, z, seeds)
        return flux

    def _continuum(self, blue: Tensor, red: Tensor) -> Tensor:
        """The power law over its value at 5100 A, shape (N, M)."""

        red = torch.maximum(red, blue)
        at = np.log(_PIVOT / BREAK)

        def law(x: Tensor) -> Tensor:
            bent = torch.logaddexp(8 * blue * x, 8 * red * x) / 8
            x_far, x_near = (np.log(w / BREAK) for w in (_FAR_ULTRAVIOLET, _NEAR_INFRARED))
            far = softplus(8 * (x_far - x)) / 8 * (blue - _FAR_SLOPE)
            near = softplus(8 * (x - x_near)) / 8 * (_INFRARED_SLOPE - red)
            return bent + far + near

        return torch.exp(law(self._log_x) - law(torch.tensor([at], dtype=torch.float32)))

    def _line_weights(self, p: Mapping[str, np.ndarray]) -> Tensor:
        """Weights of the rows of lines, shape (N, rows)."""

        width = _hats(np.log(p["fwhm"]), np.log(_WIDTHS))
        shift = _hats(p["blueshift"], _SHIFTS)
        blocks = []
        for family in self._families:
            strength = (10 ** p[_STRENGTH[family]])[:, None]
            if family == _NARROW:
                blocks.append(strength)
            elif family in _HIGH_IONISATION:
                both = width[:, :, None] * shift[:, None]
                blocks.append(strength * both.reshape(len(width), -1))
            else:
                blocks.append(strength * width)
        return torch.as_tensor(np.concatenate(blocks, axis=1)).float()

    def _absorb(self, luminosity: Tensor, p: Mapping[str, np.ndarray]) -> Tensor:
        """Multiplies broad absorption troughs into the spectra that have some."""

        wavelength = torch.as_tensor(self.grid.wavelength).float()
        for kind, ions in BROAD_ABSORPTION.items():
            (rows,) = np.nonzero(p["bal"] >= kind)
            if not len(rows):
                continue
            slow, fast, depth, shape = (
                _column(p[name][rows])
                for name in ("bal_v_min", "bal_v_max", "bal_depth", "bal_shape")
            )
            # Low ions absorb in the slow part of the outflow.
            fast = slow + (fast - slow) * (1.0, 0.6, 0.4)[kind - 1]
            for centre, relative in ions.values():
                inside = (wavelength < centre) & (wavelength > 0.8 * centre)
                if not inside.any():
                    continue
                velocity = _C * (1 - wavelength[inside] / centre)
                trough = _trough(velocity, slow, fast, shape) * depth * relative
                pixels = torch.nonzero(inside).flatten()
                block = slice(int(pixels[0]), int(pixels[-1]) + 1)
                luminosity[rows, block] *= 1 - trough.clamp(0, 0.98)
        return luminosity


def smc_curve(wavelength: np.ndarray) -> np.ndarray:
    """A(lambda) / E(B - V) of the bar of the Small Magellanic Cloud (Gordon et al. 2003), R_V 2.74.

    Beyond 1000 A and 3.3 um it continues as the powers -1.2 and -1.8 of the wavelength (assumed).

    Args:
        wavelength: Vacuum wavelengths in Angstrom.
    """

    inside = np.clip(wavelength, 1000.0, 33000.0)
    curve = 2.74 * G03_SMCBar()(inside / 1e4 * units.um)
    power = np.where(wavelength < 1000.0, -1.2, -1.8)
    return curve * (wavelength / inside) ** power


def _trough(velocity: Tensor, slow: Tensor, fast: Tensor, shape: Tensor) -> Tensor:
    """Depth between 0 and 1 at outflow velocities (M,): smooth edges, and structure of its own."""

    edge = 400.0
    window = torch.sigmoid((velocity - slow) / edge) * torch.sigmoid((fast - velocity) / edge)
    x = (velocity - slow) / (fast - slow)
    phase = 2 * np.pi * shape
    waves = torch.sin(2 * np.pi * (1.3 + 1.2 * shape) * x + 7 * phase)
    waves = waves + 0.6 * torch.sin(2 * np.pi * (3.1 + 1.7 * shape) * x + 17 * phase)
    return window * (0.78 + 0.22 * waves.clamp(-1.5, 1.0))


def _dust_shapes(wavelength: np.ndarray) -> np.ndarray:
    """Blackbodies per wavelength whose wavelength x density peaks at 5100, shape (3, M)."""

    shapes = []
    for temperature, share in _DUST:
        x = 1.438777e8 / (wavelength * temperature)
        # lambda B_lambda peaks at x = 3.92069.
        planck = x**4 / np.expm1(np.minimum(x, 500)) / (3.92069**4 / np.expm1(3.92069))
        shapes.append(share * planck * _PIVOT / wavelength)
    return np.stack(shapes)


def _dust_weights(hot_dust: np.ndarray) -> np.ndarray:
    ones = np.ones_like(hot_dust)
    return np.stack([hot_dust, ones, ones], axis=1)


def _column(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.array(values)).float()[:, None]


def _hats(x: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Weights of linear interpolation, shape (N, len(nodes)); ends continue."""

    return np.stack([np.interp(x, nodes, row) for row in np.eye(len(nodes))], axis=1)

"""Stars' spectra from their temperature, gravity and metallicity, 900 A to 30 um.

Between 3100 and 10300 A they follow observed spectra (`star_basis`), at a resolution of about 1.2 A
(M dwarfs: that of SDSS). Two simple continuations serve photometry beyond: to the ultraviolet a
blackbody with line blanketing, to the infrared a smooth curve through the colours of dwarfs and
giants in 2MASS and WISE. Stars of gravity above 10^6 are white dwarfs (`white_dwarfs`).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from astropy import units
from dust_extinction.parameter_averages import G23
from scipy.interpolate import CubicSpline
from torch import Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.universe.photometry import read_filter
from uraniborg.universe.star_basis import StarBasis, dwarf_gravity, predictors
from uraniborg.universe.white_dwarfs import WAVELENGTHS, white_dwarf_weights

__all__ = ["StarModel", "extinction_curve"]

_DEGENERATE = 6.0
# AB zero point, 3631 Jy, in 1e-17 erg/s/cm2/Hz, and the speed of light in Angstrom/s.
_AB_ZERO, _C = 3.631e-3, 2.99792458e18

# Anchors in the ultraviolet, and in the infrared: isophotal wavelengths of J, H and Ks (Cohen et
# al. 2003, AJ 126, 1090) and W1 to W4 (Wright et al. 2010, AJ 140, 1868), with AB minus Vega
# magnitudes (2MASS: Blanton & Roweis 2007; WISE: Jarrett et al. 2011).
_ULTRAVIOLET = np.array([800.0, 911.0, 912.0, 1250.0, 1530.0, 1900.0, 2310.0, 2800.0])
_INFRARED = np.array([12350.0, 16620.0, 21590.0, 33526.0, 46028.0, 115608.0, 220883.0])
_AB_OFFSET = np.array([0.91, 1.39, 1.85, 2.699, 3.339, 5.174, 6.620])
# Means over this width in Angstrom stand for the ends of the basis.
_END = 150.0
# Colours by temperature: z (AB) - J, J - H, H - Ks, Ks - W1, W1 - W2, W2 - W3, W3 - W4 (Vega).
# Dwarfs: J to W2 rounded from Pecaut & Mamajek (2013); z - J from the catalogue of LAMOST below
# 8500 K, after West et al. (2011) for M dwarfs; the rest assumed. Giants: after Bessell & Brett
# (1988, PASP 100, 1134).
_DWARFS = np.array([
    (2300, 2.50, 0.80, 0.55, 0.35, 0.28, 0.50, 0.3),
    (2800, 1.90, 0.60, 0.36, 0.21, 0.21, 0.25, 0.2),
    (3200, 1.58, 0.57, 0.27, 0.16, 0.17, 0.15, 0.1),
    (3430, 1.44, 0.60, 0.23, 0.14, 0.12, 0.10, 0.1),
    (3650, 1.33, 0.64, 0.20, 0.12, 0.06, 0.08, 0.0),
    (3850, 1.22, 0.66, 0.17, 0.10, 0.00, 0.07, 0.0),
    (4400, 1.08, 0.60, 0.12, 0.06, -0.05, 0.06, 0.0),
    (4800, 1.00, 0.51, 0.10, 0.05, -0.05, 0.05, 0.0),
    (5300, 0.91, 0.41, 0.08, 0.04, -0.04, 0.05, 0.0),
    (5800, 0.84, 0.32, 0.07, 0.04, -0.03, 0.04, 0.0),
    (6500, 0.78, 0.23, 0.05, 0.03, -0.02, 0.03, 0.0),
    (7200, 0.70, 0.13, 0.04, 0.02, -0.02, 0.02, 0.0),
    (8500, 0.61, 0.05, 0.02, 0.01, -0.01, 0.01, 0.0),
    (9700, 0.54, 0.00, 0.01, 0.00, 0.00, 0.00, 0.0),
    (15000, 0.46, -0.09, -0.03, -0.03, -0.02, -0.02, 0.0),
    (35000, 0.38, -0.16, -0.07, -0.06, -0.04, -0.03, 0.0),
])  # fmt: skip
_GIANTS = _DWARFS.copy()
_GIANTS[1:9, 2:4] = [(0.98, 0.40), (0.95, 0.31), (0.93, 0.27), (0.90, 0.23), (0.83, 0.19),
                     (0.65, 0.12), (0.54, 0.10), (0.45, 0.08)]  # fmt: skip


class StarModel:
    """Stars on a rest-frame grid.

    Magnitudes in r are exact for stars at rest (a velocity of 300 km/s changes them by less than
    2 mmag). The memory needed is two float32 arrays of N x M.

    Args:
        path: The file of the rule `star_basis`.
        grid: Rest-frame grid, log10, vacuum, within 900 A to 30 um.

    Raises:
        UserError: The file is missing or damaged.
        ValueError: The grid is not log10.

    Example:
        >>> model = StarModel("resources/star_basis.safetensors", grid)
        >>> flux = model.flux(StarPopulation().sample(0, 100, seed=1))  # (100, grid.size)
    """

    def __init__(self, path: str | Path, grid: WavelengthGrid) -> None:
        if grid.kind != "log10":
            raise ValueError("velocities are constant shifts on a log10 grid only")
        self.grid = grid
        self._basis = StarBasis.load(path)
        red = read_filter("sdss_r0")
        band = np.geomspace(red.wavelength[0], red.wavelength[-1], 600)
        transmission = np.interp(band, *red)
        # f_lambda of magnitude zero averaged over the band as photons are; d lambda = lambda d ln.
        zero = _AB_ZERO * _C * transmission.sum() / (transmission * band**2).sum()
        response = transmission * band**2 / (transmission * band**2).sum() / zero
        self._response = torch.as_tensor(response, dtype=torch.float32)
        self._size = grid.size
        wavelength = np.concatenate([grid.wavelength, band])
        self._stars = torch.as_tensor(self._continued(wavelength), dtype=torch.float32)
        self._white_dwarfs = torch.as_tensor(self._degenerate(wavelength), dtype=torch.float32)
        self._curve = torch.as_tensor(extinction_curve(wavelength), dtype=torch.float32)
        self._infrared = self._infrared_ratios()

    def flux(self, parameters: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Flux density in 1e-17 erg/s/cm2/Angstrom, shape (N, grid.size).

        Args:
            parameters: By name, see `star_population.PARAMETERS`: `temperature`, `log_g`,
                `metallicity`, `A_V` and `r_magnitude`, the latter after extinction by A_V.
        """

        p = {name: np.asarray(values, np.float64) for name, values in parameters.items()}
        degenerate = p["log_g"] > _DEGENERATE
        log_flux = torch.empty(len(degenerate), self._stars.shape[1])
        for chosen, states, matrix in (
            (~degenerate, self._star_states, self._stars),
            (degenerate, self._white_dwarf_states, self._white_dwarfs),
        ):
            if chosen.any():
                state = states(*(p[k][chosen] for k in ("temperature", "log_g", "metallicity")))
                log_flux[torch.as_tensor(chosen)] = torch.as_tensor(state).float() @ matrix
        dust = torch.as_tensor(-0.4 * np.log(10) * p["A_V"]).float()
        flux = torch.exp(torch.addr(log_flux, dust, self._curve, out=log_flux), out=log_flux)
        magnitude = torch.as_tensor(10 ** (-0.4 * p["r_magnitude"])).float()
        scale = magnitude / (flux[:, self._size :] @ self._response)
        return flux[:, : self._size].mul_(scale[:, None])

    def _star_states(
        self, temperature: np.ndarray, log_g: np.ndarray, metallicity: np.ndarray
    ) -> np.ndarray:
        """Coefficients of the basis, and log flux at the anchors: the rows of `_continued`."""

        scores = predictors(temperature, log_g, metallicity) @ self._basis.coefficients
        blue, red = (scores @ end for end in self._ends())
        ratio = _ultraviolet_ratios(temperature, metallicity)
        gianthood = np.clip((dwarf_gravity(temperature) - log_g) / 2.5, 0, 1)[:, None]
        dwarfs, giants = (_interpolate(temperature, table) for table in self._infrared)
        infrared = dwarfs + gianthood * (giants - dwarfs)
        return np.concatenate([scores, blue[:, None] + ratio, red[:, None] + infrared], axis=1)

    def _white_dwarf_states(
        self, temperature: np.ndarray, log_g: np.ndarray, metallicity: np.ndarray
    ) -> np.ndarray:
        return white_dwarf_weights(temperature, log_g)

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Means of the basis over its blue and red end, each of shape (K,)."""

        wavelength, basis = self._basis.grid.wavelength, self._basis.basis
        blue = wavelength < wavelength[0] + _END
        red = wavelength > wavelength[-1] - _END
        return basis[:, blue].mean(1), basis[:, red].mean(1)

    def _continued(self, wavelength: np.ndarray) -> np.ndarray:
        """The matrix that turns states into log flux, shape (K + anchors, M)."""

        grid, basis = self._basis.grid.wavelength, self._basis.basis
        x = np.log(wavelength)
        rows = [np.interp(x, np.log(grid), row, left=0, right=0) for row in basis]
        low, high = wavelength < grid[0], wavelength > grid[-1]
        blue, red = self._ends()
        nodes = np.log(np.append(_ULTRAVIOLET, grid[0] + _END / 2))
        bluer = np.stack([np.interp(x, nodes, row) * low for row in np.eye(len(nodes))])
        nodes = np.log(np.insert(_INFRARED, 0, grid[-1] - _END / 2))
        redder = CubicSpline(nodes, np.eye(len(nodes)), bc_type="natural")(x).T * high
        rows = np.stack(rows) + blue[:, None] * bluer[-1] + red[:, None] * redder[0]
        return np.concatenate([rows, bluer[:-1], redder[1:]])

    def _degenerate(self, wavelength: np.ndarray) -> np.ndarray:
        """log flux of the nodes of white dwarfs, shape (26, M)."""

        table = self._basis.white_dwarfs
        table = table.reshape(-1, table.shape[-1])
        x, nodes = np.log(wavelength), np.log(WAVELENGTHS)
        return np.stack([np.interp(x, nodes, row) for row in table])

    def _infrared_ratios(self) -> tuple[np.ndarray, np.ndarray]:
        """Tables of temperature and log flux at the anchors over that at the basis' red end."""

        wavelength = self._basis.grid.wavelength
        band = read_filter("sdss_z0")
        weight = np.interp(wavelength, *band, left=0, right=0) * wavelength**2
        tables = []
        for colours in (_DWARFS, _GIANTS):
            temperature = colours[:, 0]
            log_g = dwarf_gravity(temperature) - (0 if colours is _DWARFS else 2.5)
            state = predictors(temperature, log_g, np.zeros_like(temperature))
            log_flux = state @ self._basis.coefficients @ self._basis.basis
            z_flux = (np.exp(log_flux) * weight).sum(1) / weight.sum()
            # z has its pivot wavelength at 8932 A: f_lambda there for a magnitude of zero.
            z_band = z_flux * 8932.0**2
            vega = -np.cumsum(colours[:, 1:], axis=1)
            ratio = np.log(10) * -0.4 * (vega + _AB_OFFSET) + np.log(z_band)[:, None]
            ratio = ratio - 2 * np.log(_INFRARED)
            end = wavelength > wavelength[-1] - _END
            ratio = ratio - log_flux[:, end].mean(1, keepdims=True)
            tables.append(np.column_stack([np.log10(temperature), ratio]))
        return tuple(tables)


def extinction_curve(wavelength: np.ndarray) -> np.ndarray:
    """A(lambda) / A(V) of the Milky Way, R_V = 3.1 (Gordon et al. 2023, ApJ 950, 86).

    Beyond the curve's range (912 A to 32 um) its end values continue.

    Args:
        wavelength: Vacuum wavelengths in Angstrom.
    """

    wavenumber = np.clip(1e4 / wavelength, *G23.x_range)
    return G23(Rv=3.1)(wavenumber / units.um)


def _ultraviolet_ratios(temperature: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """log flux at the ultraviolet anchors over that at the blue end of the basis.

    A blackbody, hotter by 30% for A stars as the Balmer continuum is, and blanketing that grows
    towards short wavelengths: assumed, of the size that the Sun and Vega need. Below the Lyman
    limit nothing is left but of the hottest stars.
    """

    x = np.log10(np.clip(temperature, 2500, 60000))
    hotter = np.interp(x, [3.85, 3.95, 4.1, 4.3], [1.0, 1.3, 1.25, 1.1])
    end = 3175.0
    second = 1.438777e8 / (10**x * hotter)[:, None]
    planck = -5 * np.log(_ULTRAVIOLET / end) - np.log(
        np.expm1(second / _ULTRAVIOLET) / np.expm1(second / end)
    )
    metals = 10 ** (0.25 * np.clip(metallicity, -2.5, 0.5))
    blanketing = np.interp(x, [3.6, 3.76, 3.9, 4.0], [1.0, 1.7, 0.6, 0.1]) * metals
    ratio = planck - blanketing[:, None] * (end - _ULTRAVIOLET) / 1000
    ionising = np.interp(x, [4.3, 4.6], [-8.0, -1.0])[:, None] * (_ULTRAVIOLET < 911.5)
    # Chromospheres keep cool stars from vanishing.
    return np.maximum(ratio, -11.0) + ionising


def _interpolate(temperature: np.ndarray, table: np.ndarray) -> np.ndarray:
    x = np.log10(temperature)
    return np.stack([np.interp(x, table[:, 0], column) for column in table.T[1:]], axis=1)

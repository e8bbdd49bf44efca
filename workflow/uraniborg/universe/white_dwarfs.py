"""White dwarfs with pure hydrogen atmospheres (DA): grey model atmospheres, line by line.

Temperature follows the grey law, T^4 = 3/4 T_eff^4 (tau + 2/3), with a surface that lines cool by a
third (assumed; it sets how deep their cores are), in hydrostatic equilibrium and LTE.
Opacities: bound-free and free-free of hydrogen (Kramers, Gaunt factor one), negative hydrogen (John
1988, A&A 193, 189, bound-free; Gray 2005, "Stellar Photospheres", free-free), Thomson scattering,
and Lyman to Paschen lines with the wings of linear Stark broadening (Holtsmark field; constants as
in Griem 1960, ApJ 132, 883). High levels dissolve in the plasma (Inglis & Teller 1939; the
transition's width is assumed) and their lines turn into continuum. Convection and the satellites of
Lyman alpha are neglected, so that spectra below 8000 K, and the far ultraviolet, are approximate.
"""

import numpy as np
from scipy.special import exp1

__all__ = ["GRAVITIES", "TEMPERATURES", "WAVELENGTHS", "white_dwarf_weights", "white_dwarfs"]

_H, _K, _C, _E, _MASS = 6.62607e-27, 1.380649e-16, 2.99792458e10, 4.80320e-10, 1.6735e-24
_ELECTRON, _RYDBERG, _THOMSON = 9.10938e-28, 109677.58, 6.6524e-25
_LEVELS = 9
# Absorption oscillator strengths of the Lyman, Balmer and Paschen series (Wiese et al. 1966).
_STRENGTHS = {
    1: (0.4162, 0.0791, 0.0290, 0.01394, 0.00780, 0.00481, 0.00318, 0.00222),
    2: (0.6407, 0.1193, 0.0447, 0.0221, 0.01270, 0.00804, 0.00543, 0.00385),
    3: (0.8421, 0.1506, 0.0558, 0.0277, 0.0160, 0.0102, 0.0070, 0.0050),
}
_DEPTHS = np.geomspace(1e-6, 60, 48)
# Rosseland depth above which lines cool the gas.
_COOLED = 0.003


TEMPERATURES = np.array(
    [5500.0, 6500, 7500, 8500, 9500, 10500, 12000, 14000, 17000, 21000, 27000, 35000, 50000]
)
"""Nodes of effective temperature in K."""

GRAVITIES = np.array([7.5, 8.5])
"""Nodes of log10 gravity in cm/s2."""

WAVELENGTHS = np.concatenate([
    np.geomspace(900, 3600, 250, endpoint=False),
    np.linspace(3600, 5100, 376, endpoint=False),
    np.linspace(5100, 10500, 270, endpoint=False),
    np.geomspace(10500, 310000, 64),
])  # fmt: skip
"""Vacuum wavelengths in Angstrom."""


def white_dwarfs() -> np.ndarray:
    """log of flux density per wavelength, shape (13, 2, 960): temperature, gravity, wavelength.

    In units that differ from star to star.
    """

    flux = [[_atmosphere(t, 10**g, WAVELENGTHS) for g in GRAVITIES] for t in TEMPERATURES]
    log_flux = np.log(np.array(flux))
    return log_flux - log_flux.mean(-1, keepdims=True)


def white_dwarf_weights(temperature: np.ndarray, log_g: np.ndarray) -> np.ndarray:
    """Bilinear weights of the nodes in log temperature and log gravity, shape (N, 26).

    Args:
        temperature: Effective temperature in K, shape (N,).
        log_g: log10 of gravity in cm/s2, shape (N,).
    """

    x, y = np.log10(TEMPERATURES), GRAVITIES
    along_x = np.stack([np.interp(np.log10(temperature), x, row) for row in np.eye(len(x))], 1)
    along_y = np.stack([np.interp(log_g, y, row) for row in np.eye(len(y))], 1)
    return (along_x[:, :, None] * along_y[:, None]).reshape(len(temperature), -1)


def _atmosphere(effective: float, gravity: float, wavelength: np.ndarray) -> np.ndarray:
    """Flux density per wavelength that leaves a grey atmosphere."""

    temperature = effective * (0.75 * (_DEPTHS + 2 / 3)) ** 0.25
    temperature = temperature * (1 - 0.33 / (1 + (_DEPTHS / _COOLED) ** 0.7))
    # A coarse grid around the peak of Planck's law gives the Rosseland mean.
    coarse = np.geomspace(0.06, 12, 90) * 2.9e7 / effective
    pressure = np.empty_like(_DEPTHS)
    pressure[0] = _DEPTHS[0] * gravity
    for _ in range(25):
        opacity = _rosseland(temperature[:1], pressure[:1], coarse)
        pressure[0] = np.sqrt(pressure[0] * _DEPTHS[0] * gravity / opacity[0])
    for d in range(1, len(_DEPTHS)):
        step = _DEPTHS[d] - _DEPTHS[d - 1]
        slope = gravity / _rosseland(temperature[d - 1 : d], pressure[d - 1 : d], coarse)[0]
        guess = np.array([pressure[d - 1] + slope * step])
        slope = (slope + gravity / _rosseland(temperature[d : d + 1], guess, coarse)[0]) / 2
        pressure[d] = pressure[d - 1] + slope * step
    rosseland = _rosseland(temperature, pressure, coarse)
    absorption, scattering = _opacity(temperature, pressure, wavelength)
    ratio = (absorption + scattering + _lines(temperature, pressure, wavelength)) / (
        rosseland[:, None]
    )
    widths = np.diff(_DEPTHS)[:, None]
    steps = (ratio[1:] + ratio[:-1]) / 2 * widths
    depth = np.concatenate([ratio[:1] * _DEPTHS[0], ratio[:1] * _DEPTHS[0] + steps.cumsum(0)])
    source = _planck(temperature[:, None], wavelength)
    # F = 2 pi integral of S E2(tau): with S linear between depths, S changes by parts with E3.
    slope = np.diff(source, axis=0) / np.maximum(np.diff(depth, axis=0), 1e-30)
    flux = source[0] / 2 + (slope * -np.diff(_e4(depth), axis=0)).sum(0)
    return np.maximum(flux, 1e-12 * flux.max())


def _planck(temperature: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    x = 1.438777e8 / (wavelength * temperature)
    return (wavelength / 5000.0) ** -5 / np.expm1(np.minimum(x, 600))


def _e3(x: np.ndarray) -> np.ndarray:
    e2 = np.exp(-x) - x * exp1(np.maximum(x, 1e-12))
    return (np.exp(-x) - x * e2) / 2


def _e4(x: np.ndarray) -> np.ndarray:
    return (np.exp(-x) - x * _e3(x)) / 3


def _plasma(
    temperature: np.ndarray, pressure: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of neutral atoms and electrons per cm3, and mass density (Saha equation)."""

    total = pressure / (_K * temperature)
    thermal = (2 * np.pi * _ELECTRON * _K * temperature / _H**2) ** 1.5
    ratio = thermal * np.exp(-157887.5 / temperature)
    # n_e^2 = n_H * ratio and n_H + 2 n_e = n.
    electrons = ratio * (np.sqrt(1 + total / ratio) - 1)
    neutral = np.maximum(total - 2 * electrons, 1e-30)
    return neutral, electrons, (neutral + electrons) * _MASS


def _rosseland(temperature: np.ndarray, pressure: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """Rosseland mean of the continuous opacity in cm2/g, shape of `temperature`."""

    absorption, scattering = _opacity(temperature, pressure, wavelength)
    x = 1.438777e8 / (wavelength * temperature[:, None])
    # dB/dT per wavelength.
    weight = wavelength**-6.0 * np.exp(-x) / (1 - np.exp(-x)) ** 2
    integral = np.trapezoid(weight / (absorption + scattering), wavelength, axis=1)
    return np.trapezoid(weight, wavelength, axis=1) / integral


def _opacity(
    temperature: np.ndarray, pressure: np.ndarray, wavelength: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Continuous absorption, shape (D, M), and scattering, (D, 1), in cm2/g."""

    neutral, electrons, density = (a[:, None] for a in _plasma(temperature, pressure))
    t = temperature[:, None]
    frequency = 1e8 * _C / wavelength
    stimulated = -np.expm1(-_H * frequency / (_K * t))
    wavenumber = 1e8 / wavelength
    total = np.zeros((len(temperature), len(wavelength)))
    for n in range(1, _LEVELS + 1):
        edge = _RYDBERG / n**2
        population = neutral * n**2 * np.exp(-157887.5 / t * (1 - n**-2.0))
        cross_section = 7.906e-18 * n * (edge / wavenumber) ** 3
        total += population * cross_section * _bound_free(n, edge, wavenumber, electrons)
    free = 3.692e8 * electrons**2 / (np.sqrt(t) * frequency**3)
    total = (total + free) * stimulated
    total += neutral * electrons * _K * t * _negative_hydrogen(t, wavelength)
    return total / density, electrons * _THOMSON / density


def _survival(n: np.ndarray, electrons: np.ndarray) -> np.ndarray:
    """Probability that level n survives in the plasma."""

    last = 10 ** ((23.26 - np.log10(electrons)) / 7.5)
    return 1 / (1 + (n / last) ** 12)


def _bound_free(n: int, edge: float, wavenumber: np.ndarray, electrons: np.ndarray) -> np.ndarray:
    """Share of the bound-free cross-section at work: one beyond the edge, and before it the
    probability that the level the photon would reach is dissolved."""

    reached = np.sqrt(1 / np.clip(n**-2.0 - wavenumber / _RYDBERG, 1e-8, None))
    dissolved = 1 - _survival(reached, electrons)
    # Photons far from the edge reach levels that exist.
    return np.where(wavenumber >= edge, 1.0, np.where(reached > n + 1, dissolved, 0.0))


def _negative_hydrogen(temperature: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """Absorption per neutral atom and electron pressure, cm4/dyn, stimulated emission included."""

    micron = wavelength / 1e4
    x = np.clip(1 / micron - 1 / 1.6419, 0, None)
    coefficients = (152.519, 49.534, -118.858, 92.536, -34.194, 4.982)
    factor = sum(c * x ** (k / 2) for k, c in enumerate(coefficients))
    cross_section = 1e-18 * micron**3 * x**1.5 * np.maximum(factor, 0)
    bound = 0.750 * temperature**-2.5 * np.exp(np.minimum(14388 / (1.6419 * temperature), 300))
    bound = bound * -np.expm1(-14388 / (micron * temperature)) * cross_section
    # The fit holds for 2600 A to 11.4 um; beyond, free-free absorption goes as wavelength squared.
    inside = np.clip(wavelength, 2600, 113900)
    g = np.log10(inside)
    f0 = -2.2763 - 1.6850 * g + 0.76661 * g**2 - 0.053346 * g**3
    f1 = 15.2827 - 9.2846 * g + 1.99381 * g**2 - 0.142631 * g**3
    f2 = -197.789 + 190.266 * g - 67.9775 * g**2 + 10.6913 * g**3 - 0.625151 * g**4
    theta = np.log10(np.clip(5040 / temperature, 0.5, 2.0))
    free = 10 ** (-26 + f0 + f1 * theta + f2 * theta**2) * (wavelength / inside) ** 2
    return bound + free


def _lines(temperature: np.ndarray, pressure: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """Opacity of the lines in cm2/g, shape (D, M)."""

    neutral, electrons, density = (a[:, None] for a in _plasma(temperature, pressure))
    t = temperature[:, None]
    field = 1.25e-9 * electrons ** (2 / 3)
    doppler = np.sqrt(2 * _K * t / _MASS) / _C
    total = np.zeros((len(temperature), len(wavelength)))
    for lower, strengths in _STRENGTHS.items():
        population = neutral * lower**2 * np.exp(-157887.5 / t * (1 - lower**-2.0))
        for step, strength in enumerate(strengths, start=1):
            upper = lower + step
            centre = 1e8 / (_RYDBERG * (lower**-2.0 - upper**-2.0))
            stark = 5.5e-5 * (lower * upper) ** 4 / (upper**2 - lower**2) / (1 + 0.13 / step)
            # Wings of ions and electrons: 2 x 0.75 beta^-2.5; the core follows from the area.
            width = np.hypot(2.5 * field * stark, centre * doppler)
            profile = 1 / (2.6427 * width * (1 + np.abs((wavelength - centre) / width) ** 2.5))
            surviving = _survival(np.array(float(upper)), electrons)
            # pi e^2 / (m c) f per frequency, turned into per Angstrom.
            strength_per_angstrom = 0.026540 * strength * centre**2 / (_C * 1e8)
            stimulated = -np.expm1(-1.438777e8 / (centre * t))
            total += population * strength_per_angstrom * profile * surviving * stimulated
    return total / density

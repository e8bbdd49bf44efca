"""Spectral features that figures mark and tables name. Vacuum wavelengths in Angstrom."""

from typing import NamedTuple

__all__ = ["ABSORPTION_FEATURES", "EMISSION_LINES", "LINES", "SKY_FEATURES", "Line", "name_of"]


class Line(NamedTuple):
    """A spectral line.

    Attributes:
        name: As printed in a figure.
        wavelength: Rest-frame vacuum wavelength in Angstrom.
    """

    name: str
    wavelength: float


# As in the SDSS table of spectral lines; close doublets at their mean.
LINES = (
    Line("[O II]", 3728.5),
    Line("K", 3934.8),
    Line("H", 3969.6),
    Line("Hδ", 4102.9),
    Line("G", 4305.6),
    Line("Hγ", 4341.7),
    Line("Hβ", 4862.7),
    Line("[O III]", 4960.3),
    Line("[O III]", 5008.2),
    Line("Mg", 5176.7),
    Line("Na", 5895.6),
    Line("[O I]", 6302.0),
    Line("Hα", 6564.6),
    Line("[N II]", 6585.3),
    Line("[S II]", 6725.5),
)

EMISSION_LINES = (
    Line("[O II]", 3728.5),
    Line("[Ne III]", 3869.9),
    Line("H8", 3890.2),
    Line("[Ne III]+Hε", 3969.6),
    Line("[S II]", 4072.2),
    Line("Hδ", 4102.9),
    Line("Hγ", 4341.7),
    Line("[O III]", 4364.4),
    Line("He II", 4687.0),
    Line("Hβ", 4862.7),
    Line("[O III]", 4960.3),
    Line("[O III]", 5008.2),
    Line("[N I]", 5200.5),
    Line("[N II]", 5756.2),
    Line("He I", 5877.2),
    Line("[O I]", 6302.0),
    Line("[S III]", 6313.8),
    Line("[O I]", 6365.5),
    Line("[N II]", 6549.9),
    Line("Hα", 6564.6),
    Line("[N II]", 6585.3),
    Line("He I", 6680.0),
    Line("[S II]", 6718.3),
    Line("[S II]", 6732.7),
    Line("He I", 7067.2),
    Line("[Ar III]", 7137.8),
    Line("[O II]", 7321.5),
    Line("[O II]", 7332.2),
    Line("[Ar III]", 7753.2),
    Line("[S III]", 9071.1),
)
"""Lines of ionised gas, as in the SDSS table of spectral lines and in NIST's."""

ABSORPTION_FEATURES = (
    Line("H10", 3799.0),
    Line("H9", 3836.5),
    Line("CN", 3862.0),
    Line("Ca K", 3934.8),
    Line("CN", 4161.0),
    Line("Ca I", 4228.0),
    Line("G band", 4305.6),
    Line("Fe", 4384.8),
    Line("Fe", 4533.0),
    Line("C2", 4670.0),
    Line("Fe", 5016.5),
    Line("Mg b", 5176.7),
    Line("Fe", 5271.5),
    Line("Fe", 5336.9),
    Line("Fe", 5407.6),
    Line("Na D", 5893.6),
    Line("TiO", 5849.0),
    Line("TiO", 6160.0),
    Line("TiO", 7056.0),
    Line("TiO", 7127.5),
    Line("TiO", 7591.5),
    Line("Na I", 8190.5),
    Line("Ca II", 8500.4),
    Line("Ca II", 8544.4),
    Line("TiO", 8434.0),
    Line("Ca II", 8664.5),
)
"""Features of starlight and interstellar gas: centres of Lick indices (Worthey et al. 1994, ApJS
94, 687; Trager et al. 1998, ApJS 116, 1), high Balmer lines, red Na I and Ca II lines, and heads of
TiO bands, which lie to the red of them."""

SKY_FEATURES = (
    Line("O I sky", 5578.9),
    Line("Na I sky", 5893.6),
    Line("O I sky", 6302.0),
    Line("O I sky", 6365.5),
    Line("O2 B band", 6885.0),
    Line("H2O band", 7220.0),
    Line("O2 A band", 7640.0),
    Line("H2O band", 8230.0),
    Line("H2O band", 9050.0),
)
"""The brightest lines of the night sky and bands of the atmosphere, observed vacuum wavelengths."""


def name_of(wavelength: float, lines: tuple[Line, ...], within: float) -> str:
    """The names of the two nearest lines, or of the one within reach, or nothing.

    Args:
        wavelength: In Angstrom.
        lines: Those that may be named.
        within: Largest distance as a fraction of the wavelength.
    """

    distance = {line: abs(line.wavelength / wavelength - 1) for line in lines}
    near = sorted((line for line in lines if distance[line] <= within), key=distance.get)
    return " / ".join(list(dict.fromkeys(line.name for line in near))[:2])

"""Spectral features that figures mark and tables name. Vacuum wavelengths in Angstrom."""

from typing import NamedTuple

__all__ = ["LINES", "Line"]


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

"""Spectral features that figures mark and tables name. Vacuum wavelengths in Angstrom."""

from typing import NamedTuple

__all__ = ["LINES", "Line"]


class Line(NamedTuple):
    """A spectral line.

    Attributes:
        name: As printed in a figure.
        wavelength: Rest-frame vacuum wavelength in Angstrom.
        emission: Whether galaxies show it mainly in emission.
    """

    name: str
    wavelength: float
    emission: bool


# Vacuum wavelengths of the SDSS spectroscopic pipeline's line list (Bolton et al. 2012,
# arXiv:1207.7326, table 3; absorption features from the SDSS table of spectral lines).
LINES = (
    Line("[O II]", 3728.5, True),
    Line("K", 3934.8, False),
    Line("H", 3969.6, False),
    Line("Hδ", 4102.9, False),
    Line("G", 4305.6, False),
    Line("Hγ", 4341.7, True),
    Line("Hβ", 4862.7, True),
    Line("[O III]", 4960.3, True),
    Line("[O III]", 5008.2, True),
    Line("Mg", 5176.7, False),
    Line("Na", 5895.6, False),
    Line("[O I]", 6302.0, True),
    Line("Hα", 6564.6, True),
    Line("[N II]", 6585.3, True),
    Line("[S II]", 6725.5, True),
)

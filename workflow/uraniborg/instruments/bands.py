"""Bands of the photometers, cheap to import while a workflow is planned."""

from collections.abc import Iterable
from dataclasses import dataclass

from uraniborg.errors import UserError

__all__ = ["PHOTOMETERS", "Band", "bands_of"]


@dataclass(frozen=True)
class Band:
    """A band of a photometer, and what its survey says of it.

    Args:
        name: Its name, unique among all photometers.
        filter: Its transmission curve's name in astro-sedpy.
        depth: AB magnitude of a point source that is measured at five sigma.
        offset: AB magnitude minus the magnitude that the survey publishes.
        softening: Softening parameter b of asinh magnitudes (Lupton et al. 1999), as a fraction
            of the flux of magnitude 0; 0 where the survey does not publish such magnitudes.
        limit: Signal-to-noise ratio from which the survey counts an object as detected.
        forced: Whether the survey gives a flux for every object that it observed, however faint.
        noise: Row of the noise table that holds for the band; empty where the noise follows from
            the depth.
        psf: Full width at half maximum of a point source, arcsec.
        coverage: Fraction of the sky that the survey has observed in this band, for a survey that
            is matched to others; 1 where the survey itself defines the sample.
    """

    name: str
    filter: str
    depth: float
    offset: float = 0.0
    softening: float = 0.0
    limit: float = 5.0
    forced: bool = True
    noise: str = ""
    psf: float = 1.0
    coverage: float = 1.0


def _bands(
    photometer: str,
    letters: Iterable[str],
    filters: Iterable[str],
    depths: Iterable[float],
    **others: float | bool | Iterable[float | str],
) -> tuple[Band, ...]:
    """Bands of one photometer; what is iterable has one value per band, the rest is common."""

    bands = []
    letters = list(letters)
    columns = {"filter": list(filters), "depth": list(depths), **others}
    for i, letter in enumerate(letters):
        row = {key: x[i] if isinstance(x, list | tuple) else x for key, x in columns.items()}
        bands.append(Band(name=f"{photometer}_{letter}", **row))
    return tuple(bands)


_SDSS_FILTERS = [f"sdss_{letter}0" for letter in "ugriz"]
# Of the formal errors of point sources, https://www.sdss4.org/dr16/imaging/other_info.
_SDSS_DEPTHS = [22.15, 23.13, 22.70, 22.20, 20.71]
# Stoughton et al. (2002, AJ 123, 485), table 21.
_SDSS_SOFTENING = [1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10]
# The all-sky imaging survey (Morrissey et al. 2007, ApJS 173, 682).
_GALEX = {
    "filters": ["galex_FUV", "galex_NUV"],
    "depths": [19.9, 20.8],
    "noise": ["galex_FUV", "galex_NUV"],
    "psf": [4.2, 5.3],
}

PHOTOMETERS: dict[str, tuple[Band, ...]] = {
    # SDSS model magnitudes (York et al. 2000, AJ 120, 1579). Offsets from AB:
    # https://www.sdss4.org/dr17/algorithms/fluxcal, "u_AB = u_SDSS - 0.04" and so on.
    "sdss": _bands(
        "sdss",
        "ugriz",
        _SDSS_FILTERS,
        _SDSS_DEPTHS,
        offset=[-0.04, 0.0, 0.0, 0.0, 0.02],
        softening=_SDSS_SOFTENING,
        noise=[f"sdss_{letter}" for letter in "ugriz"],
        psf=1.4,
    ),
    # LAMBDAR photometry (Wright et al. 2016, MNRAS 460, 765), published in AB: the images of
    # SDSS, whose noise is assumed for ugriz, and of VIKING (Edge et al. 2013, The Messenger 154).
    "gama": _bands(
        "gama",
        "ugrizZYJHK",
        [*_SDSS_FILTERS, *(f"vista_vircam_{letter}" for letter in ("Z", "Y", "J", "H", "Ks"))],
        [*_SDSS_DEPTHS, 23.1, 22.3, 22.1, 21.5, 21.2],
        noise=[*(f"sdss_{letter}" for letter in "ugriz"), *5 * [""]],
        psf=[*5 * [1.4], *5 * [0.9]],
    ),
    # The NASA-Sloan Atlas (Blanton et al. 2011, AJ 142, 31): elliptical Petrosian fluxes in AB of
    # the images of GALEX and SDSS. The noise of SDSS' own Petrosian fluxes is assumed.
    "nsa": (
        *_bands("nsa", ["FUV", "NUV"], **_GALEX, coverage=0.6),
        *_bands(
            "nsa",
            "ugriz",
            _SDSS_FILTERS,
            _SDSS_DEPTHS,
            noise=[f"nsa_{letter}" for letter in "ugriz"],
            psf=1.4,
        ),
    ),
    # The catalogue of the all-sky imaging survey covers 24,790 square degrees (Bianchi, Shiao &
    # Thilker 2017, ApJS 230, 24).
    "galex": _bands("galex", ["FUV", "NUV"], **_GALEX, limit=2.0, forced=False, coverage=0.6),
    # The extended-source catalogue (Skrutskie et al. 2006, AJ 131, 1163, whose 10-sigma depths
    # are turned into 5 sigma); Vega to AB as Blanton & Roweis (2007, AJ 133, 734).
    "twomass": _bands(
        "twomass",
        "JHK",
        ["twomass_J", "twomass_H", "twomass_Ks"],
        [15.8 + 0.75 + 0.91, 15.1 + 0.75 + 1.39, 14.3 + 0.75 + 1.85],
        offset=[0.91, 1.39, 1.85],
        limit=3.0,
        forced=False,
        noise=["twomass_J", "twomass_H", "twomass_K"],
        psf=2.9,
    ),
    # 0.08, 0.11, 1 and 6 mJy at five sigma (Wright et al. 2010, AJ 140, 1868); Vega to AB as the
    # Explanatory Supplement to the WISE All-Sky Data Release Products, section IV.4.h.
    "wise": _bands(
        "wise",
        ["W1", "W2", "W3", "W4"],
        ["wise_w1", "wise_w2", "wise_w3", "wise_w4"],
        [19.14, 18.80, 16.40, 14.45],
        offset=[2.699, 3.339, 5.174, 6.620],
        limit=2.0,
        forced=False,
        psf=[6.1, 6.4, 6.5, 12.0],
    ),
    # Ten years (Ivezic et al. 2019, ApJ 873, 111, table 1).
    "lsst": _bands(
        "lsst",
        "ugrizy",
        [f"lsst_baseline_{letter}" for letter in "ugrizy"],
        [26.1, 27.4, 27.5, 26.8, 26.1, 24.9],
        psf=0.7,
    ),
    # The Wide layer (Aihara et al. 2018, PASJ 70, S4).
    "hsc": _bands(
        "hsc",
        "grizy",
        [f"hsc_{letter}" for letter in "grizy"],
        [26.5, 26.1, 25.9, 25.1, 24.4],
        psf=[0.8, 0.8, 0.6, 0.7, 0.7],
    ),
    # Stacks of the 3-pi survey (Chambers et al. 2016, arXiv:1612.05560, abstract).
    "ps1": _bands(
        "ps1",
        "grizy",
        [f"panstarrs_{letter}" for letter in "grizy"],
        [23.3, 23.2, 23.1, 22.3, 21.4],
        psf=[1.3, 1.2, 1.1, 1.1, 1.0],
    ),
}
"""The bands of every known photometer, in order."""


def bands_of(name: str) -> tuple[Band, ...]:
    """The bands of a photometer, or of several whose names are joined by `+`.

    Raises:
        UserError: There is no photometer of this name, or one is named twice.

    Example:
        >>> [band.name for band in bands_of("sdss+wise")][4:6]
        ['sdss_z', 'wise_W1']
    """

    names = name.split("+")
    for part in names:
        if part not in PHOTOMETERS:
            raise UserError(
                f"there is no photometer {part!r}; known are: {', '.join(PHOTOMETERS)}, "
                "and several of them joined by '+'."
            )
    if len(set(names)) < len(names):
        raise UserError(f"photometer {name!r} names an instrument twice; name it once.")
    return tuple(band for part in names for band in PHOTOMETERS[part])

"""Why a pipeline takes stars for galaxies: linear templates of stars that are too few.

Pipelines classify by the least chi-squared over sets of templates, whose best sum is found at every
redshift (Bolton et al. 2012, AJ 144, 144; Bailey et al. 2023, Redrock). Stars of all temperatures
are far from a plane in the space of spectra: a few principal components leave much of a rare star
unexplained, and then galaxies, of which there are more components and all redshifts to choose from,
may fit better (Liang et al. 2023, arXiv:2307.07664, section 5).

Here the templates are a mean and its principal components, and an autoencoder that has not been
trained: its encoder projects on them and its decoder adds them up, so that redshifts are searched
as with any other model.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.errors import UserError
from uraniborg.grids import WavelengthGrid
from uraniborg.nets.decoders import LowRankDecoder
from uraniborg.nets.encoders import RestframeEncoder
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.basis import Basis, fit_basis
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.spectra.outliers.misclassification import AUTOENCODER, TEMPLATE_COLUMNS
from uraniborg.spectra.redshift import RedshiftEstimator
from uraniborg.spectra.transform import RedshiftTransform
from uraniborg.tables import FLUX_UNIT, Column, Spectra

__all__ = [
    "EXAMPLE_COLUMNS",
    "Templates",
    "balanced_rows",
    "compared",
    "example_star",
    "example_table",
    "linear_model",
    "stellar_templates",
    "template_table",
]

EXAMPLE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("subclass", pa.string(), "", "Type of star"),
    Column("components", pa.int64(), "", "Templates of stars, the mean included"),
    Column("galaxy_z", pa.float64(), "", "Redshift at which galaxies fit best"),
    Column("wavelength", pa.float32(), "Angstrom", "Observed vacuum wavelength"),
    Column("flux", pa.float32(), FLUX_UNIT, "Observed flux density, NaN where masked"),
    Column("star_templates", pa.float32(), FLUX_UNIT, "Best sum of templates of stars"),
    Column("galaxy_templates", pa.float32(), FLUX_UNIT, "Best sum of templates of galaxies"),
    Column("star_model", pa.float32(), FLUX_UNIT, "Reconstruction by the star model"),
)
"""Columns of the table that `example_table` makes."""

_STAR_Z = (-0.005, 0.005)
_CHUNK = 256


class Templates(NamedTuple):
    """What `compared` finds.

    Attributes:
        table: The columns `TEMPLATE_COLUMNS`.
        example: The columns `EXAMPLE_COLUMNS`.
    """

    table: pd.DataFrame
    example: pd.DataFrame


def compared(
    galaxy: SpectrumAutoencoder,
    star: SpectrumAutoencoder,
    samples: Mapping[str, tuple[Spectra, np.ndarray]],
    settings: Mapping[str, Any],
) -> Templates:
    """Classifies held-out stars and galaxies with more and more templates of stars.

    Args:
        galaxy: Templates of galaxies.
        star: The trained star model.
        samples: Spectra and row numbers of the stars that templates are made of (`train`), and of
            the `stars` and `galaxies` that are classified.
        settings: The largest number of `components`, `iterations` and `seed` of the fits, and the
            number of components of the `example`: the star that a galaxy beats most clearly, or
            the first one where none is beaten.
    """

    numbers = range(1, settings["components"] + 1)
    iterations, seed = settings["iterations"], settings["seed"]
    models = stellar_templates(*samples["train"], numbers, iterations, seed)
    models[AUTOENCODER] = star
    tables = [template_table(galaxy, models, *samples[name]) for name in ("stars", "galaxies")]
    table, number = pd.concat(tables, ignore_index=True), settings["example"]
    name = example_star(table, number) or tables[0]["object_id"].iloc[0]
    return Templates(table, example_table(galaxy, models, samples["stars"][0], name, number))


def linear_model(
    basis: Basis, grid: WavelengthGrid, z_range: tuple[float, float], components: int
) -> SpectrumAutoencoder:
    """A mean and its principal components as a model that can be fitted at any redshift.

    Args:
        basis: The mean and at least one component, fitted for the same range.
        grid: The spectrograph's.
        z_range: Smallest and largest redshift.
        components: Templates to use, the mean included, from 1.

    Raises:
        UserError: The basis belongs to another range or grid, or has fewer components.
    """

    transform = RedshiftTransform(grid, z_range[1], z_range[0])
    size, expected = len(basis.mean), transform.restframe.size
    if size != expected or components > len(basis.spectra) + 1:
        raise UserError(
            f"a mean and {len(basis.spectra)} spectra of {size} pixels do not give {components} "
            f"templates of the {expected} pixels that redshifts {z_range} need; fit the basis "
            "again with the same z_min and z_max and a larger rank."
        )
    rank = max(components - 1, 1)
    basis = Basis(basis.mean, basis.spectra[:rank], basis.variance[:rank])
    if components == 1:
        # A spectrum of nothing beside the mean.
        basis = basis._replace(spectra=torch.zeros_like(basis.spectra))
    encoder = RestframeEncoder(rank, transform, *basis)
    return SpectrumAutoencoder(encoder, LowRankDecoder(rank, *basis), transform).eval()


def stellar_templates(
    spectra: Spectra, rows: np.ndarray, components: Iterable[int], iterations: int, seed: int
) -> dict[int, SpectrumAutoencoder]:
    """Templates of stars of all types together, fitted anew for each number of them.

    Args:
        spectra: Stars.
        rows: Those to fit.
        components: Numbers of templates, the mean included, from 1.
        iterations: Of the fit, see `fit_basis`.
        seed: Of its random start.
    """

    transform = RedshiftTransform(spectra.grid, _STAR_Z[1], _STAR_Z[0])
    batches = list(SpectraDataset(spectra, rows, _STAR_Z).batches(_CHUNK))
    models = {}
    for number in components:
        basis = fit_basis(batches, transform, max(number - 1, 1), iterations, seed)
        models[number] = linear_model(basis, spectra.grid, _STAR_Z, number)
    return models


def balanced_rows(spectra: Spectra, rows: np.ndarray, count: int) -> np.ndarray:
    """About `count` of the rows, as equal in number by subclass as there are, in order.

    Args:
        spectra: The spectra.
        rows: Row numbers to choose from; of each subclass the first ones are chosen.
        count: How many at most.
    """

    subclass = pd.Series(spectra.column("subclass")[rows])
    # The n-th of every subclass before the n + 1-st of any.
    order = subclass.groupby(subclass).cumcount().sort_values(kind="stable").index
    return np.sort(rows[order[:count]])


def template_table(
    galaxy: SpectrumAutoencoder,
    stars: Mapping[int, SpectrumAutoencoder],
    spectra: Spectra,
    rows: np.ndarray,
) -> pd.DataFrame:
    """The best fits of galaxies and stars to spectra whose redshift is not known.

    Args:
        galaxy: Templates of galaxies.
        stars: Templates of stars by the number of components; the trained model as `AUTOENCODER`.
        spectra: Stars or galaxies.
        rows: Row numbers.

    Returns:
        The columns `TEMPLATE_COLUMNS`, one row per spectrum and number of components.
    """

    names = ["object_id", "spectype", "subclass", "snr"]
    known = spectra.scalars.iloc[rows][names].reset_index(drop=True)
    batch = SpectraDataset(spectra, rows).batch(np.arange(len(rows)))
    as_galaxy = RedshiftEstimator(galaxy, _galaxy_z(galaxy)).estimate(batch.flux, batch.ivar)
    known["galaxy_chi2"], known["galaxy_z"] = as_galaxy.chi2.numpy(), as_galaxy.z.numpy()
    parts = []
    for number, star in stars.items():
        estimator = RedshiftEstimator(star, binning=1, peaks=2)
        chi2 = estimator.estimate(batch.flux, batch.ivar).chi2.numpy()
        parts.append(known.assign(components=number, star_chi2=chi2))
    table = pd.concat(parts, ignore_index=True)
    return table[[column.name for column in TEMPLATE_COLUMNS]]


def example_star(table: pd.DataFrame, components: int, least_z: float = 0.01) -> str | None:
    """The star that a galaxy at a redshift of its own beats most clearly, which the star model
    explains better than either; None if there is none.

    Args:
        table: The columns `TEMPLATE_COLUMNS`.
        components: Of the templates of stars.
        least_z: Smallest redshift of the galaxy.
    """

    stars = table[table["spectype"] == "STAR"].set_index("object_id")
    templates = stars[stars["components"] == components]
    model = stars.loc[stars["components"] == AUTOENCODER, "star_chi2"]
    gain = np.log(templates["star_chi2"] / templates["galaxy_chi2"])
    beaten = model.reindex(gain.index) < templates["galaxy_chi2"]
    chosen = gain[beaten & (gain > 0) & (templates["galaxy_z"] > least_z)]
    return None if chosen.empty else str(chosen.idxmax())


def example_table(
    galaxy: SpectrumAutoencoder,
    stars: Mapping[int, SpectrumAutoencoder],
    spectra: Spectra,
    object_id: str,
    components: int,
) -> pd.DataFrame:
    """A star as templates of stars, templates of galaxies and the star model fit it.

    Args:
        galaxy: Templates of galaxies.
        stars: As for `template_table`.
        spectra: Stars.
        object_id: Which of them.
        components: Of the templates of stars.

    Returns:
        The columns `EXAMPLE_COLUMNS`, one row per pixel.
    """

    row = list(spectra.column("object_id")).index(object_id)
    dataset = SpectraDataset(spectra, np.array([row]))
    flux, ivar, _ = dataset.batch(np.array([0]))
    fits = {
        "star_templates": (stars[components], _STAR_Z),
        "galaxy_templates": (galaxy, _galaxy_z(galaxy)),
        "star_model": (stars[AUTOENCODER], _STAR_Z),
    }
    curves, z = {}, {}
    with torch.inference_mode():
        for name, (model, z_range) in fits.items():
            z[name] = RedshiftEstimator(model, z_range, binning=1).estimate(flux, ivar).z
            curves[name] = model(flux, ivar, z[name]).observed[0].numpy() * dataset.norm[0]
    seen = np.where(ivar[0].numpy() > 0, flux[0].numpy() * dataset.norm[0], np.nan)
    return pd.DataFrame(
        {
            "object_id": object_id,
            "subclass": spectra.column("subclass")[row],
            "components": components,
            "galaxy_z": float(z["galaxy_templates"]),
            "wavelength": spectra.grid.wavelength.astype(np.float32),
            "flux": seen,
            **curves,
        }
    )


def _galaxy_z(galaxy: SpectrumAutoencoder) -> tuple[float, float]:
    """Redshifts of galaxies that are searched: all that the templates cover, no blueshifts."""

    return max(galaxy.transform.z_min, 0.0), galaxy.transform.z_max

"""What known redshifts of like galaxies are worth: the supervised comparison, and a control.

A population from photometry needs no redshifts. Where a share of the catalogue has them, the
nearest of those galaxies in magnitude and colours give the redshifts of all others.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from uraniborg.errors import UserError
from uraniborg.population.popsed.photometry import Catalogue, Observed

__all__ = ["halves", "neighbour_redshifts", "shuffled"]


def halves(catalogue: Catalogue, seed: int = 0) -> tuple[Catalogue, Catalogue]:
    """Two random halves of a catalogue, the first of which may be a galaxy smaller."""

    rows = np.random.default_rng(seed).permutation(len(catalogue))
    middle = len(rows) // 2
    return catalogue.take(rows[:middle]), catalogue.take(rows[middle:])


def neighbour_redshifts(
    training: Catalogue, catalogue: Catalogue, neighbours: int = 10
) -> np.ndarray:
    """Redshifts of the nearest galaxies that have one, shape (N, neighbours), nearest first.

    All redshifts together are the catalogue's N(z), the median of a row is a galaxy's photometric
    redshift. Near is by magnitude and colours, whitened by the training galaxies.

    Args:
        training: Galaxies with redshifts; those without are left out.
        catalogue: Galaxies whose redshifts are not looked at, N of them.
        neighbours: How many.

    Raises:
        UserError: Fewer than `neighbours` training galaxies have a redshift, or bands differ.
    """

    if training.bands != catalogue.bands:
        raise UserError("popsed: training galaxies and catalogue have other bands; use the same.")
    known = np.isfinite(training.z)
    if known.sum() < neighbours:
        raise UserError(
            f"popsed: {known.sum()} training galaxies have a redshift, and {neighbours} are "
            "needed; lower `neighbours` or use a catalogue with redshifts."
        )
    training = training.take(np.flatnonzero(known))
    observed = Observed(training)
    sample = observed.standardise(observed.features.of_catalogue(catalogue))
    search = NearestNeighbors(n_neighbors=neighbours).fit(observed.data.numpy())
    near = search.kneighbors(sample.float().numpy(), return_distance=False)
    return training.z[near]


def shuffled(catalogue: Catalogue, seed: int = 0) -> Catalogue:
    """A control: each band permuted among the galaxies, for itself.

    A flux keeps its error. The magnitudes in each band are distributed as before, colours mean
    nothing; redshifts stay where they were.
    """

    random = np.random.default_rng(seed)
    number, bands = catalogue.flux.shape
    rows = np.stack([random.permutation(number) for _ in range(bands)], axis=1)
    parts = (
        np.take_along_axis(array, rows, axis=0)
        for array in (catalogue.flux, catalogue.sigma, catalogue.limited)
    )
    return Catalogue(catalogue.bands, catalogue.reference, *parts, catalogue.z, catalogue.set_aside)

"""New spectra from a density of latents, and what tells them from real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from sklearn.mixture import GaussianMixture

from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.tables import Column
from uraniborg.universe.spectral_indices import break_4000, emission_line, h_delta

__all__ = [
    "COMPARED",
    "GENERATED_COLUMNS",
    "INDEX_COLUMNS",
    "INDICES",
    "IndependentGaussians",
    "MixtureDensity",
    "UniformBox",
    "compared",
    "decoded",
    "generation_tables",
    "latents_of",
    "spectral_indices",
]

COMPARED = (3800.0, 7000.0)
"""Rest-frame range in Angstrom in which decoded spectra are compared: seen at nearly all redshifts
of a local survey."""

INDICES = {
    "d4000": "Narrow 4000 Angstrom break",
    "h_delta": "Lick index H-delta_A, positive for absorption",
    "halpha": "Equivalent width of H alpha, positive for emission",
    "oiii": "Equivalent width of [O III] 5008, positive for emission",
}
"""Indices by which spectra are compared, with their descriptions."""

INDEX_COLUMNS = (
    Column("sample", pa.string(), "", "Where the latents come from"),
    *(
        Column(name, pa.float32(), "" if name == "d4000" else "Angstrom", text)
        for name, text in INDICES.items()
    ),
)
"""Columns of the indices of real and generated spectra."""

GENERATED_COLUMNS = (
    Column("sample", pa.string(), "", "Where the latents come from"),
    Column("order", pa.int64(), "", "Place in the order of the 4000 Angstrom break, from 0"),
    Column("wavelength", pa.float32(), "Angstrom", "Rest-frame vacuum wavelength"),
    Column("flux", pa.float32(), "", "Flux density over its mean in 3800-7000 Angstrom"),
)
"""Columns of the spectra that a figure shows."""

# Quantiles of the 4000 Angstrom break whose spectra are shown.
_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)

_HALPHA, _OIII = 6564.6, 5008.2


def latents_of(objects: pd.DataFrame) -> np.ndarray:
    """The latents of a table of objects, shape (N, S), float64."""

    return objects.filter(regex=r"^latent_\d+$").to_numpy(np.float64)


@dataclass(frozen=True)
class MixtureDensity:
    """A mixture of Gaussians in latents divided by their standard deviations.

    Args:
        mean: Of the latents it was fitted to, shape (S,).
        scale: Their standard deviations, shape (S,).
        mixture: In units of the scale.
    """

    mean: np.ndarray
    scale: np.ndarray
    mixture: GaussianMixture

    @classmethod
    def fit(
        cls,
        latents: np.ndarray,
        valid: np.ndarray,
        components: Sequence[int] = (1, 2, 4, 8, 16, 32),
        seed: int = 0,
    ) -> Self:
        """The mixture with as many components as make `valid` likeliest.

        Args:
            latents: To fit to, shape (N, S).
            valid: To choose by, shape (M, S).
            components: Numbers to choose from; those that exceed a tenth of N are left out.
            seed: Of the fits' starts.
        """

        mean, scale = latents.mean(axis=0), latents.std(axis=0)
        allowed = [number for number in components if number <= max(1, len(latents) // 10)]
        fits = [
            cls(mean, scale, _mixture(number, seed).fit((latents - mean) / scale))
            for number in allowed
        ]
        return max(fits, key=lambda density: density.log_prob(valid).mean())

    @property
    def components(self) -> int:
        return self.mixture.n_components

    def log_prob(self, latents: np.ndarray) -> np.ndarray:
        """Log density of latents (N, S), shape (N,)."""

        scaled = (latents - self.mean) / self.scale
        return self.mixture.score_samples(scaled) - np.log(self.scale).sum()

    def sample(self, number: int, seed: int = 0) -> np.ndarray:
        """New latents, shape (number, S)."""

        random, mixture = np.random.default_rng(seed), self.mixture
        component = random.choice(mixture.n_components, number, p=mixture.weights_)
        factor = np.linalg.cholesky(mixture.covariances_)[component]
        noise = random.standard_normal((number, len(self.mean)))
        scaled = mixture.means_[component] + np.einsum("nij,nj->ni", factor, noise)
        return self.mean + self.scale * scaled


def _mixture(components: int, seed: int) -> GaussianMixture:
    # A floor of the variance, so that no component collapses on a few galaxies.
    return GaussianMixture(components, reg_covar=1e-3, max_iter=200, random_state=seed)


@dataclass(frozen=True)
class IndependentGaussians:
    """What a density must beat: latents with the right means and variances, but unrelated."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, latents: np.ndarray) -> Self:
        return cls(latents.mean(axis=0), latents.std(axis=0))

    def sample(self, number: int, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        return random.normal(self.mean, self.scale, (number, len(self.mean)))


@dataclass(frozen=True)
class UniformBox:
    """What a density must beat by far: anything between the extremes of each latent."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, latents: np.ndarray) -> Self:
        """The box between the 1st and the 99th percentiles."""

        return cls(*np.percentile(latents, [1, 99], axis=0))

    def sample(self, number: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).uniform(self.low, self.high, (number, len(self.low)))


@torch.inference_mode()
def decoded(model: SpectrumAutoencoder, latents: np.ndarray) -> np.ndarray:
    """Rest-frame spectra of latents (N, S) over their mean flux in 3800-7000 Angstrom, (N, M)."""

    restframe = model.decode(torch.from_numpy(latents.astype(np.float32))).numpy()
    inside = compared(model.transform.restframe.wavelength)
    return restframe / restframe[:, inside].mean(axis=1, keepdims=True)


def spectral_indices(wavelength: np.ndarray, restframe: np.ndarray) -> pd.DataFrame:
    """The columns of `INDICES` of noiseless rest-frame spectra.

    Args:
        wavelength: Angstrom, vacuum, shape (M,).
        restframe: Shape (N, M).
    """

    # Only what the indices look at: they cost as much as there are pixels.
    inside = compared(wavelength)
    wavelength, restframe = wavelength[inside], restframe[:, inside].astype(np.float64)
    ivar = np.ones_like(restframe)
    return pd.DataFrame(
        {
            "d4000": break_4000(wavelength, restframe, ivar).value,
            "h_delta": h_delta(wavelength, restframe, ivar).value,
            "halpha": emission_line(wavelength, restframe, ivar, _HALPHA)[1].value,
            "oiii": emission_line(wavelength, restframe, ivar, _OIII)[1].value,
        }
    )


def generation_tables(
    model: SpectrumAutoencoder, samples: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the spectra of latents look like.

    Args:
        model: The trained model.
        samples: Latents by name of the sample, each of shape (N, S).

    Returns:
        The columns of `INDEX_COLUMNS`, one row per spectrum, and those of `GENERATED_COLUMNS` of a
        few spectra of each sample, from the least 4000 Angstrom break to the greatest.
    """

    wavelength = model.transform.restframe.wavelength
    inside = compared(wavelength)
    indices, spectra = [], []
    for name, latents in samples.items():
        restframe = decoded(model, latents)
        measured = spectral_indices(wavelength, restframe)
        indices.append(measured.assign(sample=name))
        ordered = np.argsort(measured["d4000"].to_numpy(), kind="stable")
        for order, quantile in enumerate(_SHOWN):
            flux = restframe[ordered[int(quantile * (len(ordered) - 1))], inside]
            columns = {
                "sample": name,
                "order": order,
                "wavelength": wavelength[inside],
                "flux": flux,
            }
            spectra.append(pd.DataFrame(columns))
    return pd.concat(indices, ignore_index=True), pd.concat(spectra, ignore_index=True)


def compared(wavelength: np.ndarray) -> np.ndarray:
    """Which wavelengths, shape (M,), are within `COMPARED`."""

    return (wavelength >= COMPARED[0]) & (wavelength <= COMPARED[1])

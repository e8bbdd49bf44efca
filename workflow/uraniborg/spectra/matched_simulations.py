"""What a model reaches on simulated galaxies that are seen as well as given real ones.

Reduced chi-squared of real spectra depends on their pipeline's errors, which are too large for
bright objects: part of the reported variance is no noise at all. Simulated galaxies with errors
that are reported in the same way are the level to compare with, not one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.losses import reduced_chi2
from uraniborg.surveys.preparation import normalisation, signal_to_noise
from uraniborg.tables import Spectra

__all__ = ["matched", "simulated_levels"]

_BRIGHTER = (1, 2, 4, 8, 16, 32)
"""Factors on the flux of simulated galaxies: real spectra that people keep are bright."""


@torch.inference_mode()
def simulated_levels(
    model: SpectrumAutoencoder,
    truth: Spectra,
    rows: np.ndarray,
    spectrograph: Spectrograph,
    seed: int = 1,
) -> pd.DataFrame:
    """Reduced chi-squared of simulated galaxies, made brighter by several factors.

    Args:
        model: The trained model.
        truth: Noiseless simulated spectra.
        rows: Those to use, which the model has not seen.
        spectrograph: What observes them.
        seed: Of the noise.

    Returns:
        `snr`, `quiescent`, `reduced_chi2` of the model and `truth_reduced_chi2`.
    """

    # Spectra of truth have been miscalibrated already.
    spectrograph = replace(spectrograph, calibration=(0.0,), errors="reported")
    generator = torch.Generator().manual_seed(seed)
    z = torch.tensor(truth.column("z")[rows])
    parts = []
    for factor in _BRIGHTER:
        clean = torch.from_numpy(truth.vectors("flux", rows)) * factor
        seen = spectrograph.expose(clean, torch.ones_like(clean, dtype=torch.bool), generator)
        arrays = seen.flux.numpy(), seen.ivar.numpy()
        norm = normalisation(spectrograph.grid.wavelength, *arrays, z.numpy())
        good = norm > 0
        scale = torch.from_numpy(norm[good]).float()[:, None]
        flux, ivar = seen.flux[good] / scale, seen.ivar[good] * scale**2
        made = model(flux, ivar, z[good]).observed
        noiseless = seen.truth[good] / scale
        parts.append(
            pd.DataFrame(
                {
                    "snr": signal_to_noise(*arrays)[good],
                    "quiescent": truth.column("quiescent")[rows][good].astype(bool),
                    "reduced_chi2": reduced_chi2(flux, ivar, made, model.parameters_per_object),
                    "truth_reduced_chi2": reduced_chi2(flux, ivar, noiseless, 0),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def matched(
    levels: pd.DataFrame,
    snr: Sequence[float],
    quiescent: Sequence[bool],
    column: str = "reduced_chi2",
    neighbours: int = 50,
) -> np.ndarray:
    """Medians over the simulated galaxies of the same class and nearest in S/N, shape (N,).

    Args:
        levels: See `simulated_levels`.
        snr: Median signal-to-noise ratios of N real spectra.
        quiescent: Whether each is of a galaxy without emission lines.
        column: What to take the median of.
        neighbours: Over how many.
    """

    output = []
    for ratio, quiet in zip(snr, quiescent, strict=True):
        same = levels[levels["quiescent"] == quiet]
        distance = np.abs(np.log(same["snr"].clip(lower=0.1) / ratio))
        nearest = distance.sort_values(kind="stable").index[:neighbours]
        output.append(same.loc[nearest, column].median())
    return np.array(output)

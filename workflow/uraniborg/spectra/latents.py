"""What latents know of galaxies: how many of their directions are measured, and linear probes."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from scipy.linalg import eigh
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import SpectraDataset
from uraniborg.tables import Column, Spectra

__all__ = [
    "MODE_COLUMNS",
    "PARAMETERS",
    "PROBE_COLUMNS",
    "SPACE_COLUMNS",
    "Modes",
    "Probe",
    "degrees_of_freedom",
    "galaxy_parameters",
    "linear_probe",
    "noiseless_latents",
    "participation_ratio",
    "probe_numbers",
    "probe_table",
    "signal_modes",
]

PARAMETERS = {
    "log_stellar_mass": "log10 of the mass in living stars in M_sun",
    "log_sfr": "log10 of the SFR of the last 100 Myr in M_sun / yr",
    "log_ssfr": "log10 of SFR over stellar mass in 1 / yr",
    "log_metallicity": "log10 of the metallicity of the stars over Z_sun",
    "A_V": "Attenuation at V by diffuse dust in mag",
    "age": "Mean age of the stars by mass formed in Gyr",
    "log_dispersion": "log10 of the stars' velocity dispersion in km/s",
}
"""Physical parameters that latents are held against, with their descriptions."""


SPACE_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("direction_0", pa.float64(), "", "Along the direction measured best, in its noise"),
    Column("direction_1", pa.float64(), "", "Along the second, in its noise"),
    *(Column(name, pa.float64(), "", text) for name, text in PARAMETERS.items()),
)
"""Columns of held-out galaxies in the latent space."""

MODE_COLUMNS = (
    Column("direction", pa.int64(), "", "Number of the direction, from 0 for the best"),
    Column("ratio", pa.float64(), "", "Variance over galaxies in units of the noise's"),
)
"""Columns of how well the directions of the latent space are measured."""

PROBE_COLUMNS = (
    Column("target", pa.string(), "", "Physical parameter"),
    Column("inputs", pa.string(), "", "What it is told from: latents, brightness and z, or both"),
    Column("r2", pa.float64(), "", "Share of its variance over test galaxies that is explained"),
    Column("error", pa.float64(), "", "Its standard error by bootstrap"),
    Column("control", pa.float64(), "", "The same with targets shuffled, mean over shuffles"),
    Column("control_error", pa.float64(), "", "Standard deviation over shuffles"),
    Column("n", pa.int64(), "", "Test galaxies"),
)
"""Columns of the table that `probe_table` makes."""


def galaxy_parameters(truth: pd.DataFrame) -> pd.DataFrame:
    """The physical parameters of simulated galaxies, contaminants and anomalies left out.

    Args:
        truth: The scalar columns of the noiseless shards.

    Returns:
        `object_id` and the columns of `PARAMETERS`.
    """

    galaxies = truth[(truth["kind"] == "galaxy") & (truth["anomaly"] == "none")]
    parameters = pd.DataFrame(
        {
            "object_id": galaxies["object_id"],
            "log_stellar_mass": galaxies["stellar_mass"],
            "log_sfr": galaxies["log_sfr"],
            "log_ssfr": galaxies["log_sfr"] - galaxies["stellar_mass"],
            "log_metallicity": galaxies["log_metallicity"],
            "A_V": galaxies["A_V"],
            "age": galaxies["age"],
            "log_dispersion": np.log10(galaxies["velocity_dispersion"]),
        }
    )
    return parameters.reset_index(drop=True)


@torch.inference_mode()
def noiseless_latents(
    model: SpectrumAutoencoder, dataset: SpectraDataset, truth: Spectra, batch_size: int = 512
) -> np.ndarray:
    """What the latents would be without noise but with the same gaps, shape (N, S).

    Args:
        model: The trained model.
        dataset: Spectra of a simulated survey.
        truth: All noiseless spectra of the same survey.
        batch_size: Spectra in memory at a time.
    """

    parts = []
    for start in range(0, len(dataset), batch_size):
        here = np.arange(start, min(start + batch_size, len(dataset)))
        batch = dataset.batch(here)
        flux = truth.vectors("flux", dataset.rows[here]) / dataset.norm[here, None]
        parts.append(model.encode(torch.from_numpy(flux), batch.ivar, batch.z))
    return torch.cat(parts).numpy()


class Modes(NamedTuple):
    """Directions of the latent space by how well they are measured.

    Attributes:
        directions: Columns that project latents on the directions, in units of the noise's
            standard deviation, uncorrelated with each other, shape (S, S).
        ratio: Variance over galaxies in units of the noise's, falling, shape (S,). It includes the
            noise: one means that nothing is measured.
    """

    directions: np.ndarray
    ratio: np.ndarray


def signal_modes(latents: np.ndarray, errors: np.ndarray) -> Modes:
    """Directions in which galaxies differ most in units of the noise.

    They do not depend on the scales of the latents nor on how they are mixed, which training leaves
    open: they solve C v = ratio E v, with C the covariance of the latents and E that of the noise.

    Args:
        latents: Shape (N, S).
        errors: What noise changed in the latents of galaxies, shape (M, S).

    Raises:
        ValueError: There are no more galaxies than latents.
    """

    if min(len(latents), len(errors)) <= latents.shape[1]:
        raise ValueError("covariances of latents need more galaxies than latents")
    noise = errors.T @ errors / len(errors)
    # Directions without any noise would have no scale.
    noise += 1e-9 * np.trace(noise) * np.eye(len(noise))
    ratio, directions = eigh(np.cov(latents.T), noise)
    largest = np.abs(directions).argmax(axis=0)
    sign = np.sign(directions[largest, np.arange(len(largest))])
    return Modes((directions * sign)[:, ::-1], ratio[::-1])


def participation_ratio(latents: np.ndarray) -> float:
    """How many uncorrelated directions the latents would fill evenly: (tr C)^2 / tr C^2.

    C is the correlation matrix, so that scales of the latents do not count. The ratio is S where
    latents are uncorrelated and one where they are copies of each other.

    Args:
        latents: Shape (N, S).
    """

    correlation = np.atleast_2d(np.corrcoef(latents.T))
    return float(np.trace(correlation) ** 2 / np.square(correlation).sum())


def degrees_of_freedom(
    latents: np.ndarray, errors: np.ndarray, draws: int = 100, seed: int = 0
) -> dict[str, dict[str, float]]:
    """How many numbers the latents really are, each with its standard error by bootstrap.

    `latent_participation_ratio` is that of the latents, `latent_measured_directions` counts the
    directions of `signal_modes` in which galaxies differ by more than the noise, and
    `latent_information` is what is learned of a galaxy, in bits, if all were Gaussian:
    the sum of log2(ratio) / 2.

    Args:
        latents: Shape (N, S).
        errors: What noise changed in them, shape (N, S).
        draws: Bootstrap samples.
        seed: Of the bootstrap.
    """

    def numbers(rows: np.ndarray) -> tuple[float, ...]:
        ratio = signal_modes(latents[rows], errors[rows]).ratio
        information = np.log2(np.maximum(ratio, 1)).sum() / 2
        return participation_ratio(latents[rows]), (ratio > 2).sum(), information

    every = np.arange(len(latents))
    samples = np.random.default_rng(seed).choice(every, (draws, len(every)))
    errors_of = np.std([numbers(sample) for sample in samples], axis=0)
    names = ("latent_participation_ratio", "latent_measured_directions", "latent_information")
    return {
        name: {"value": float(value), "uncertainty": float(error), "n": len(every)}
        for name, value, error in zip(names, numbers(every), errors_of, strict=True)
    }


class Probe(NamedTuple):
    """How well a linear map tells a parameter.

    Attributes:
        r2: Share of the variance over test objects that is explained.
        error: Its standard error by bootstrap over test objects.
        control: The same with targets shuffled before the fit, mean over shuffles.
        control_error: Standard deviation over shuffles.
    """

    r2: float
    error: float
    control: float
    control_error: float


def linear_probe(
    inputs: np.ndarray,
    target: np.ndarray,
    test_inputs: np.ndarray,
    test_target: np.ndarray,
    seed: int = 0,
    draws: int = 200,
    shuffles: int = 20,
) -> Probe:
    """Ridge regression on one set of objects (its strength by leave-one-out), judged on another.

    Args:
        inputs: Shape (M, D).
        target: Shape (M,).
        test_inputs: Shape (N, D).
        test_target: Shape (N,).
        seed: Of bootstrap and shuffles.
        draws: Bootstrap samples.
        shuffles: Fits with shuffled targets.
    """

    random = np.random.default_rng(seed)

    def fitted(values: np.ndarray) -> np.ndarray:
        ridge = RidgeCV(np.logspace(-2, 5, 15))
        return make_pipeline(StandardScaler(), ridge).fit(inputs, values).predict(test_inputs)

    prediction = fitted(target)
    samples = random.integers(len(test_target), size=(draws, len(test_target)))
    boots = [_r2(test_target[sample], prediction[sample]) for sample in samples]
    controls = [_r2(test_target, fitted(random.permutation(target))) for _ in range(shuffles)]
    return Probe(
        _r2(test_target, prediction),
        float(np.std(boots)),
        float(np.mean(controls)),
        float(np.std(controls)),
    )


def probe_table(galaxies: pd.DataFrame) -> pd.DataFrame:
    """Linear probes of all `PARAMETERS`, fitted on valid and judged on test galaxies.

    Spectra are normalised and at rest, so that latents do not contain how bright and how far a
    galaxy is, which mass and SFR depend on: these are inputs of their own.

    Args:
        galaxies: `split`, `norm`, `z`, latents and the columns of `PARAMETERS`.

    Returns:
        The columns of `PROBE_COLUMNS`.
    """

    latents = galaxies.filter(regex=r"^latent_\d+$").to_numpy(float)
    brightness = np.column_stack([np.log10(galaxies["norm"]), galaxies["z"]])
    inputs = {
        "latents": latents,
        "brightness and z": brightness,
        "both": np.column_stack([latents, brightness]),
    }
    valid, test = (galaxies["split"].to_numpy() == part for part in ("valid", "test"))
    rows = []
    for name in PARAMETERS:
        target = galaxies[name].to_numpy()
        for label, values in inputs.items():
            probe = linear_probe(values[valid], target[valid], values[test], target[test])
            rows.append({"target": name, "inputs": label, **probe._asdict(), "n": int(test.sum())})
    return pd.DataFrame(rows)


def probe_numbers(probes: pd.DataFrame) -> dict[str, dict[str, float]]:
    """What claims are held against: R2 by parameter from the latents alone (`probe_{name}`) and
    with brightness and z (`probe_{name}_with_brightness`), and the worst of the shuffled ones.

    Args:
        probes: As `probe_table` gives them.
    """

    numbers = {}
    for row in probes.itertuples():
        suffix = {"latents": "", "both": "_with_brightness"}.get(row.inputs)
        if suffix is not None:
            number = {"value": row.r2, "uncertainty": row.error, "n": row.n}
            numbers[f"probe_{row.target}{suffix}"] = number
    worst = probes.loc[probes["control"].idxmax()]
    numbers["probe_shuffled_control"] = {
        "value": float(worst["control"]),
        "uncertainty": float(worst["control_error"]),
        "n": int(worst["n"]),
    }
    return numbers


def _r2(target: np.ndarray, prediction: np.ndarray) -> float:
    residual = np.square(target - prediction).mean()
    return float(1 - residual / target.var())

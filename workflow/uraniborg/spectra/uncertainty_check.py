"""Errors of reconstructions held against the truth, and how much of the noise is left in them."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch
from uraniborg.spectra.lines import LINES
from uraniborg.spectra.uncertainty import ErrorModel, latent_covariance, uncertainties
from uraniborg.tables import Column

__all__ = [
    "CURVE_COLUMNS",
    "SUPPRESSION_COLUMNS",
    "Errors",
    "coverage",
    "coverage_by_snr",
    "curve_table",
    "measure",
    "numbers",
    "spectrum_table",
    "suppression_table",
]

CURVE_COLUMNS = (
    Column("panel", pa.string(), "", "Panel of the figure: pulls, coverage, snr or spectrum"),
    Column("series", pa.string(), "", "Which curve"),
    Column("x", pa.float64(), "", "Pull, nominal coverage, S/N, or wavelength in Angstrom"),
    Column("y", pa.float64(), "", "Density, coverage, or flux density in 1e-17 cgs units"),
)
"""Columns of the curves that the figure of uncertainties is drawn from."""

SUPPRESSION_COLUMNS = (
    Column("object_id", pa.string(), "", "Identifier, unique within the survey"),
    Column("snr", pa.float64(), "", "Median signal-to-noise ratio per good pixel"),
    Column("model", pa.float64(), "", "Rms of model - truth over rms of the noise"),
    Column("principal_components", pa.float64(), "", "The same of as many principal components"),
    Column("predicted", pa.float64(), "", "What the uncertainties expect, without the truth"),
    Column("incoherent", pa.float64(), "", "Root of fitted numbers over good pixels"),
    Column("excess_chi2", pa.float64(), "", "Mean of ivar (model - truth)^2 over good pixels"),
    Column("pca_excess_chi2", pa.float64(), "", "The same of principal components"),
)
"""Columns of what is left of the noise, one row per object."""

# Pixels within 500 km/s of a line of `LINES` are line pixels, others are continuum.
_LINE_WIDTH = 500 / 299792.458
_BATCH = 64
_SNR_BINS = 5
_LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95, 0.99])


class Errors(NamedTuple):
    """What N reconstructions are wrong by, and what their uncertainties say; NaN where masked.

    Attributes:
        latent: Latents less those of the noiseless spectrum, shape (N, S).
        latent_sigma: Their standard deviations.
        ivar_sigma: Their standard deviations if noise were as the inverse variances say.
        observed: Reconstruction less truth in units of the norm, shape (N, L).
        sigma: Its standard deviation.
        noise_sigma: Standard deviation of the data.
        lines: Pixels that belong to spectral lines, shape (N, L).
    """

    latent: Tensor
    latent_sigma: Tensor
    ivar_sigma: Tensor
    observed: Tensor
    sigma: Tensor
    noise_sigma: Tensor
    lines: Tensor

    def pulls(self) -> dict[str, Tensor]:
        """Errors over their standard deviations by kind, (N, S) or (N, L)."""

        pixels = self.observed / self.sigma
        return {
            "latents": self.latent / self.latent_sigma,
            "continuum": pixels.masked_fill(self.lines, torch.nan),
            "lines": pixels.masked_fill(~self.lines, torch.nan),
        }

    def control_pulls(self) -> dict[str, Tensor]:
        """The same of wrong standard deviations, by what is wrong with them."""

        order = torch.randperm(len(self.sigma), generator=torch.Generator().manual_seed(1))
        return {
            "latents, inverse variances alone": self.latent / self.ivar_sigma,
            "pixels, errors of the data": self.observed / self.noise_sigma,
            "pixels, errors of others": self.observed / self.sigma[order],
        }

    @classmethod
    def of(cls, parts: list[Self]) -> Self:
        """Those of all parts together."""

        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))


def measure(
    model: SpectrumAutoencoder, batch: Batch, truth: Tensor, norm: Tensor, errors: ErrorModel
) -> Errors:
    """Errors and uncertainties of N simulated spectra.

    Args:
        model: The trained model.
        batch: The spectra.
        truth: The noiseless ones in units of the norm, shape (N, L).
        norm: Their norms, shape (N,).
        errors: The error model.
    """

    groups = zip(*(tensor.split(_BATCH) for tensor in (*batch, truth, norm)), strict=True)
    with torch.no_grad():
        return Errors.of(
            [_measure(model, Batch(*group[:3]), *group[3:], errors) for group in groups]
        )


def coverage(pulls: Tensor, nominal: float) -> dict[str, float]:
    """Fraction of errors within the interval that should hold the fraction `nominal`, as
    `uraniborg.claims.evaluate` takes it.

    Args:
        pulls: Errors over standard deviations, shape (N, P), NaN where there is none.
        nominal: Such as 0.68.
    """

    inside, number = _counts(pulls, nominal)
    return _bootstrap(lambda rows: inside[rows].sum(-1) / number[rows].sum(-1), len(pulls))


def coverage_by_snr(pulls: Tensor, snr: np.ndarray, nominal: float = 0.68) -> np.ndarray:
    """Median S/N and coverage of objects in bins of equal number, shape (2, bins)."""

    inside, number = _counts(pulls, nominal)
    bins = np.array_split(np.argsort(snr, kind="stable"), min(_SNR_BINS, len(snr)))
    return np.transpose(
        [(np.median(snr[rows]), inside[rows].sum() / number[rows].sum()) for rows in bins]
    )


def suppression_table(
    object_id: np.ndarray,
    snr: np.ndarray,
    batch: Batch,
    truth: Tensor,
    errors: Errors,
    principal_components: Tensor,
    parameters: int,
) -> pd.DataFrame:
    """What is left of the noise in each reconstruction.

    Args:
        object_id: Identifiers of N objects.
        snr: Their signal-to-noise ratios.
        batch: Their spectra.
        truth: The noiseless ones in units of the norm, shape (N, L).
        errors: Errors of their reconstructions.
        principal_components: Reconstructions by principal components, shape (N, L).
        parameters: Numbers that are fitted to each spectrum.

    Returns:
        The columns of `SUPPRESSION_COLUMNS`.
    """

    good = (batch.ivar > 0).sum(dim=1)

    def excess(error: Tensor) -> Tensor:
        return (batch.ivar * error.nan_to_num().square()).sum(dim=1) / good

    noise = excess(batch.flux - truth)
    model, linear = excess(errors.observed), excess(principal_components - truth)
    values = {
        "model": (model / noise).sqrt(),
        "principal_components": (linear / noise).sqrt(),
        "predicted": (excess(errors.sigma) / noise).sqrt(),
        "incoherent": (parameters / good).sqrt(),
        "excess_chi2": model,
        "pca_excess_chi2": linear,
    }
    columns = {name: value.double().numpy() for name, value in values.items()}
    return pd.DataFrame({"object_id": object_id, "snr": snr, **columns})


def numbers(errors: Errors, suppression: pd.DataFrame) -> dict[str, dict[str, float]]:
    """What is claimed of uncertainties and noise, by the claims' names.

    Args:
        errors: Errors of N objects.
        suppression: The table of `suppression_table` of the same objects.
    """

    snr = suppression["snr"].to_numpy()
    kinds, controls = errors.pulls(), errors.control_pulls()
    measured = {
        f"{name}_coverage_{level}": coverage(kinds[kind], level / 100)
        for name, kind in (("latent", "latents"), ("continuum", "continuum"), ("line", "lines"))
        for level in (68, 95)
    }
    by_snr = np.concatenate([coverage_by_snr(pulls, snr)[1] for pulls in kinds.values()])
    others = coverage_by_snr(controls["pixels, errors of others"], snr)[1]
    count = len(snr)
    measured |= {
        "worst_coverage_68": _alone(by_snr[np.argmax(np.abs(by_snr - 0.68))], count),
        "data_errors_control": coverage(controls["pixels, errors of the data"], 0.68),
        "shuffled_errors_control": _alone(others.min(), count),
        "ivar_errors_control": coverage(controls["latents, inverse variances alone"], 0.68),
    }
    # The fifth of the sample around its median S/N.
    middle = suppression.iloc[np.array_split(np.argsort(snr, kind="stable"), 5)[2]]
    left = middle["model"].to_numpy()
    model, linear = suppression[["excess_chi2", "pca_excess_chi2"]].to_numpy().T
    return measured | {
        "noise_suppression_at_median_snr": _bootstrap(
            lambda rows: np.median(left[rows], axis=-1), len(left)
        ),
        "excess_chi2_gain": _bootstrap(
            lambda rows: 1 - np.median(model[rows], axis=-1) / np.median(linear[rows], axis=-1),
            count,
        ),
    }


def curve_table(errors: Errors, snr: np.ndarray) -> pd.DataFrame:
    """Distributions of pulls, coverage by nominal coverage and by S/N, and what controls give.

    Returns:
        The columns of `CURVE_COLUMNS`.
    """

    edges = np.linspace(-5, 5, 51)
    kinds, controls = errors.pulls(), errors.control_pulls()
    parts = []
    for kind, pulls in kinds.items():
        density, _ = np.histogram(pulls[pulls.isfinite()].numpy(), edges, density=True)
        parts.append(_curve("pulls", kind, 0.5 * (edges[1:] + edges[:-1]), density))
    for name, pulls in (kinds | controls).items():
        counts = [_counts(pulls, level) for level in _LEVELS]
        covered = [inside.sum() / number.sum() for inside, number in counts]
        parts.append(_curve("coverage", name, _LEVELS, covered))
        parts.append(_curve("snr", name, *coverage_by_snr(pulls, snr)))
    return pd.concat(parts, ignore_index=True)


def spectrum_table(
    wavelength: np.ndarray, batch: Batch, truth: Tensor, norm: Tensor, errors: Errors, row: int
) -> pd.DataFrame:
    """One of the spectra with its reconstruction, truth and errors as flux density.

    Returns:
        The columns of `CURVE_COLUMNS`, wavelengths in the observed frame.
    """

    curves = {
        "flux": batch.flux[row].masked_fill(batch.ivar[row] <= 0, torch.nan),
        "noise": errors.noise_sigma[row],
        "model": truth[row] + errors.observed[row],
        "sigma": errors.sigma[row],
        "truth": truth[row],
    }
    return pd.concat(
        [
            _curve("spectrum", name, wavelength, (norm[row] * values).numpy())
            for name, values in curves.items()
        ],
        ignore_index=True,
    )


def _measure(
    model: SpectrumAutoencoder, batch: Batch, truth: Tensor, norm: Tensor, errors: ErrorModel
) -> Errors:
    good = batch.ivar > 0
    reconstruction = model(*batch)
    noiseless = model.encode(truth.masked_fill(~good, 0.0), batch.ivar, batch.z)
    uncertainty = uncertainties(model, batch, norm, errors)
    reported = latent_covariance(model, batch, norm, ErrorModel.ideal(model.transform))
    return Errors(
        reconstruction.latent - noiseless,
        uncertainty.latent.diagonal(dim1=1, dim2=2).sqrt(),
        reported.diagonal(dim1=1, dim2=2).sqrt(),
        (reconstruction.observed - truth).masked_fill(~good, torch.nan),
        uncertainty.observed.masked_fill(~good, torch.nan),
        batch.ivar.rsqrt().masked_fill(~good, torch.nan),
        _line_pixels(model, batch.z),
    )


def _line_pixels(model: SpectrumAutoencoder, z: Tensor) -> Tensor:
    wavelength = torch.from_numpy(model.transform.observed.wavelength)
    restframe = wavelength / (1 + z.double())[:, None]
    near = [(restframe / line.wavelength - 1).abs() < _LINE_WIDTH for line in LINES]
    return torch.stack(near).any(dim=0)


def _counts(pulls: Tensor, nominal: float) -> tuple[np.ndarray, np.ndarray]:
    """Errors within the interval, and all, of each object."""

    limit = torch.special.ndtri(torch.tensor(0.5 + 0.5 * nominal, dtype=torch.float64)).item()
    return (pulls.abs() < limit).sum(dim=1).numpy(), pulls.isfinite().sum(dim=1).numpy()


def _bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], count: int, draws: int = 200
) -> dict[str, float]:
    """A statistic of row numbers (..., count) with its standard error over objects."""

    rows = np.random.default_rng(1).integers(count, size=(draws, count))
    return {
        "value": float(statistic(np.arange(count))),
        "uncertainty": float(np.nanstd(statistic(rows))),
        "n": count,
    }


def _alone(value: float, count: int) -> dict[str, float]:
    """A number without a standard error."""

    return {"value": float(value), "n": count}


def _curve(panel: str, series: str, x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"panel": panel, "series": series, "x": x, "y": y})

"""Comparison of simulated empty sky with real sky fibres."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from uraniborg.instruments.noise_fit_targets import TargetSpectra, detrended, smooth_flux
from uraniborg.instruments.spectrograph import Spectrograph
from uraniborg.tables import Column

__all__ = [
    "CHECK_COLUMNS",
    "compare_noise",
    "compare_targets",
    "noise_statistics",
    "observe_empty_sky",
    "summary",
]

CHECK_COLUMNS = (
    Column("region", pa.string(), "", "Third of the grid: blue, green or red; or all"),
    Column("lines", pa.string(), "", "Pixels taken: on or off night-sky lines, or both"),
    Column("statistic", pa.string(), "", "Quantity, of chi = flux * sqrt(ivar) but for sigma"),
    Column("real", pa.float64(), "", "Its value in real sky fibres"),
    Column("error", pa.float64(), "", "Standard error of `real`, by bootstrap over fibres"),
    Column("simulated", pa.float64(), "", "Its value in simulated empty sky"),
)
"""Columns of the comparison, one row per region and statistic."""

_LAGS = (1, 2, 3)


def observe_empty_sky(
    instrument: Spectrograph, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and ivar of fibres that no object's light enters, each of shape (count, grid.size)."""

    generator = torch.Generator().manual_seed(seed)
    dark = torch.zeros(count, instrument.grid.size)
    flux, ivar, _ = instrument.expose(dark, torch.full(dark.shape, True), generator)
    return flux.numpy(), ivar.numpy()


def noise_statistics(flux: np.ndarray, ivar: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """Statistics of the noise of empty spectra in some pixels.

    Args:
        flux: Flux densities, shape (N, M).
        ivar: Inverse variances, shape (N, M), zero where there are no data.
        where: Pixels to take, shape (M,); neighbours count if both are taken.

    Returns:
        `sigma`, the median reported error; of chi the standard deviation `std`, the quantiles of
        its absolute value that a Gaussian has at 1, 1.96 and 2.97 standard deviations, `q68`,
        `q95` and `q99.7`, the excess `kurtosis` and the autocorrelations `lag1`, `lag2`, `lag3`.
    """

    good = (ivar > 0) & where
    chi = np.where(good, np.nan_to_num(flux) * np.sqrt(ivar), 0)
    values = chi[good]
    variance = np.mean(values**2)
    statistics = {"sigma": np.median(ivar[good] ** -0.5), "std": np.sqrt(variance)}
    quantiles = np.quantile(np.abs(values), [0.6827, 0.95, 0.997])
    statistics |= dict(zip(("q68", "q95", "q99.7"), quantiles, strict=True))
    statistics["kurtosis"] = np.mean(values**4) / variance**2 - 3
    for lag in _LAGS:
        both = good[:, lag:] & good[:, :-lag]
        product = (chi[:, lag:] * chi[:, :-lag])[both].mean()
        statistics[f"lag{lag}"] = product / variance
    return {name: float(value) for name, value in statistics.items()}


def compare_noise(
    real: tuple[np.ndarray, np.ndarray],
    simulated: tuple[np.ndarray, np.ndarray],
    on_line: np.ndarray,
    seed: int = 0,
    bootstraps: int = 100,
) -> pd.DataFrame:
    """Statistics of real and simulated empty sky, by thirds of the grid, on and off sky lines.

    Args:
        real: Flux and ivar of real sky fibres, each (N, M).
        simulated: The same of simulated ones.
        on_line: Which pixels sky lines reach, shape (M,).
        seed: Of the bootstrap over real fibres.
        bootstraps: Number of its samples.

    Returns:
        Columns `CHECK_COLUMNS`.
    """

    generator = np.random.default_rng(seed)
    count = len(real[0])
    rows = []
    for region, lines, where in _regions(on_line):
        observed = noise_statistics(*real, where)
        modelled = noise_statistics(*simulated, where)
        samples = []
        for _ in range(bootstraps):
            chosen = generator.integers(count, size=count)
            samples.append(noise_statistics(real[0][chosen], real[1][chosen], where))
        errors = pd.DataFrame(samples).std()
        for name, value in observed.items():
            rows.append((region, lines, name, value, errors[name], modelled[name]))
    return pd.DataFrame(rows, columns=[column.name for column in CHECK_COLUMNS])


def compare_targets(
    instrument: Spectrograph, real: TargetSpectra, copies: int, seed: int, bootstraps: int = 100
) -> pd.DataFrame:
    """Noise of real targets and of simulated ones that have the same smooth spectra.

    Of both, what is left after a running median is taken for noise where the targets are quiet. The
    depth of an exposure is divided out of the real errors, so that `sigma` compares how they depend
    on wavelength and flux.

    Args:
        instrument: Simulates the targets.
        real: Targets.
        copies: How often to simulate each.
        seed: Of the simulation and of the bootstrap over real targets.
        bootstraps: Number of the bootstrap's samples.

    Returns:
        Columns `CHECK_COLUMNS`.
    """

    curves = instrument.noise.curves
    good = (real.ivar > 0) & np.isfinite(real.flux)
    smooth = np.array([smooth_flux(row) for row in np.where(good, real.flux, np.nan)]).clip(0)
    expected = curves["sigma"].to_numpy() ** 2 + curves["photon"].to_numpy() * smooth
    reported = np.where(good, real.ivar, np.nan) ** -1 - (real.floor[:, None] * smooth) ** 2
    depth = np.nanmedian(expected / reported, axis=1, keepdims=True)

    flux = torch.as_tensor(np.repeat(smooth, copies, axis=0), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    observation = instrument.expose(flux, torch.full(flux.shape, True), generator)
    quiet, observed = (np.repeat(mask, copies, axis=0) for mask in (real.quiet, good))
    # What the survey masks is taken from the simulation, too.
    ivar = np.where(observed, observation.ivar.numpy(), 0)
    simulated = detrended(observation.flux.numpy(), ivar, quiet), ivar
    rest = detrended(real.flux, real.ivar, real.quiet) * np.sqrt(depth), real.ivar / depth
    on_line = curves["family"].to_numpy() >= 0
    return compare_noise(
        *((flux, np.where(np.isfinite(flux), ivar, 0)) for flux, ivar in (rest, simulated)),
        on_line,
        seed,
        bootstraps,
    )


def _regions(on_line: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    third = np.arange(len(on_line)) * 3 // len(on_line)
    parts = {"blue": third == 0, "green": third == 1, "red": third == 2}
    parts["all"] = np.full(len(on_line), True)
    for region, where in parts.items():
        yield region, "both", where
        yield region, "on", where & on_line
        yield region, "off", where & ~on_line


def summary(table: pd.DataFrame) -> dict[str, float]:
    """Headline numbers of a comparison.

    Returns:
        Ratios simulated / real over the whole grid, `sigma_ratio`, `std_ratio` and `q99.7_ratio`;
        the largest differences of chi's standard deviation and lag-1 autocorrelation in any third,
        on or off lines, `std_worst` and `lag1_worst`; `chi_rms_real` and `chi_rms_simulated`.
    """

    indexed = table.set_index(["region", "lines", "statistic"])
    ratio = indexed["simulated"] / indexed["real"]
    split = indexed.query("region != 'all' and lines != 'both'")
    difference = (split["simulated"] - split["real"]).abs()
    numbers = {f"{name}_ratio": ratio["all", "both", name] for name in ("sigma", "std", "q99.7")}
    numbers |= {f"{name}_worst": difference.xs(name, level=2).max() for name in ("std", "lag1")}
    for kind in ("real", "simulated"):
        numbers[f"chi_rms_{kind}"] = indexed.loc[("all", "both", "std"), kind]
    return {name: round(float(value), 4) for name, value in numbers.items()}

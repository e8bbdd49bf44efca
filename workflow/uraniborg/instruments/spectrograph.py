"""Spectrographs: what a telescope makes of a spectrum."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from uraniborg.grids import WavelengthGrid
from uraniborg.instruments.lsf import convolve_lsf, lsf_kernels
from uraniborg.instruments.noise import NoiseModel, read_noise
from uraniborg.instruments.resampling import coverage, resample
from uraniborg.instruments.wavelengths import observed_grid

__all__ = ["Observation", "Spectrograph", "spectrograph"]

_RESOURCES = Path(__file__).resolve().parents[3] / "resources"


class Observation(NamedTuple):
    """Spectra as a survey delivers them, each of shape (N, grid.size), float32.

    `truth` is the noiseless flux density in the same pixels: redshifted, resampled, convolved with
    the line-spread function and multiplied by the flux-calibration error. `flux - truth` is the
    noise alone, which `ivar` describes. Pixels without data have ivar zero, and those beyond the
    ends of the spectrum have flux zero as well.
    """

    flux: Tensor
    ivar: Tensor
    truth: Tensor


@dataclass(frozen=True)
class Spectrograph:
    """A fibre spectrograph and its pipeline.

    Args:
        name: Its name.
        grid: Observed pixels.
        noise_table: File of its noise and line-spread function, read when first needed.
        calibration: Standard deviations of the coefficients, by Legendre order from zero, of the
            natural logarithm of the flux-calibration error.
        fibre_diameter: Diameter of a fibre on the sky in arcseconds.
        errors: `reported` gives the pipeline's inverse variances with their faults; `calibrated`
            gives the variance of the noise that was added.

    Example:
        >>> sdss = spectrograph("sdss")
        >>> flux, ivar, truth = sdss.observe(flux, rest_grid, z, generator)
    """

    name: str
    grid: WavelengthGrid
    noise_table: Path
    calibration: tuple[float, ...]
    fibre_diameter: float
    errors: Literal["reported", "calibrated"] = "reported"

    def __post_init__(self) -> None:
        if self.errors not in ("reported", "calibrated"):
            raise ValueError(f"errors are 'reported' or 'calibrated', not {self.errors!r}")

    @cached_property
    def noise(self) -> NoiseModel:
        """The noise model, read from the noise table."""

        return read_noise(self.noise_table)

    @cached_property
    def lsf(self) -> Tensor:
        """Standard deviation of the line-spread function in pixels, shape (grid.size,)."""

        return self._curve("lsf")

    def lsf_on(self, grid: WavelengthGrid) -> Tensor:
        """The same in pixels of another grid of observed wavelengths, shape (grid.size,)."""

        if grid == self.grid:
            return self.lsf
        width = self.lsf.double().numpy() * np.diff(self.grid.edges)
        sigma = np.interp(grid.wavelength, self.grid.wavelength, width) / np.diff(grid.edges)
        return torch.from_numpy(sigma).float()

    def view(self, flux: Tensor, rest_grid: WavelengthGrid, z: Tensor) -> Tensor:
        """The noiseless flux in observed pixels: resampled and convolved, not yet miscalibrated.

        Args:
            flux: Observed-frame flux density, shape (N, rest_grid.size), at the wavelengths of the
                rest grid times 1 + z.
            rest_grid: Rest-frame grid.
            z: Redshifts, shape (N,).

        Returns:
            Shape (N, grid.size). Differentiable.
        """

        kernels = self._kernels.to(flux.device)
        return convolve_lsf(resample(flux, rest_grid, self.grid, z), kernels)

    def observe(
        self, flux: Tensor, rest_grid: WavelengthGrid, z: Tensor, generator: Generator
    ) -> Observation:
        """Observes spectra, on the CPU: `view`, then `expose`.

        Args:
            flux: Observed-frame flux density in 1e-17 erg s-1 cm-2 Angstrom-1, shape
                (N, rest_grid.size), at the wavelengths of the rest grid times 1 + z.
            rest_grid: Rest-frame grid.
            z: Redshifts, shape (N,).
            generator: Source of all randomness; its state decides the result to the last bit.
        """

        clean = self.view(flux, rest_grid, z)
        return self.expose(clean, self.covered(rest_grid, z), generator)

    def covered(self, rest_grid: WavelengthGrid, z: Tensor) -> Tensor:
        """Pixels of `view` that owe nothing to wavelengths not given, within the kernel's reach.

        Args:
            rest_grid: Rest-frame grid.
            z: Redshifts, shape (N,).

        Returns:
            Shape (N, grid.size), bool. Those of a sum of views are the ones that all terms cover.
        """

        missing = (~coverage(rest_grid, self.grid, z)).float()[:, None]
        reach = len(self._kernels)
        return torch.nn.functional.max_pool1d(missing, reach, 1, reach // 2)[:, 0] == 0

    def expose(self, clean: Tensor, covered: Tensor, generator: Generator) -> Observation:
        """Adds what exposure and pipeline do: calibration error, noise, ends and bad pixels.

        Args:
            clean: Noiseless flux density in observed pixels, shape (N, grid.size), from `view` or
                a sum of views.
            covered: Pixels where it is known, shape (N, grid.size), from `covered`.
            generator: Source of all randomness; its state decides the result to the last bit.
        """

        truth = clean.float() * self._calibration_error(len(clean), generator)
        added, reported, calibrated = self._noise(truth, generator)
        variance = reported if self.errors == "reported" else calibrated

        covered = covered & self._extent(len(clean), generator)
        good = covered & ~self._bad_pixels(len(clean), generator)
        flux = torch.where(covered, truth + added, 0)
        return Observation(flux, torch.where(good, 1 / variance, 0), truth)

    def _noise(self, truth: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Noise, the variance that the pipeline reports, and the noise's own variance."""

        model, count = self.noise, len(truth)
        normal = torch.randn(count, 3, generator=generator)
        level = torch.exp(model.level * normal[:, :1] + model.tilt * normal[:, 1:2] * self._x)
        photons = level**2 * (
            self._curve("sigma") ** 2 + self._curve("photon") * truth.clamp(min=0)
        )
        reported = photons + (model.floor * truth) ** 2
        spread = torch.exp(model.spread * normal[:, 2:] - model.spread**2)
        random = photons * (self._curve("scatter") * spread) ** 2

        shapes, amplitudes = (torch.as_tensor(x, dtype=torch.float32) for x in model.templates)
        shapes = shapes * amplitudes[:, None]
        residual = torch.randn(count, len(shapes), generator=generator) @ shapes
        white = torch.randn(count, self.grid.size, generator=generator)
        tails = torch.randn(white.shape, generator=generator)
        # This factor's mean square is one, as that of `spread`.
        width = torch.exp(model.tails * tails - model.tails**2)
        added = random.sqrt() * width * convolve_lsf(white, self._noise_kernels) + residual
        return added, reported, random + (shapes**2).sum(0)

    def _calibration_error(self, count: int, generator: Generator) -> Tensor:
        coefficients = torch.randn(count, len(self.calibration), generator=generator)
        legendre = np.polynomial.legendre.legvander(self._x.numpy(), len(self.calibration) - 1)
        shapes = torch.as_tensor(legendre.T * np.array(self.calibration)[:, None])
        return torch.exp(coefficients @ shapes.float())

    def _extent(self, count: int, generator: Generator) -> Tensor:
        """Pixels between each spectrum's own ends, which differ by plate and fibre."""

        uniform = torch.rand(count, 2, generator=generator).numpy()
        start, end = (
            torch.as_tensor(np.interp(uniform[:, i], np.linspace(0, 1, len(ends)), ends))[:, None]
            for i, ends in enumerate((self.noise.starts, self.noise.ends))
        )
        coordinate = torch.as_tensor(np.log10(self.grid.wavelength))
        return (coordinate >= start) & (coordinate <= end)

    def _bad_pixels(self, count: int, generator: Generator) -> Tensor:
        """Runs of bad pixels of exponentially distributed lengths, and single ones."""

        model, size = self.noise, self.grid.size
        bad = torch.rand(count, size, generator=generator) < model.bad_singles / size
        runs = torch.poisson(torch.full((count,), model.bad_runs), generator=generator).long()
        for i in torch.nonzero(runs).flatten().tolist():
            uniform = torch.rand(int(runs[i]), 2, generator=generator)
            starts = (uniform[:, 0] * size).long()
            lengths = (-model.bad_run_length * torch.log1p(-uniform[:, 1])).long() + 1
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                bad[i, start : start + length] = True
        return bad

    def _curve(self, name: str) -> Tensor:
        return torch.as_tensor(self.noise.curves[name].to_numpy().copy())

    @cached_property
    def _x(self) -> Tensor:
        return torch.linspace(-1, 1, self.grid.size)

    @cached_property
    def _kernels(self) -> Tensor:
        return lsf_kernels(self.lsf)

    @cached_property
    def _noise_kernels(self) -> Tensor:
        """Kernels that give white noise its autocorrelation and keep its variance one."""

        lags = torch.stack([self._curve(f"lag_{lag}") for lag in (1, 2, 3)]).double()
        # The symmetric kernel whose Fourier transform is the root of the power spectrum.
        angle = 2 * math.pi * torch.arange(32).double() / 32
        cosines = torch.cos(angle[:, None] * torch.arange(5))
        power = 1 + 2 * cosines[:, 1:4] @ lags
        half = (cosines.T @ power.clamp(min=0).sqrt()) / len(angle)
        kernels = torch.cat([half.flip(0)[:-1], half])
        return (kernels / kernels.square().sum(0).sqrt()).float()


def spectrograph(
    name: str,
    noise_table: str | Path | None = None,
    errors: Literal["reported", "calibrated"] = "reported",
) -> Spectrograph:
    """A spectrograph by its name.

    `sdss` stands for the spectrographs of SDSS-I/II with fibres of 3 arcsec, `boss` for those of
    SDSS-III/IV with fibres of 2 arcsec (Smee et al. 2013, AJ 146, 32), and `desi` for those of
    DESI, whose three arms are merged by inverse variance, with fibres of 1.5 arcsec (DESI
    Collaboration 2022, AJ 164, 207), after a nominal exposure of the bright programme.

    Flux-calibration errors of `sdss` amount to 4% in r and in g - r and 3% in r - i, as synthetic
    magnitudes scatter about photometric ones (Adelman-McCarthy et al. 2008, ApJS 175, 297). Those
    of `boss` are assumed to be half as large again, because its smaller fibres lose more light to
    guiding and atmospheric refraction, and those of `desi` to be as large as those of `sdss`.

    Args:
        name: One of `uraniborg.instruments.wavelengths.GRIDS`.
        noise_table: Its noise table, by default the one that ships in resources/.
        errors: See `Spectrograph`.

    Raises:
        UserError: There is no spectrograph of this name.
    """

    grid = observed_grid(name)
    table = Path(noise_table or _RESOURCES / f"{name}_noise.parquet")
    return Spectrograph(name, grid, table, _CALIBRATION[name], _FIBRES[name], errors)


# By Legendre order, chosen to give the errors quoted in `spectrograph`.
_CALIBRATION = {
    "sdss": (0.04, 0.06, 0.04),
    "boss": (0.06, 0.09, 0.06),
    "desi": (0.04, 0.06, 0.04),
}
# Arcseconds.
_FIBRES = {"sdss": 3.0, "boss": 2.0, "desi": 1.5}

"""Spectra as training batches."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uraniborg.errors import UserError
from uraniborg.tables import Spectra

__all__ = ["Batch", "SpectraDataset", "in_range", "masked"]


class Batch(NamedTuple):
    """N spectra in units of their norm.

    Attributes:
        flux: Shape (N, L).
        ivar: Inverse variance, 0 where masked, shape (N, L).
        z: Redshifts, shape (N,).
    """

    flux: Tensor
    ivar: Tensor
    z: Tensor


def masked(batch: Batch) -> Batch:
    """Spectra in which flux and ivar are 0 wherever one is not finite or the ivar not positive."""

    good = (batch.ivar > 0) & (batch.ivar < torch.inf) & (batch.flux.abs() < torch.inf)
    return Batch(batch.flux.where(good, 0), batch.ivar.where(good, 0), batch.z)


def in_range(z: Tensor, z_range: tuple[float, float]) -> Tensor:
    """Which redshifts (N,) are within a range; none that is missing.

    Args:
        z: Redshifts, shape (N,).
        z_range: The smallest and the largest.
    """

    return (z >= z_range[0]) & (z <= z_range[1])


class SpectraDataset:
    """Selected rows of memory-mapped spectra, divided by their norm as they are asked for.

    Args:
        spectra: The shards.
        rows: Row numbers that belong to this set, all by default.
        z_range: Redshifts that the model covers.
        z: Redshifts of those rows, by default the catalogue's.

    Raises:
        UserError: A redshift lies outside the range or is missing.
    """

    def __init__(
        self,
        spectra: Spectra,
        rows: np.ndarray | None = None,
        z_range: tuple[float, float] = (-np.inf, np.inf),
        z: np.ndarray | None = None,
    ) -> None:
        self.spectra = spectra
        self.rows = np.arange(len(spectra)) if rows is None else np.asarray(rows)
        self.norm = spectra.column("norm")[self.rows].astype(np.float32)
        self.z = torch.from_numpy(np.array(spectra.column("z")[self.rows] if z is None else z))
        missing = self.z.isnan()
        if missing.any():
            raise UserError(
                f"{spectra.paths[0]}: {int(missing.sum())} spectra have no redshift; set "
                "`missing_redshift: quarantine` in the survey's file to leave them out here."
            )
        outside = (self.z < z_range[0]) | (self.z > z_range[1])
        if outside.any():
            worst = self.z[outside][0].item()
            raise UserError(
                f"{spectra.paths[0]}: {int(outside.sum())} redshifts such as {worst:.4f} are "
                f"outside the model's range {z_range}; tighten the survey's selection or raise "
                "the model's z_max."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: np.ndarray) -> Batch:
        """The spectra at positions `rows` of this set."""

        norm = self.norm[rows, None]
        flux = self.spectra.vectors("flux", self.rows[rows])
        ivar = self.spectra.vectors("ivar", self.rows[rows])
        flux /= norm
        ivar *= norm**2
        return Batch(torch.from_numpy(flux), torch.from_numpy(ivar), self.z[rows])

    def batches(self, size: int) -> Iterator[Batch]:
        """All spectra in order, `size` at a time."""

        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))

"""Wavelength grids."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np

__all__ = ["WavelengthGrid"]


@dataclass(frozen=True)
class WavelengthGrid:
    """An evenly spaced grid of vacuum wavelengths in Angstrom.

    Args:
        kind: `log10` (pixel centres at `10**(start + step * i)`) or `linear`.
        start: Centre of the first pixel, in log10(Angstrom) or Angstrom.
        step: Distance between pixel centres, in dex or Angstrom.
        size: Number of pixels.

    Example:
        >>> grid = WavelengthGrid("log10", 3.578, 1e-4, 3921)
        >>> grid.wavelength.shape
        (3921,)
    """

    kind: Literal["log10", "linear"]
    start: float
    step: float
    size: int

    def __post_init__(self) -> None:
        if self.kind not in ("log10", "linear"):
            raise ValueError(f"kind is 'log10' or 'linear', not {self.kind!r}")
        if self.step <= 0 or self.size < 2:
            raise ValueError("a grid needs a positive step and at least two pixels")

    @cached_property
    def wavelength(self) -> np.ndarray:
        """Pixel centres in Angstrom, shape (size,), float64."""

        return self._to_angstrom(self.start + self.step * np.arange(self.size))

    @cached_property
    def edges(self) -> np.ndarray:
        """Pixel edges in Angstrom, shape (size + 1,), float64."""

        return self._to_angstrom(self.start + self.step * (np.arange(self.size + 1) - 0.5))

    def _to_angstrom(self, coordinate: np.ndarray) -> np.ndarray:
        return 10**coordinate if self.kind == "log10" else coordinate

    def restframe(self, z_max: float, z_min: float = 0.0, margin: int = 2) -> Self:
        """The grid of the same spacing that covers this one from every redshift in a range.

        Args:
            z_max: The largest redshift.
            z_min: The smallest, negative for blueshifts.
            margin: Further pixels on either side, for interpolation and convolution.

        Raises:
            ValueError: The grid is not logarithmic, so redshift is not a shift.
        """

        if self.kind != "log10":
            raise ValueError("a rest-frame grid of constant shift needs a log10 grid")
        below = self.pixels_of_redshift(z_max) + margin
        above = self.pixels_of_redshift(-z_min / (1 + z_min)) + margin
        start = self.start - below * self.step
        return type(self)("log10", start, self.step, self.size + below + above)

    def pixels_of_redshift(self, z: float) -> int:
        """How many pixels a redshift shifts a spectrum by on a log10 grid, rounded up."""

        return int(np.ceil(np.log10(1 + z) / self.step))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

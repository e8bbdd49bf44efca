"""What is said about every parameter of a simulated object."""

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["Parameter"]

_FLOAT = pa.float64()


@dataclass(frozen=True)
class Parameter:
    """A parameter of an object.

    Args:
        name: Its name, also of the column in tables.
        unit: A unit that astropy can parse; empty for a pure number.
        description: One phrase.
        prior: The distribution it is drawn from.
        source: Paper that the prior is taken from, or `assumed`.
        type: Its Arrow type.
    """

    name: str
    unit: str
    description: str
    prior: str
    source: str
    type: pa.DataType = _FLOAT

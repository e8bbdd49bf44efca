"""Random objects that do not depend on how a job is cut into chunks."""

import zlib
from collections.abc import Iterator

import numpy as np

__all__ = ["BLOCK_SIZE", "blocks", "generator"]

BLOCK_SIZE = 256
"""Objects that are drawn together from one generator."""


def blocks(start: int, stop: int) -> Iterator[tuple[int, slice]]:
    """The blocks that objects `start` to `stop` belong to.

    Yields:
        The number of a block, and which of its `BLOCK_SIZE` objects are asked for.

    Example:
        >>> list(blocks(250, 260))
        [(0, slice(250, 256, None)), (1, slice(0, 4, None))]
    """

    for block in range(start // BLOCK_SIZE, -(-stop // BLOCK_SIZE)):
        first = block * BLOCK_SIZE
        yield block, slice(max(start - first, 0), min(stop - first, BLOCK_SIZE))


def generator(seed: int, block: int, stream: str) -> np.random.Generator:
    """The generator of one block of one stream of random numbers.

    Args:
        seed: Seed of the survey.
        block: Number of the block.
        stream: What the numbers are for; different names give independent numbers.
    """

    return np.random.default_rng([seed, zlib.crc32(stream.encode()), block])

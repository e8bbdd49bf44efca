import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.universe.blocks import BLOCK_SIZE, blocks, generator


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_blocks_cover_the_range_once(start, count):
    covered = [
        block * BLOCK_SIZE + i
        for block, part in blocks(start, start + count)
        for i in range(part.start, part.stop)
    ]
    assert covered == list(range(start, start + count))


def test_streams_blocks_and_seeds_are_independent_and_repeatable():
    draws = {
        key: generator(*key).uniform(size=4).tobytes()
        for key in [(1, 0, "a"), (1, 0, "b"), (1, 1, "a"), (2, 0, "a")]
    }
    assert len(set(draws.values())) == 4
    assert generator(1, 0, "a").uniform(size=4).tobytes() == draws[1, 0, "a"]
    assert np.issubdtype(generator(1, 0, "a").integers(5).dtype, np.integer)

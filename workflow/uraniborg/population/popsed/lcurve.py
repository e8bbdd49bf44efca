"""How much the prior may count: an L-curve against the floor of the data.

With a growing weight a fit comes closer to the prior and, from some weight on, leaves the
photometry (Hansen 1992, SIAM Review 34, 561). What can be seen is limited by the scatter of the
floor, the distance of the catalogue's own random parts, and by that of fits that differ in their
seeds alone.
"""

import pandas as pd

__all__ = ["choose"]

# Distances of fits of different seeds scatter by some such share.
_SCATTER = 0.2


def choose(fits: pd.DataFrame) -> pd.DataFrame:
    """Marks the largest weight whose distance cannot be told from the smallest.

    The truth takes no part. The rule is that of one standard error (Breiman et al. 1984).

    Args:
        fits: One row per weight: `weight`, `distance`, `floor_spread`.

    Returns:
        The same with the column `chosen`.
    """

    least = fits["distance"].min()
    allowed = fits["distance"] <= least + fits["floor_spread"].clip(lower=_SCATTER * least)
    return fits.assign(chosen=fits["weight"] == fits["weight"][allowed].max())

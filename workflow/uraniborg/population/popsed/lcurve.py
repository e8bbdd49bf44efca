"""How much the prior may count: an L-curve against the floor of the data.

With a growing weight a fit comes closer to the prior and, from some weight on, leaves the
photometry (Hansen 1992, SIAM Review 34, 561). The catalogue says what can be seen: distances that
differ by less than the scatter of the floor, the distance of its own random parts, do not differ.
"""

import pandas as pd

__all__ = ["choose"]


def choose(fits: pd.DataFrame) -> pd.DataFrame:
    """Marks the largest weight whose distance cannot be told from the smallest.

    The truth takes no part. The rule is that of one standard error (Breiman et al. 1984).

    Args:
        fits: One row per weight: `weight`, `distance`, `floor_spread`.

    Returns:
        The same with the column `chosen`.
    """

    allowed = fits["distance"] <= fits["distance"].min() + fits["floor_spread"]
    return fits.assign(chosen=fits["weight"] == fits["weight"][allowed].max())

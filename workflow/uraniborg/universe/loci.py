"""Published curves on the BPT plane of [N II]/H-alpha and [O III]/H-beta."""

import numpy as np

__all__ = ["demarcation", "star_forming_sequence"]


def star_forming_sequence(log_nitrogen: np.ndarray, z: float = 0.0) -> np.ndarray:
    """log10 [O III]/H-beta of star-forming galaxies (Kewley et al. 2013a, eq. 5).

    Args:
        log_nitrogen: log10 [N II]/H-alpha, below -0.08 at redshift 0.
        z: Redshift.
    """

    return 0.61 / (log_nitrogen + 0.08 - 0.1833 * z) + 1.1 + 0.03 * z


def demarcation(log_nitrogen: np.ndarray, kind: str) -> np.ndarray:
    """log10 [O III]/H-beta above which starlight alone does not explain the lines; -inf right of
    the curve's asymptote.

    Args:
        log_nitrogen: log10 [N II]/H-alpha.
        kind: `observed` (Kauffmann et al. 2003b, eq. 1) or `theoretical` (Kewley et al. 2001, eq.
            5).
    """

    asymptote, level = {"observed": (0.05, 1.3), "theoretical": (0.47, 1.19)}[kind]
    left = log_nitrogen < asymptote
    return np.where(left, 0.61 / np.where(left, log_nitrogen - asymptote, 1) + level, -np.inf)

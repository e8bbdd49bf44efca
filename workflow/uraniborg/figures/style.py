"""One style for every figure: readable at column width, safe for colour-blind readers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from uraniborg.files import atomic

__all__ = ["COLORS", "FLUX_LABEL", "ONE_COLUMN", "TWO_COLUMNS", "save", "style"]

ONE_COLUMN = 3.4
"""Width in inches of one column of a two-column journal."""

TWO_COLUMNS = 7.1
"""Width in inches of its text block."""

COLORS = {
    "data": "#9a9a9a",
    "model": "#0072b2",
    "truth": "#d55e00",
    "reference": "#009e73",
    "line": "#56b4e9",
}
"""Colours by meaning, the same in every figure (Okabe & Ito 2008)."""

FLUX_LABEL = r"$f_\lambda$ [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]"
"""What axes of flux densities say."""


@contextmanager
def style() -> Iterator[None]:
    """Applies the style to the figures made in the block."""

    settings = {
        "font.size": 8,
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "axes.linewidth": 0.6,
        "lines.linewidth": 0.9,
        "xtick.direction": "in",
        "ytick.direction": "in",
        "xtick.top": True,
        "ytick.right": True,
        "pdf.fonttype": 42,
        "svg.hashsalt": "uraniborg",
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(settings):
        yield


def save(figure: Figure, path: str | Path) -> None:
    """Writes a figure whole or not at all, without a creation date: same data, same bytes."""

    metadata = {"CreationDate": None} if Path(path).suffix == ".pdf" else {}
    with atomic(path) as temporary:
        figure.savefig(temporary, metadata=metadata, dpi=200)

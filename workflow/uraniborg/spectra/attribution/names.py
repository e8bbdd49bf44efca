"""Names that tables of attributions have in common, for figures as well."""

from uraniborg.universe.contaminants import KINDS

__all__ = [
    "CATEGORIES",
    "ELSEWHERE",
    "EXTENDED_KINDS",
    "GROUPS",
    "LOCAL_KINDS",
    "TRUE_WINDOW",
    "WHOLE_KINDS",
]

LOCAL_KINDS = ("double_peaked", "irregular_lines", "sky_failure", "spike")
"""Kinds of contaminants with a place: windows of 0.1 to 10% of the spectrum (medians by kind)."""

EXTENDED_KINDS = ("arm_jump", "scattered_light")
"""Those that change about a third of the spectrum."""

WHOLE_KINDS = tuple(kind.name for kind in KINDS if kind.name not in (*LOCAL_KINDS, *EXTENDED_KINDS))
"""Those that change the whole spectrum: windows of 40 to 75% of it, or none at all where only the
redshift is wrong."""

GROUPS = {
    "all": tuple(kind.name for kind in KINDS),
    "local": LOCAL_KINDS,
    "extended": EXTENDED_KINDS,
    "whole": WHOLE_KINDS,
}
"""Groups of kinds that are averaged over."""

TRUE_WINDOW = "true_window"
"""The method that knows the truth: 1 inside, 0 outside."""

ELSEWHERE = "elsewhere"
"""The name of what is in no peak."""

CATEGORIES = ("line", "broad line", "continuum", "sky", "instrument", ELSEWHERE)
"""What features can be."""

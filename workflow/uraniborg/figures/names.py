"""What figures call kinds of objects."""

__all__ = ["KIND_NAMES", "kind_name"]

KIND_NAMES = {
    "star_blend": "star + galaxy",
    "galaxy_pair": "pair of galaxies",
    "extreme_reddening": "extreme reddening",
    "star": "star",
    "wrong_redshift": "wrong redshift",
    "double_peaked": "double-peaked lines",
    "irregular_lines": "irregular lines",
    "type1_agn": "type-1 AGN",
    "bal_quasar": "BAL quasar",
    "quasar": "quasar",
    "sky_failure": "sky subtraction failed",
    "spike": "spike",
    "arm_jump": "jump between arms",
    "scattered_light": "scattered light",
}
"""Kinds of contaminants, see `uraniborg.universe.contaminants.KINDS`."""

_OTHERS = {"none": "no contaminant", "qso": "quasar"}


def kind_name(kind: str) -> str:
    """A kind of contaminant, or a class of objects of a survey, in words."""

    return (KIND_NAMES | _OTHERS).get(kind, kind.replace("_", " "))

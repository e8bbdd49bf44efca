"""
PopSED: its settings, its fits by name, and which files belong to them.

REQUIRED INPUTS: the section `popsed` of the configuration
"""

POPSED = config["popsed"]
POPSED_PAPER = "arXiv:2309.16958"
POPSED_SURVEYS = [POPSED["survey"], *POPSED["apply_to"]]
POPSED_FIGURES = {
    "corner": "population",
    "photometry": "photometry",
    "redshift_distribution": "bands",
    "mass_function": "bands",
    "main_sequence": "sequence",
    "ablation": "ablation",
}
for name in POPSED_SURVEYS:
    known_survey(name, "popsed", "photometry")
    if not SURVEYS[name].population:
        raise UserError(
            f"config: popsed: {name!r} does not say what it contains; add the section "
            f"`population` to config/surveys/{name}.yaml."
        )

# What differs in each fit that does not need the weight of the prior that the L-curve chooses.
POPSED_WEIGHTS = [f"weight_{weight:g}" for weight in sorted(POPSED["weights"])]
POPSED_FITS = {
    **{f"weight_{weight:g}": {"weight": weight} for weight in POPSED["weights"]},
    "published": {"name": "published"},
    "prior": {"photometry": False, "weight": 1.0},
}
# And in those that do.
POPSED_CHOSEN = {
    **{
        f"member_{number}": {"seed": number + 1, "bootstrap": True, "vary": True}
        for number in range(POPSED["members"])
    },
    **{f"size_{size}": {"galaxies": size} for size in POPSED["sizes"]},
    **{name: dict(changes) for name, changes in POPSED["distances"].items()},
    "shuffled": {"shuffled": True},
}
POPSED_MEMBERS = [name for name in POPSED_CHOSEN if name.startswith("member_")]
# Rows of the ablation: what is varied, to what, and the fits; `chosen` is the one that has the
# weight of the L-curve, and differs from those below in nothing else.
POPSED_ROWS = [
    {"kind": "recipe", "label": "default", "fits": ["chosen"]},
    {"kind": "recipe", "label": "members", "fits": POPSED_MEMBERS},
    {"kind": "recipe", "label": "published", "fits": ["published"]},
    *(
        {"kind": "distance", "label": name.replace("_", " "), "fits": [name]}
        for name in POPSED["distances"]
    ),
    *(
        {"kind": "size", "label": f"{size:,} galaxies", "fits": [f"size_{size}"]}
        for size in POPSED["sizes"]
    ),
    *(
        {"kind": "prior", "label": name.replace("_", " "), "fits": [name]}
        for name in POPSED_WEIGHTS
    ),
    {"kind": "control", "label": "prior alone", "fits": ["prior"]},
    {"kind": "control", "label": "shuffled bands", "fits": ["shuffled"]},
]


def popsed_fits(part, names):
    """Files of one kind of several fits."""
    return [f"results/popsed/{{survey}}/fits/{name}/{part}" for name in names]


def popsed_truth(wildcards):
    """The truth of a simulated survey, none of a real one."""
    if SURVEYS[wildcards.survey].source != "simulate":
        return []
    return shards(wildcards.survey, "photometry_truth", "parquet")

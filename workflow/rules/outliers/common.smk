"""
What the rules of both analyses share: checked settings, models and files.

REQUIRED INPUTS: the sections sdss_outliers and desi_outliers of config
"""

from uraniborg.spectra.variants import basis_owners, model_variants

OUTLIERS = {name: config[name] for name in ("sdss_outliers", "desi_outliers")}
# Papers of both, as the report names them.
PAPERS = "arXiv:2302.02496, arXiv:2307.07664"
# Settings of every model that an analysis trains, and whose basis it starts from.
OUTLIER_VARIANTS = {
    name: model_variants(name, section, SCHEMAS / "config.schema.yaml")
    for name, section in OUTLIERS.items()
}
OUTLIER_BASES = {name: basis_owners(OUTLIER_VARIANTS[name]) for name in OUTLIERS}
# What was measured, by analysis; held against the claims.
OUTLIER_NUMBERS = {name: [] for name in OUTLIERS}

for name, section in OUTLIERS.items():
    for key in ("train_on", "search", "mislabelled_stars"):
        known_survey(section[key], f"{name}: {key}", "spectra")
    for key in ("search", "mislabelled_stars"):
        if SURVEYS[section[key]].data != "simulated":
            raise UserError(
                f"config: {name}: {key}: the truth of {section[key]!r} is not known; name a "
                "simulated survey, and real ones under `apply_to`."
            )
    for survey in section["apply_to"]:
        known_survey(survey, f"{name}: apply_to", "spectra")
        if SURVEYS[survey].grid != SURVEYS[section["train_on"]].grid:
            raise UserError(
                f"config: {name}: apply_to: {survey!r} has other pixels than "
                f"{section['train_on']!r}, which the models are trained on; give both the same "
                "`instrument` and `log10_step`."
            )
    for key in ("before", "after"):
        if section["invariance"][key] not in OUTLIER_VARIANTS[name]:
            raise UserError(
                f"config: {name}: invariance: {key}: there is no variant "
                f"{section['invariance'][key]!r}; name one of {', '.join(OUTLIER_VARIANTS[name])}."
            )
    for variant, settings in OUTLIER_VARIANTS[name].items():
        key = f"{name}: variants: {variant}: train_on"
        known_survey(settings["train_on"], key, "spectra")


def outlier_settings(*keys):
    """What the configuration of the job's analysis says under keys, one within the other."""

    def of(wildcards):
        value = OUTLIERS[wildcards.analysis]
        for key in keys:
            value = value[key]
        return value

    return of


def outlier_variant(key):
    """What the settings of the job's variant say under a key."""
    return lambda wildcards: OUTLIER_VARIANTS[wildcards.analysis][wildcards.variant][
        key
    ]


def outlier_model(analysis, variant):
    """Weights and card of a trained model, or of the one that ships with the project."""
    if not OUTLIER_VARIANTS[analysis][variant]["kept"]:
        return model(analysis, variant)
    folder = f"models/{analysis}/{variant}"
    return {
        "weights": resource(f"{folder}/model.safetensors"),
        "card": resource(f"{folder}/model.json"),
    }


def teacher(wildcards):
    """Weights and card of the model that a variant imitates, none for most."""
    settings = OUTLIER_VARIANTS[wildcards.analysis][wildcards.variant]
    if "teacher" not in settings:
        return []
    return list(outlier_model(wildcards.analysis, settings["teacher"]).values())


def galaxy_models(part):
    """Files of all models of galaxies of an analysis."""

    def of(wildcards):
        return [
            outlier_model(wildcards.analysis, variant)[part]
            for variant, settings in OUTLIER_VARIANTS[wildcards.analysis].items()
            if settings["train_on"] == OUTLIERS[wildcards.analysis]["train_on"]
        ]

    return of


def star_shards(analysis, survey):
    """Tables of evidence for stars over all shards of a survey."""
    return [
        f"results/{analysis}/{survey}/stars/{shard:04d}.parquet"
        for shard in range(SURVEYS[survey].shards)
    ]


def searched_for_stars(files):
    """Files of a kind of the surveys that the numbers of found and mistaken stars are from."""

    def of(wildcards):
        section = OUTLIERS[wildcards.analysis]
        surveys = section["search"], section["mislabelled_stars"]
        return [
            path for survey in surveys for path in files(wildcards.analysis, survey)
        ]

    return of


def of_search(name):
    """A file about the simulated survey that is searched."""
    return lambda wildcards: "/".join(
        (
            "results",
            wildcards.analysis,
            OUTLIERS[wildcards.analysis]["search"],
            name,
        )
    )

"""
The outlier catalogue: every object of a survey with its scores, ranked.

REQUIRED INPUTS:
    results/models/{analysis}/default/         the trained autoencoder
    results/surveys/{survey}/spectra/*.arrow   of the training survey and those that are searched
OUTPUTS:
    results/models/{analysis}/default/{density,scorer}.safetensors
    results/{analysis}/{survey}/catalogue.parquet, catalogue.fits
"""

for name, section in OUTLIERS.items():
    analysis(
        name,
        tables=expand(
            "results/{analysis}/{survey}/catalogue.parquet",
            analysis=name,
            survey=[section["search"], *section["apply_to"]],
        ),
    )


rule outlier_density:
    """Trains flows on the latents, and checks them on objects that they have not seen."""
    input:
        **model("{analysis}", "default"),
        spectra=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"]),
    output:
        weights="results/models/{analysis}/default/density.safetensors",
        card="results/models/{analysis}/default/density.json",
        history="results/{analysis}/density/history.parquet",
        held_out="results/{analysis}/density/held_out.parquet",
        checks="results/{analysis}/density/checks.parquet",
    log:
        "results/logs/{analysis}/density.log",
    benchmark:
        "results/runtimes/{analysis}/density.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        splits=outlier_settings("splits"),
        density=outlier_settings("density"),
        checkpoints="results/checkpoints/{analysis}/density",
        code=code("outliers/density.py"),
    script:
        "../../scripts/outliers/density.py"


rule outlier_scorer:
    """Calibrates the outlier score on objects that no part of it was trained on."""
    input:
        **model("{analysis}", "default"),
        density="results/models/{analysis}/default/density.safetensors",
        density_card="results/models/{analysis}/default/density.json",
        spectra=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"]),
    output:
        weights="results/models/{analysis}/default/scorer.safetensors",
        card="results/models/{analysis}/default/scorer.json",
    log:
        "results/logs/{analysis}/scorer.log",
    benchmark:
        "results/runtimes/{analysis}/scorer.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        splits=outlier_settings("splits"),
        latent_weight=outlier_settings("latent_weight"),
        code=code("outliers/scorer.py"),
    script:
        "../../scripts/outliers/scorer.py"


rule outlier_score:
    """Scores one shard of a survey."""
    input:
        weights="results/models/{analysis}/default/scorer.safetensors",
        card="results/models/{analysis}/default/scorer.json",
        spectra="results/surveys/{survey}/spectra/{shard}.arrow",
        stars="results/{analysis}/{survey}/stars/{shard}.parquet",
    output:
        "results/{analysis}/{survey}/scores/{shard}.parquet",
    log:
        "results/logs/{analysis}/score/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/{analysis}/score/{survey}/{shard}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        redshift=lambda wildcards: (
            OUTLIERS[wildcards.analysis]["redshift"]
            if SURVEYS[wildcards.survey].data == "real"
            else "catalogue"
        ),
        misfit_floor=lambda wildcards: (
            OUTLIERS[wildcards.analysis]["misfit_floor"]
            if SURVEYS[wildcards.survey].data == "real"
            else 0.0
        ),
        code=code("outliers/score.py"),
    script:
        "../../scripts/outliers/score.py"


rule outlier_catalogue:
    """Ranks the objects of all shards of a survey."""
    input:
        # Not read: it says why, if the survey has no object.
        survey="results/surveys/{survey}/catalogue.parquet",
        scores=lambda wildcards: [
            f"results/{wildcards.analysis}/{wildcards.survey}/scores/{shard:04d}.parquet"
            for shard in range(SURVEYS[wildcards.survey].shards)
        ],
    output:
        parquet="results/{analysis}/{survey}/catalogue.parquet",
        fits="results/{analysis}/{survey}/catalogue.fits",
    log:
        "results/logs/{analysis}/catalogue/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/catalogue/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        fits_rows=outlier_settings("fits_rows"),
        code=code("outliers/catalogue.py"),
    script:
        "../../scripts/outliers/catalogue.py"

"""
Stars: objects that a catalogue calls galaxies and a model of stars explains better.

REQUIRED INPUTS:
    results/models/{analysis}/{default,stars}/   the trained models
    results/surveys/{survey}/spectra/*.arrow     of the surveys that are searched
OUTPUTS:
    results/{analysis}/{survey}/stars/{shard}.parquet
    results/{analysis}/star_recovery.parquet, stellar_templates.parquet
    results/figures/{analysis}/star_evidence.pdf, stellar_templates.pdf
"""

for name in OUTLIERS:
    analysis(
        name,
        figures=expand(
            "results/figures/{analysis}/{figure}.pdf",
            analysis=name,
            figure=["star_evidence", "stellar_templates"],
        ),
    )
    OUTLIER_NUMBERS[name].append(f"results/{name}/star_recovery.json")


rule outlier_stars:
    """Holds one shard of a survey against the models of galaxies and of stars."""
    input:
        **model("{analysis}", "default"),
        star_weights="results/models/{analysis}/stars/model.safetensors",
        star_card="results/models/{analysis}/stars/model.json",
        spectra="results/surveys/{survey}/spectra/{shard}.arrow",
    output:
        "results/{analysis}/{survey}/stars/{shard}.parquet",
    log:
        "results/logs/{analysis}/stars/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/{analysis}/stars/{survey}/{shard}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        code=code("outliers/stars.py"),
    script:
        "../../scripts/outliers/stars.py"


rule outlier_star_recovery:
    """Counts which stars are found among what the catalogue calls galaxies."""
    input:
        stars=searched_for_stars(star_shards),
        spectra=searched_for_stars(lambda analysis, survey: shards(survey)),
        truth=searched_for_stars(lambda analysis, survey: truth(survey)),
    output:
        table="results/{analysis}/star_recovery.parquet",
        numbers="results/{analysis}/star_recovery.json",
    log:
        "results/logs/{analysis}/star_recovery.log",
    benchmark:
        "results/runtimes/{analysis}/star_recovery.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("outliers/star_recovery.py"),
    script:
        "../../scripts/outliers/star_recovery.py"


use rule spender_principal_components as outlier_principal_components with:
    input:
        spectra=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"]),
    output:
        "results/models/{analysis}/default/principal_components.safetensors",
    log:
        "results/logs/{analysis}/principal_components.log",
    benchmark:
        "results/runtimes/{analysis}/principal_components.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    params:
        # Ten components, as baselines and templates usually have.
        architecture=lambda wildcards: {
            **OUTLIERS[wildcards.analysis]["architecture"],
            "rank": 10,
        },
        basis=outlier_settings("basis"),
        splits=outlier_settings("splits"),
        code=code("spender/basis.py"),


rule outlier_stellar_templates:
    """Classifies stars and galaxies by templates, with few or many components of stars."""
    input:
        galaxy_basis="results/models/{analysis}/default/principal_components.safetensors",
        galaxies=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"]),
        truth=lambda wildcards: truth(OUTLIERS[wildcards.analysis]["train_on"]),
        stars=lambda wildcards: shards(
            OUTLIER_VARIANTS[wildcards.analysis]["stars"]["train_on"]
        ),
        star_weights="results/models/{analysis}/stars/model.safetensors",
        star_card="results/models/{analysis}/stars/model.json",
    output:
        table="results/{analysis}/stellar_templates.parquet",
        example="results/{analysis}/stellar_templates_example.parquet",
    log:
        "results/logs/{analysis}/stellar_templates.log",
    benchmark:
        "results/runtimes/{analysis}/stellar_templates.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        splits=outlier_settings("splits"),
        z_range=lambda wildcards: [
            OUTLIERS[wildcards.analysis]["architecture"][key]
            for key in ("z_min", "z_max")
        ],
        templates=outlier_settings("templates"),
        code=code("outliers/stellar_templates.py"),
    script:
        "../../scripts/outliers/stellar_templates.py"


rule outlier_plot_star_evidence:
    """Evidence for stars among catalogued galaxies."""
    input:
        "results/{analysis}/star_recovery.parquet",
    output:
        report(
            "results/figures/{analysis}/star_evidence.pdf",
            caption="../../report/outliers/star_evidence.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "star_evidence"},
        ),
    log:
        "results/logs/{analysis}/plot_star_evidence.log",
    benchmark:
        "results/runtimes/{analysis}/plot_star_evidence.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_star_evidence.py"),
    script:
        "../../scripts/outliers/plot_star_evidence.py"


rule outlier_plot_stellar_templates:
    """Stars that few templates mistake for galaxies."""
    input:
        "results/{analysis}/stellar_templates.parquet",
        "results/{analysis}/stellar_templates_example.parquet",
    output:
        report(
            "results/figures/{analysis}/stellar_templates.pdf",
            caption="../../report/outliers/stellar_templates.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "stellar_templates"},
        ),
    log:
        "results/logs/{analysis}/plot_stellar_templates.log",
    benchmark:
        "results/runtimes/{analysis}/plot_stellar_templates.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_stellar_templates.py"),
    script:
        "../../scripts/outliers/plot_stellar_templates.py"

"""
Recovery: which injected outliers are found, and by what else they would be.

REQUIRED INPUTS:
    results/{analysis}/{survey}/catalogue.parquet
    results/surveys/{survey}/truth/*.arrow     of the simulated survey that is searched
OUTPUTS:
    results/{analysis}/{survey}/baselines.parquet
    results/{analysis}/recovery/
    results/figures/{analysis}/outlier_{scores,ranks,recovery}.pdf
"""

for name, section in OUTLIERS.items():
    analysis(
        name,
        figures=expand(
            "results/figures/{analysis}/outlier_{figure}.pdf",
            analysis=name,
            figure=["scores", "ranks", "recovery"],
        ),
    )
    OUTLIER_NUMBERS[name].append(f"results/{name}/recovery/numbers.json")
    if any(SURVEYS[survey].data == "real" for survey in section["apply_to"]):
        OUTLIER_NUMBERS[name].append(f"results/{name}/recovery/classes.json")


rule outlier_baselines:
    """Scores a survey by principal components and by an isolation forest on them."""
    input:
        train=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"]),
        spectra=lambda wildcards: shards(wildcards.survey),
        catalogue="results/{analysis}/{survey}/catalogue.parquet",
    output:
        "results/{analysis}/{survey}/baselines.parquet",
    log:
        "results/logs/{analysis}/baselines/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/baselines/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        splits=outlier_settings("splits"),
        baselines=outlier_settings("baselines"),
        z_range=lambda wildcards: [
            OUTLIERS[wildcards.analysis]["architecture"][key]
            for key in ("z_min", "z_max")
        ],
        code=code("outliers/baselines.py"),
    script:
        "../../scripts/outliers/baselines.py"


rule outlier_recovery:
    """Measures how well scores find the contaminants of the simulated survey."""
    input:
        catalogue=of_search("catalogue.parquet"),
        baselines=of_search("baselines.parquet"),
        truth=lambda wildcards: truth(OUTLIERS[wildcards.analysis]["search"]),
    output:
        objects="results/{analysis}/recovery/objects.parquet",
        table="results/{analysis}/recovery/table.parquet",
        curve="results/{analysis}/recovery/curve.parquet",
        numbers="results/{analysis}/recovery/numbers.json",
    log:
        "results/logs/{analysis}/recovery.log",
    benchmark:
        "results/runtimes/{analysis}/recovery.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("outliers/recovery.py"),
    script:
        "../../scripts/outliers/recovery.py"


rule outlier_classes:
    """Measures how well scores tell real galaxies from quasars, stars and sky."""
    input:
        catalogues=lambda wildcards: expand(
            "results/{analysis}/{survey}/catalogue.parquet",
            analysis=wildcards.analysis,
            survey=OUTLIERS[wildcards.analysis]["apply_to"],
        ),
        baselines=lambda wildcards: expand(
            "results/{analysis}/{survey}/baselines.parquet",
            analysis=wildcards.analysis,
            survey=OUTLIERS[wildcards.analysis]["apply_to"],
        ),
    output:
        table="results/{analysis}/recovery/classes.parquet",
        numbers="results/{analysis}/recovery/classes.json",
    log:
        "results/logs/{analysis}/classes.log",
    benchmark:
        "results/runtimes/{analysis}/classes.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("outliers/classes.py"),
    script:
        "../../scripts/outliers/classes.py"


rule outlier_plot_scores:
    """Distributions of log p and of the outlier score, with and without contaminants."""
    input:
        "results/{analysis}/recovery/objects.parquet",
    output:
        report(
            "results/figures/{analysis}/outlier_scores.pdf",
            caption="../../report/outliers/outlier_scores.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "outlier_scores"},
        ),
    log:
        "results/logs/{analysis}/plot_scores.log",
    benchmark:
        "results/runtimes/{analysis}/plot_scores.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_outlier_scores.py"),
    script:
        "../../scripts/outliers/plot_outlier_scores.py"


rule outlier_plot_ranks:
    """How many contaminants are found against the rank, by score and by kind."""
    input:
        "results/{analysis}/recovery/curve.parquet",
    output:
        report(
            "results/figures/{analysis}/outlier_ranks.pdf",
            caption="../../report/outliers/outlier_ranks.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "outlier_ranks"},
        ),
    log:
        "results/logs/{analysis}/plot_ranks.log",
    benchmark:
        "results/runtimes/{analysis}/plot_ranks.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_outlier_ranks.py"),
    script:
        "../../scripts/outliers/plot_outlier_ranks.py"


rule outlier_plot_recovery:
    """AUC by kind, and recall by S/N, of the outlier score and of others."""
    input:
        "results/{analysis}/recovery/table.parquet",
    output:
        report(
            "results/figures/{analysis}/outlier_recovery.pdf",
            caption="../../report/outliers/outlier_recovery.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "outlier_recovery"},
        ),
    log:
        "results/logs/{analysis}/plot_recovery.log",
    benchmark:
        "results/runtimes/{analysis}/plot_recovery.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_outlier_recovery.py"),
    script:
        "../../scripts/outliers/plot_outlier_recovery.py"

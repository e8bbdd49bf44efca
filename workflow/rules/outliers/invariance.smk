"""
Redshift invariance: how far latents of held-out spectra move when nothing but redshift changes.

REQUIRED INPUTS:
    results/models/{analysis}/{variant}/       the trained models
    results/surveys/{survey}/spectra/*.arrow   of the training survey
OUTPUTS:
    results/{analysis}/invariance/
    results/figures/{analysis}/invariance.pdf, redshift_track.pdf
"""

for name in OUTLIERS:
    analysis(
        name,
        figures=expand(
            "results/figures/{analysis}/{figure}.pdf",
            analysis=name,
            figure=["invariance", "redshift_track"],
        ),
    )
    OUTLIER_NUMBERS[name].append(f"results/{name}/invariance/numbers.json")


rule outlier_invariance:
    """Moves held-out spectra through redshift and measures how far latents follow."""
    input:
        weights=galaxy_models("weights"),
        cards=galaxy_models("card"),
        spectra=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"]),
        truth=lambda wildcards: truth(OUTLIERS[wildcards.analysis]["train_on"]),
    output:
        displacements="results/{analysis}/invariance/displacements.parquet",
        wrong_redshifts="results/{analysis}/invariance/wrong_redshifts.parquet",
        positions="results/{analysis}/invariance/positions.parquet",
        probes="results/{analysis}/invariance/probes.parquet",
        numbers="results/{analysis}/invariance/numbers.json",
    log:
        "results/logs/{analysis}/invariance.log",
    benchmark:
        "results/runtimes/{analysis}/invariance.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        splits=outlier_settings("splits"),
        invariance=outlier_settings("invariance"),
        code=code("outliers/invariance.py"),
    script:
        "../../scripts/outliers/invariance.py"


rule outlier_plot_invariance:
    """How far latents move with redshift, and with errors of the redshift."""
    input:
        "results/{analysis}/invariance/displacements.parquet",
        "results/{analysis}/invariance/wrong_redshifts.parquet",
    output:
        report(
            "results/figures/{analysis}/invariance.pdf",
            caption="../../report/outliers/invariance.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "invariance"},
        ),
    log:
        "results/logs/{analysis}/plot_invariance.log",
    benchmark:
        "results/runtimes/{analysis}/plot_invariance.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_invariance.py"),
    script:
        "../../scripts/outliers/plot_invariance.py"


rule outlier_plot_redshift_track:
    """Latent spaces before and after the losses, and galaxies moved through them."""
    input:
        "results/{analysis}/invariance/positions.parquet",
        "results/{analysis}/invariance/probes.parquet",
    output:
        report(
            "results/figures/{analysis}/redshift_track.pdf",
            caption="../../report/outliers/redshift_track.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "redshift_track"},
        ),
    log:
        "results/logs/{analysis}/plot_redshift_track.log",
    benchmark:
        "results/runtimes/{analysis}/plot_redshift_track.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_redshift_track.py"),
    script:
        "../../scripts/outliers/plot_redshift_track.py"

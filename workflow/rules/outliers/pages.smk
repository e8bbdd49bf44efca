"""
Pages: the first outliers of the catalogue, one page each, and where they are in the latent space.

REQUIRED INPUTS:
    results/{analysis}/{survey}/catalogue.parquet
    results/{analysis}/{survey}/explanations/   see imo.smk
    results/surveys/{survey}/spectra/*.arrow
OUTPUTS:
    results/{analysis}/{survey}/pages/
    results/figures/{analysis}/outliers_{survey}/{rank}.pdf, gallery_{survey}.pdf,
    latents_{survey}.pdf
"""

for name, section in OUTLIERS.items():
    analysis(
        name,
        figures=[
            f"results/figures/{name}/{figure}"
            for survey in (section["search"], *section["apply_to"])
            for figure in (
                f"outliers_{survey}",
                f"gallery_{survey}.pdf",
                f"latents_{survey}.pdf",
            )
        ],
    )


rule outlier_pages:
    """Gathers what the pages of the first outliers show."""
    input:
        weights="results/models/{analysis}/default/scorer.safetensors",
        card="results/models/{analysis}/default/scorer.json",
        catalogue="results/{analysis}/{survey}/catalogue.parquet",
        spectra=lambda wildcards: shards(wildcards.survey),
        truth=lambda wildcards: truth(wildcards.survey),
    output:
        spectra="results/{analysis}/{survey}/pages/spectra.parquet",
        objects="results/{analysis}/{survey}/pages/objects.parquet",
        latents="results/{analysis}/{survey}/pages/latents.parquet",
    log:
        "results/logs/{analysis}/pages/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/pages/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        pages=outlier_settings("pages"),
        per_kind=1,
        code=code("outliers/pages.py"),
    script:
        "../../scripts/outliers/pages.py"


rule outlier_plot_pages:
    """One page per outlier: spectrum, reasons, residual, neighbours, latents."""
    input:
        spectra="results/{analysis}/{survey}/pages/spectra.parquet",
        objects="results/{analysis}/{survey}/pages/objects.parquet",
        latents="results/{analysis}/{survey}/pages/latents.parquet",
        maps="results/{analysis}/{survey}/explanations/maps.parquet",
        features="results/{analysis}/{survey}/explanations/features.parquet",
    output:
        report(
            directory("results/figures/{analysis}/outliers_{survey}"),
            patterns=["{rank}.pdf"],
            caption="../../report/outliers/pages.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "outlier {rank} of {survey}"},
        ),
    log:
        "results/logs/{analysis}/plot_pages/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/plot_pages/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
        survey=one_of(SURVEYS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("outliers/plot_pages.py"),
    script:
        "../../scripts/outliers/plot_pages.py"


rule outlier_plot_gallery:
    """The first outliers by kind."""
    input:
        spectra="results/{analysis}/{survey}/pages/spectra.parquet",
        objects="results/{analysis}/{survey}/pages/objects.parquet",
    output:
        report(
            "results/figures/{analysis}/gallery_{survey}.pdf",
            caption="../../report/outliers/gallery.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "gallery of {survey}"},
        ),
    log:
        "results/logs/{analysis}/plot_gallery/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/plot_gallery/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_gallery.py"),
    script:
        "../../scripts/outliers/plot_gallery.py"


rule outlier_plot_latents:
    """Where contaminants are in the latent space."""
    input:
        latents="results/{analysis}/{survey}/pages/latents.parquet",
    output:
        report(
            "results/figures/{analysis}/latents_{survey}.pdf",
            caption="../../report/outliers/latents.rst",
            category="Outliers",
            subcategory="{analysis}",
            labels={"paper": PAPERS, "figure": "latents of {survey}"},
        ),
    log:
        "results/logs/{analysis}/plot_latents/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/plot_latents/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("outliers/plot_latents.py"),
    script:
        "../../scripts/outliers/plot_latents.py"

"""
Reconstructions: the trained model applied to surveys, its quality and what must fail.

REQUIRED INPUTS:
    results/models/spender/default/            the trained model
    results/surveys/{survey}/spectra/*.arrow   of the surveys it is applied to
OUTPUTS:
    results/spender/{survey}/objects.parquet   latents and quality of fit, one row per object
    results/figures/spender/reconstructions*.pdf, fit_quality.pdf
"""

analysis(
    "spender",
    figures=[
        "results/figures/spender/reconstructions.pdf",
        *expand(
            "results/figures/spender/reconstructions_{survey}.pdf",
            survey=SPENDER["apply_to"],
        ),
        "results/figures/spender/fit_quality.pdf",
    ],
    tables=[
        f"results/{table}.parquet"
        for survey in (SPENDER["train_on"], *SPENDER["apply_to"])
        for table in (
            f"spender/{survey}/objects",
            f"surveys/{survey}/catalogue",
            f"surveys/{survey}/quarantine",
        )
    ],
)
SPENDER_NUMBERS += ["results/spender/quality.json", "results/spender/controls.json"]


rule spender_objects:
    """Reconstructs one shard of a survey with the trained model."""
    input:
        **model("spender", "default"),
        calibration="results/models/spender/default/calibration.safetensors",
        spectra="results/surveys/{survey}/spectra/{shard}.arrow",
        truth=branch(
            lambda wildcards: bool(truth(wildcards.survey)),
            then="results/surveys/{survey}/truth/{shard}.arrow",
        ),
    output:
        "results/spender/{survey}/objects/{shard}.parquet",
    log:
        "results/logs/spender/objects/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/spender/objects/{survey}/{shard}.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        code=code("spender/objects.py"),
    script:
        "../../scripts/spender/objects.py"


rule spender_gather:
    """Gathers the objects of all shards of a survey."""
    input:
        catalogue="results/surveys/{survey}/catalogue.parquet",
        shards=lambda wildcards: [
            f"results/spender/{wildcards.survey}/objects/{shard:04d}.parquet"
            for shard in range(SURVEYS[wildcards.survey].shards)
        ],
    output:
        "results/spender/{survey}/objects.parquet",
    log:
        "results/logs/spender/gather/{survey}.log",
    benchmark:
        "results/runtimes/spender/gather/{survey}.tsv"
    conda:
        "../../../envs/tables.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        trained_on=lambda wildcards: wildcards.survey == SPENDER["train_on"],
        splits=SPENDER["splits"],
        code=code("spender/gather.py"),
    script:
        "../../scripts/spender/gather.py"


rule spender_reconstructions:
    """Chooses galaxies that the model has not seen; their spectra and models for the figure."""
    input:
        **model("spender", "default"),
        objects="results/spender/{survey}/objects.parquet",
        spectra=lambda wildcards: shards(wildcards.survey),
        truth=lambda wildcards: truth(wildcards.survey),
    output:
        "results/spender/{survey}/reconstructions.parquet",
    log:
        "results/logs/spender/reconstructions/{survey}.log",
    benchmark:
        "results/runtimes/spender/reconstructions/{survey}.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        galaxies=SPENDER["figure_objects"],
        code=code("spender/reconstructions.py"),
    script:
        "../../scripts/spender/reconstructions.py"


rule spender_controls:
    """Measures what must fail, and the linear baseline."""
    input:
        **model("spender", "default"),
        components="results/models/spender/default/principal_components.safetensors",
        spectra=shards(SPENDER["train_on"]),
    output:
        "results/spender/controls.json",
    log:
        "results/logs/spender/controls.log",
    benchmark:
        "results/runtimes/spender/controls.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        splits=SPENDER["splits"],
        code=code("spender/controls.py"),
    script:
        "../../scripts/spender/controls.py"


rule spender_quality:
    """Summarises how well held-out galaxies and those of other surveys are reconstructed."""
    input:
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
        applied=expand(
            "results/spender/{survey}/objects.parquet", survey=SPENDER["apply_to"]
        ),
    output:
        "results/spender/quality.json",
    log:
        "results/logs/spender/quality.log",
    benchmark:
        "results/runtimes/spender/quality.tsv"
    conda:
        "../../../envs/tables.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("spender/quality.py"),
    script:
        "../../scripts/spender/quality.py"


rule spender_plot_reconstructions:
    """Observed spectra, models and residuals of held-out galaxies of the training survey."""
    input:
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
        spectra=f"results/spender/{SPENDER['train_on']}/reconstructions.parquet",
    output:
        report(
            "results/figures/spender/reconstructions.pdf",
            caption="../../report/spender/reconstructions.rst",
            category="SPENDER",
            labels={
                "paper": "arXiv:2211.07890",
                "figure": "reconstructions, held out",
            },
        ),
    log:
        "results/logs/spender/plot_reconstructions.log",
    benchmark:
        "results/runtimes/spender/plot_reconstructions.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_reconstructions.py"),
    script:
        "../../scripts/spender/plot_reconstructions.py"


use rule spender_plot_reconstructions as spender_plot_applied with:
    input:
        objects="results/spender/{survey}/objects.parquet",
        spectra="results/spender/{survey}/reconstructions.parquet",
    output:
        report(
            "results/figures/spender/reconstructions_{survey}.pdf",
            caption="../../report/spender/reconstructions.rst",
            category="SPENDER",
            labels={
                "paper": "arXiv:2211.07890",
                "figure": "reconstructions, {survey}",
            },
        ),
    log:
        "results/logs/spender/plot_reconstructions_{survey}.log",
    benchmark:
        "results/runtimes/spender/plot_reconstructions_{survey}.tsv"


rule spender_plot_fit_quality:
    """Reduced chi2 of held-out galaxies."""
    input:
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
    output:
        report(
            "results/figures/spender/fit_quality.pdf",
            caption="../../report/spender/fit_quality.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "quality of fit"},
        ),
    log:
        "results/logs/spender/plot_fit_quality.log",
    benchmark:
        "results/runtimes/spender/plot_fit_quality.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_fit_quality.py"),
    script:
        "../../scripts/spender/plot_fit_quality.py"

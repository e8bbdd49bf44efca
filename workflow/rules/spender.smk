"""
SPENDER: spectrum autoencoders (Melchior et al. 2023, arXiv:2211.07890).

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training survey and those it is applied to
OUTPUTS:
    results/models/spender/                    weights, card and training history
    results/spender/{survey}/objects.parquet   latents and quality of fit, one row per object
    results/figures/spender/*.pdf
    results/claims/spender.json
"""

SPENDER = config["spender"]
known_survey(SPENDER["train_on"], "spender: train_on")
for survey in SPENDER["apply_to"]:
    known_survey(survey, "spender: apply_to")
SPENDER_MODEL = {
    "weights": "results/models/spender/model.safetensors",
    "card": "results/models/spender/model.json",
}

analysis(
    "spender",
    figures=[
        "results/figures/spender/reconstructions.pdf",
        *expand(
            "results/figures/spender/reconstructions_{survey}.pdf",
            survey=SPENDER["apply_to"],
        ),
        "results/figures/spender/fit_quality.pdf",
        "results/figures/spender/training.pdf",
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
    claims=["results/claims/spender.json"],
    benchmarks=["results/benchmarks/spender.json"],
)


rule spender:
    """Everything of this analysis."""
    input:
        ANALYSES["spender"]["figures"],
        ANALYSES["spender"]["tables"],
        ANALYSES["spender"]["claims"],


rule spender_basis:
    """Fits a rest-frame basis to noisy spectra at many redshifts."""
    input:
        spectra=shards(SPENDER["train_on"]),
    output:
        "results/models/spender/basis.safetensors",
    log:
        "results/logs/spender/basis.log",
    benchmark:
        "results/runtimes/spender/basis.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        architecture={
            key: SPENDER["architecture"][key]
            for key in ("rank", "z_min", "z_max", "lsf_sigma")
        },
        basis=SPENDER["basis"],
        splits=SPENDER["splits"],
        code=code("spender/basis.py"),
    script:
        "../scripts/spender/basis.py"


rule spender_train:
    """Trains the autoencoder; a killed run goes on from its last epoch."""
    input:
        spectra=shards(SPENDER["train_on"]),
        basis=rules.spender_basis.output[0],
    output:
        **SPENDER_MODEL,
        history="results/models/spender/history.parquet",
    log:
        "results/logs/spender/train.log",
    benchmark:
        "results/runtimes/spender/train.tsv"
    conda:
        "../../envs/torch.yaml"
    # A second thread gains 15% on an idle machine, and starves when other jobs share the cores.
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=config["gpus"],
    params:
        architecture=SPENDER["architecture"],
        training=SPENDER["training"],
        splits=SPENDER["splits"],
        checkpoints="results/checkpoints/spender",
        code=code("spender/train.py"),
    script:
        "../scripts/spender/train.py"


rule spender_objects:
    """Reconstructs one shard of a survey with the trained model."""
    input:
        **SPENDER_MODEL,
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
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        code=code("spender/objects.py"),
    script:
        "../scripts/spender/objects.py"


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
        "../../envs/tables.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        trained_on=lambda wildcards: wildcards.survey == SPENDER["train_on"],
        splits=SPENDER["splits"],
        code=code("spender/gather.py"),
    script:
        "../scripts/spender/gather.py"


rule spender_reconstructions:
    """Chooses galaxies that the model has not seen; their spectra and models for the figure."""
    input:
        **SPENDER_MODEL,
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
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        galaxies=SPENDER["figure_objects"],
        code=code("spender/reconstructions.py"),
    script:
        "../scripts/spender/reconstructions.py"


rule spender_controls:
    """Measures what must fail, and the linear baseline."""
    input:
        **SPENDER_MODEL,
        basis=rules.spender_basis.output[0],
        spectra=shards(SPENDER["train_on"]),
    output:
        "results/spender/controls.json",
    log:
        "results/logs/spender/controls.log",
    benchmark:
        "results/runtimes/spender/controls.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        splits=SPENDER["splits"],
        code=code("spender/controls.py"),
    script:
        "../scripts/spender/controls.py"


rule spender_claims:
    """Holds the analysis' numbers against its claims."""
    input:
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
        applied=expand(
            "results/spender/{survey}/objects.parquet", survey=SPENDER["apply_to"]
        ),
        controls=rules.spender_controls.output[0],
    output:
        "results/claims/spender.json",
    log:
        "results/logs/spender/claims.log",
    benchmark:
        "results/runtimes/spender/claims.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        claims=SPENDER["claims"],
        tier=config["tier"],
        code=code("spender/claims.py"),
    script:
        "../scripts/spender/claims.py"


rule spender_plot_reconstructions:
    """Observed spectra, models and residuals of held-out galaxies of the training survey."""
    input:
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
        spectra=f"results/spender/{SPENDER['train_on']}/reconstructions.parquet",
    output:
        report(
            "results/figures/spender/reconstructions.pdf",
            caption="../report/spender/reconstructions.rst",
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
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_reconstructions.py"),
    script:
        "../scripts/spender/plot_reconstructions.py"


use rule spender_plot_reconstructions as spender_plot_applied with:
    input:
        objects="results/spender/{survey}/objects.parquet",
        spectra="results/spender/{survey}/reconstructions.parquet",
    output:
        report(
            "results/figures/spender/reconstructions_{survey}.pdf",
            caption="../report/spender/reconstructions.rst",
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
    """Reduced chi2 and noise suppression of held-out galaxies."""
    input:
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
    output:
        report(
            "results/figures/spender/fit_quality.pdf",
            caption="../report/spender/fit_quality.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "quality of fit"},
        ),
    log:
        "results/logs/spender/plot_fit_quality.log",
    benchmark:
        "results/runtimes/spender/plot_fit_quality.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        noise_limit=SPENDER["claims"].get("noise_suppression", {}).get("maximum"),
        code=code("spender/plot_fit_quality.py"),
    script:
        "../scripts/spender/plot_fit_quality.py"


rule spender_plot_training:
    """Loss over the epochs of training."""
    input:
        rules.spender_train.output.history,
    output:
        report(
            "results/figures/spender/training.pdf",
            caption="../report/spender/training.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "training"},
        ),
    log:
        "results/logs/spender/plot_training.log",
    benchmark:
        "results/runtimes/spender/plot_training.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_training.py"),
    script:
        "../scripts/spender/plot_training.py"


rule spender_benchmark:
    """Times the model's parts against their peers."""
    input:
        **SPENDER_MODEL,
        basis=rules.spender_basis.output[0],
        spectra=shards(SPENDER["train_on"])[0],
    output:
        "results/benchmarks/spender.json",
    log:
        "results/logs/spender/benchmark.log",
    benchmark:
        "results/runtimes/spender/benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        code=code("../../tests/benchmarks/spectra.py"),
    script:
        "../../tests/benchmarks/spectra.py"

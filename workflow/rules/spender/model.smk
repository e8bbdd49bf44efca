"""
Models: every variant of the spectrum autoencoder, trained on one survey.

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training survey
OUTPUTS:
    results/models/spender/{variant}/          weights, card, training history, basis
    results/figures/spender/training.pdf
"""

analysis("spender", figures=["results/figures/spender/training.pdf"])


rule spender_basis:
    """Fits a rest-frame basis to noisy spectra at many redshifts."""
    input:
        spectra=shards(SPENDER["train_on"]),
    output:
        "results/models/spender/{variant}/basis.safetensors",
    log:
        "results/logs/spender/basis/{variant}.log",
    benchmark:
        "results/runtimes/spender/basis/{variant}.tsv"
    wildcard_constraints:
        variant=one_of(SPENDER_BASES.values()),
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        architecture=lambda wildcards: {
            key: SPENDER_VARIANTS[wildcards.variant]["architecture"][key]
            for key in BASIS_SETTINGS
        },
        basis=SPENDER["basis"],
        splits=SPENDER["splits"],
        code=code("spender/basis.py"),
    script:
        "../../scripts/spender/basis.py"


use rule spender_basis as spender_principal_components with:
    output:
        "results/models/spender/default/principal_components.safetensors",
    log:
        "results/logs/spender/principal_components.log",
    benchmark:
        "results/runtimes/spender/principal_components.tsv"
    params:
        # A baseline of as many components as latents, which are not the first of a larger basis.
        architecture={
            **SPENDER["architecture"],
            "rank": SPENDER["architecture"]["latent_size"],
        },
        basis=SPENDER["basis"],
        splits=SPENDER["splits"],
        code=code("spender/basis.py"),


rule spender_train:
    """Trains a variant of the autoencoder; a killed run goes on from its last epoch."""
    input:
        spectra=shards(SPENDER["train_on"]),
        basis=lambda wildcards: (
            f"results/models/spender/{SPENDER_BASES[wildcards.variant]}/basis.safetensors"
        ),
    output:
        **model("spender", "{variant}"),
        history="results/models/spender/{variant}/history.parquet",
    log:
        "results/logs/spender/train/{variant}.log",
    benchmark:
        "results/runtimes/spender/train/{variant}.tsv"
    wildcard_constraints:
        variant=one_of(SPENDER_VARIANTS),
    conda:
        "../../../envs/torch.yaml"
    # A second thread gains 15% on an idle machine, and starves when other jobs share the cores.
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=config["gpus"],
    params:
        architecture=lambda wildcards: SPENDER_VARIANTS[wildcards.variant][
            "architecture"
        ],
        training=lambda wildcards: SPENDER_VARIANTS[wildcards.variant]["training"],
        splits=SPENDER["splits"],
        checkpoints="results/checkpoints/spender/{variant}",
        code=code("spender/train.py"),
    script:
        "../../scripts/spender/train.py"


rule spender_plot_training:
    """Loss over the epochs of training."""
    input:
        "results/models/spender/default/history.parquet",
    output:
        report(
            "results/figures/spender/training.pdf",
            caption="../../report/spender/training.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "training"},
        ),
    log:
        "results/logs/spender/plot_training.log",
    benchmark:
        "results/runtimes/spender/plot_training.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_training.py"),
    script:
        "../../scripts/spender/plot_training.py"

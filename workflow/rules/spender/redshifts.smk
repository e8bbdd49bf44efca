"""
Redshifts: estimated by likelihood, and what wrong ones do to the autoencoder.

REQUIRED INPUTS:
    results/models/spender/default/            the trained model
    results/surveys/{survey}/spectra/*.arrow   of the surveys it is applied to
OUTPUTS:
    results/spender/{survey}/redshifts.parquet redshifts that were looked for, a row per search
    results/spender/redshifts/*.parquet        likelihoods; fits with wrong redshifts
    results/figures/spender/redshifts.pdf, wrong_redshift.pdf
"""

analysis(
    "spender",
    figures=[
        "results/figures/spender/redshifts.pdf",
        "results/figures/spender/wrong_redshift.pdf",
    ],
    tables=[
        *expand(
            "results/spender/{survey}/redshifts.parquet",
            survey=[SPENDER["train_on"], *SPENDER["apply_to"]],
        ),
        "results/spender/redshifts/wrong.parquet",
    ],
)
SPENDER_NUMBERS.append("results/spender/redshifts.json")


rule spender_redshifts:
    """Looks for the redshifts of spectra that the model has not seen."""
    input:
        **model("spender", "default"),
        catalogue="results/surveys/{survey}/catalogue.parquet",
        spectra=lambda wildcards: shards(wildcards.survey),
        truth=lambda wildcards: truth(wildcards.survey),
    output:
        "results/spender/{survey}/redshifts.parquet",
    log:
        "results/logs/spender/redshifts/{survey}.log",
    benchmark:
        "results/runtimes/spender/redshifts/{survey}.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        redshifts=SPENDER["redshifts"],
        trained_on=lambda wildcards: wildcards.survey == SPENDER["train_on"],
        splits=SPENDER["splits"],
        code=code("spender/redshifts.py"),
    script:
        "../../scripts/spender/redshifts.py"


rule spender_redshift_likelihoods:
    """Likelihoods over redshift of one held-out galaxy, as observed and with more noise."""
    input:
        **model("spender", "default"),
        redshifts=f"results/spender/{SPENDER['train_on']}/redshifts.parquet",
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
    output:
        "results/spender/redshifts/likelihoods.parquet",
    log:
        "results/logs/spender/redshift_likelihoods.log",
    benchmark:
        "results/runtimes/spender/redshift_likelihoods.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        redshifts=SPENDER["redshifts"],
        code=code("spender/redshift_likelihoods.py"),
    script:
        "../../scripts/spender/redshift_likelihoods.py"


rule spender_wrong_redshifts:
    """Gives the model wrong redshifts of held-out galaxies."""
    input:
        **model("spender", "default"),
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
    output:
        "results/spender/redshifts/wrong.parquet",
    log:
        "results/logs/spender/wrong_redshifts.log",
    benchmark:
        "results/runtimes/spender/wrong_redshifts.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        redshifts=SPENDER["redshifts"],
        splits=SPENDER["splits"],
        code=code("spender/wrong_redshifts.py"),
    script:
        "../../scripts/spender/wrong_redshifts.py"


rule spender_redshift_numbers:
    """Summarises how well redshifts are found, and what wrong ones do."""
    input:
        redshifts=f"results/spender/{SPENDER['train_on']}/redshifts.parquet",
        wrong="results/spender/redshifts/wrong.parquet",
        applied=expand(
            "results/spender/{survey}/redshifts.parquet", survey=SPENDER["apply_to"]
        ),
    output:
        "results/spender/redshifts.json",
    log:
        "results/logs/spender/redshift_numbers.log",
    benchmark:
        "results/runtimes/spender/redshift_numbers.tsv"
    conda:
        "../../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/redshift_numbers.py"),
    script:
        "../../scripts/spender/redshift_numbers.py"


rule spender_plot_redshifts:
    """Estimated against true redshifts, failures against S/N, likelihoods and accuracy."""
    input:
        f"results/spender/{SPENDER['train_on']}/redshifts.parquet",
        "results/spender/redshifts/likelihoods.parquet",
    output:
        report(
            "results/figures/spender/redshifts.pdf",
            caption="../../report/spender/redshifts.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "redshifts"},
        ),
    log:
        "results/logs/spender/plot_redshifts.log",
    benchmark:
        "results/runtimes/spender/plot_redshifts.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_redshifts.py"),
    script:
        "../../scripts/spender/plot_redshifts.py"


rule spender_plot_wrong_redshift:
    """Fit and latents against the error of the redshift that the model is given."""
    input:
        "results/spender/redshifts/wrong.parquet",
    output:
        report(
            "results/figures/spender/wrong_redshift.pdf",
            caption="../../report/spender/wrong_redshift.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "wrong redshifts"},
        ),
    log:
        "results/logs/spender/plot_wrong_redshift.log",
    benchmark:
        "results/runtimes/spender/plot_wrong_redshift.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_wrong_redshift.py"),
    script:
        "../../scripts/spender/plot_wrong_redshift.py"

"""
Attention: which parts of a spectrum features of the reconstruction are drawn from.

REQUIRED INPUTS:
    results/models/spender/{variant}/          a model whose encoder has attention
    results/surveys/{survey}/spectra/*.arrow   of the training survey
OUTPUTS:
    results/spender/attention/*.parquet, *.json
    results/figures/spender/attention.pdf
"""

# The first model whose encoder has attention, if there is any.
ATTENTIVE = next(
    (
        variant
        for variant, settings in SPENDER_VARIANTS.items()
        if settings["architecture"]["encoder"] in ("flux", "published")
    ),
    None,
)
if ATTENTIVE:
    analysis(
        "spender",
        figures=["results/figures/spender/attention.pdf"],
        tables=["results/spender/attention/enhancements.parquet"],
    )
    SPENDER_NUMBERS.append("results/spender/attention/attention.json")


rule spender_attention:
    """Attributes features of decoded spectra to parts of the observed ones."""
    input:
        **model("spender", ATTENTIVE),
        spectra=shards(SPENDER["train_on"]),
    output:
        curves="results/spender/attention/curves.parquet",
        enhancements="results/spender/attention/enhancements.parquet",
        numbers="results/spender/attention/attention.json",
    log:
        "results/logs/spender/attention.log",
    benchmark:
        "results/runtimes/spender/attention.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        splits=SPENDER["splits"],
        code=code("spender/attention.py"),
    script:
        "../../scripts/spender/attention.py"


rule spender_plot_attention:
    """Attribution of features over the rest-frame spectrum."""
    input:
        curves="results/spender/attention/curves.parquet",
        enhancements="results/spender/attention/enhancements.parquet",
    output:
        report(
            "results/figures/spender/attention.pdf",
            caption="../../report/spender/attention.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "attention"},
        ),
    log:
        "results/logs/spender/plot_attention.log",
    benchmark:
        "results/runtimes/spender/plot_attention.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_attention.py"),
    script:
        "../../scripts/spender/plot_attention.py"

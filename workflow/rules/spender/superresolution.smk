"""
Super-resolution: the [O II] doublet, decoded at higher resolution than that of the data.

REQUIRED INPUTS:
    results/models/spender/superresolution/    the model of higher resolution
    results/models/spender/default/            the one at the resolution of the data
    results/surveys/{survey}/{spectra,truth}/  of the training survey, which is simulated
OUTPUTS:
    results/spender/superresolution.parquet    two Gaussians fitted to models and truth
    results/spender/superresolution/           spectra to draw
    results/figures/spender/superresolution.pdf
"""

# The truth at high resolution is known of simulated galaxies alone.
if truth(SPENDER["train_on"]) and "superresolution" in SPENDER_VARIANTS:
    analysis(
        "spender",
        figures=["results/figures/spender/superresolution.pdf"],
        tables=["results/spender/superresolution.parquet"],
    )
    SPENDER_NUMBERS.append("results/spender/superresolution.json")


rule spender_superresolution:
    """Measures the [O II] doublet in decoded spectra and in the truth."""
    input:
        **model("spender", "superresolution"),
        default_weights=model("spender", "default")["weights"],
        default_card=model("spender", "default")["card"],
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
        ssp_grid=SSP_GRID,
        hyperparameters=resource("galaxy_population.json"),
        history_basis=resource("history_basis.parquet"),
    output:
        doublets="results/spender/superresolution.parquet",
        curves="results/spender/superresolution/curves.parquet",
        numbers="results/spender/superresolution.json",
    log:
        "results/logs/spender/superresolution.log",
    benchmark:
        "results/runtimes/spender/superresolution.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        survey=SURVEYS[SPENDER["train_on"]].settings,
        splits=SPENDER["splits"],
        superresolution=SPENDER["superresolution"],
        code=code("spender/superresolution.py"),
    script:
        "../../scripts/spender/superresolution.py"


rule spender_plot_superresolution:
    """The [O II] doublet in data, models and truth."""
    input:
        doublets="results/spender/superresolution.parquet",
        curves="results/spender/superresolution/curves.parquet",
    output:
        report(
            "results/figures/spender/superresolution.pdf",
            caption="../../report/spender/superresolution.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "super-resolution"},
        ),
    log:
        "results/logs/spender/plot_superresolution.log",
    benchmark:
        "results/runtimes/spender/plot_superresolution.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_superresolution.py"),
    script:
        "../../scripts/spender/plot_superresolution.py"

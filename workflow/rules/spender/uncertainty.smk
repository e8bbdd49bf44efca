"""
Uncertainties: of latents and reconstructions, calibrated without and judged against truth.

REQUIRED INPUTS:
    results/models/spender/{variant}/          a trained model
    results/surveys/{survey}/spectra/*.arrow   of the training survey; truth/*.arrow to judge
    resources/{instrument}_noise.parquet       residuals of the sky's subtraction
OUTPUTS:
    results/models/spender/{variant}/calibration.safetensors   the error model
    results/spender/uncertainty/                               what the figures are drawn from
    results/figures/spender/uncertainties.pdf, noise_suppression.pdf
"""

# Without truth the errors are used, but cannot be judged.
if truth(SPENDER["train_on"]):
    analysis(
        "spender",
        figures=[
            "results/figures/spender/uncertainties.pdf",
            "results/figures/spender/noise_suppression.pdf",
        ],
    )
    SPENDER_NUMBERS.append("results/spender/uncertainty.json")


rule spender_calibration:
    """Estimates the error model of a trained model from spectra of the validation split."""
    input:
        **model("spender", "{variant}"),
        spectra=shards(SPENDER["train_on"]),
        noise=resource(f"{SURVEYS[SPENDER['train_on']].instrument}_noise.parquet"),
    output:
        "results/models/spender/{variant}/calibration.safetensors",
    log:
        "results/logs/spender/calibration/{variant}.log",
    benchmark:
        "results/runtimes/spender/calibration/{variant}.tsv"
    wildcard_constraints:
        variant=one_of(SPENDER_VARIANTS),
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        spectra=SPENDER["uncertainty"]["calibrate"],
        splits=SPENDER["splits"],
        code=code("spender/calibration.py"),
    script:
        "../../scripts/spender/calibration.py"


rule spender_uncertainty:
    """Holds errors of held-out spectra against the truth; measures what is left of the noise."""
    input:
        **model("spender", "default"),
        calibration="results/models/spender/default/calibration.safetensors",
        components="results/models/spender/default/principal_components.safetensors",
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
    output:
        curves="results/spender/uncertainty/curves.parquet",
        suppression="results/spender/uncertainty/noise_suppression.parquet",
        numbers="results/spender/uncertainty.json",
    log:
        "results/logs/spender/uncertainty.log",
    benchmark:
        "results/runtimes/spender/uncertainty.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        spectra=SPENDER["uncertainty"]["judge"],
        splits=SPENDER["splits"],
        code=code("spender/uncertainty.py"),
    script:
        "../../scripts/spender/uncertainty.py"


rule spender_plot_uncertainties:
    """Pulls and coverage of latents and pixels, and a spectrum with its band and truth."""
    input:
        rules.spender_uncertainty.output.curves,
    output:
        report(
            "results/figures/spender/uncertainties.pdf",
            caption="../../report/spender/uncertainties.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "uncertainties"},
        ),
    log:
        "results/logs/spender/plot_uncertainties.log",
    benchmark:
        "results/runtimes/spender/plot_uncertainties.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_uncertainties.py"),
    script:
        "../../scripts/spender/plot_uncertainties.py"


rule spender_plot_noise_suppression:
    """Model - truth over the noise against S/N, with principal components beside."""
    input:
        rules.spender_uncertainty.output.suppression,
    output:
        report(
            "results/figures/spender/noise_suppression.pdf",
            caption="../../report/spender/noise_suppression.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "noise suppression"},
        ),
    log:
        "results/logs/spender/plot_noise_suppression.log",
    benchmark:
        "results/runtimes/spender/plot_noise_suppression.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        limit=SPENDER["claims"]
        .get("noise_suppression_at_median_snr", {})
        .get("maximum"),
        code=code("spender/plot_noise_suppression.py"),
    script:
        "../../scripts/spender/plot_noise_suppression.py"

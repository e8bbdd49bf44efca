"""
Real galaxies: what a model of simulated ones makes of them, adapts to, and lacks.

Only where a real survey is in `apply_to`; the first of them is judged.

REQUIRED INPUTS:
    results/models/spender/default/                  the trained model
    results/surveys/{survey}/                        spectra and catalogue of the real survey
    results/spender/{survey}/objects.parquet         its objects
    results/surveys/{survey}/truth/*.arrow           of the training survey, if simulated
OUTPUTS:
    results/spender/{survey}/adaptation.parquet      reduced chi2 before and after, per spectrum
    results/spender/{survey}/residual_*.parquet      stacked residuals and their features
    results/spender/{survey}/correction.safetensors  what all galaxies taught
    results/spender/adaptation.json
    results/figures/spender/real_galaxies.pdf
"""

SPENDER_REAL = [
    survey
    for survey in SPENDER["apply_to"]
    if SURVEYS[survey].data == "real" and truth(SPENDER["train_on"])
][:1]

if SPENDER_REAL:
    analysis(
        "spender",
        figures=["results/figures/spender/real_galaxies.pdf"],
        tables=expand(
            "results/spender/{survey}/{table}.parquet",
            survey=SPENDER_REAL,
            table=("adaptation", "residual_stack", "residual_features"),
        ),
    )
    SPENDER_NUMBERS.append("results/spender/adaptation.json")

    rule spender_adapt:
        """Adapts the model to real galaxies, each left out in turn; stacks what is left."""
        input:
            **model("spender", "default"),
            spectra=shards(SPENDER_REAL[0]),
            objects=f"results/spender/{SPENDER_REAL[0]}/objects.parquet",
            catalogue=f"results/surveys/{SPENDER_REAL[0]}/catalogue.parquet",
            truth=truth(SPENDER["train_on"]),
            noise=resource(f"{SURVEYS[SPENDER_REAL[0]].instrument}_noise.parquet"),
        output:
            objects=f"results/spender/{SPENDER_REAL[0]}/adaptation.parquet",
            stack=f"results/spender/{SPENDER_REAL[0]}/residual_stack.parquet",
            features=f"results/spender/{SPENDER_REAL[0]}/residual_features.parquet",
            correction=f"results/spender/{SPENDER_REAL[0]}/correction.safetensors",
            numbers="results/spender/adaptation.json",
        log:
            "results/logs/spender/adapt.log",
        benchmark:
            "results/runtimes/spender/adapt.tsv"
        conda:
            "../../../envs/torch.yaml"
        resources:
            mem_mb=4000,
            runtime=20,
        params:
            spectra=SPENDER["adaptation"]["spectra"],
            settings={
                key: value
                for key, value in SPENDER["adaptation"].items()
                if key != "spectra"
            },
            splits=SPENDER["splits"],
            code=code("spender/real_galaxies.py"),
        script:
            "../../scripts/spender/real_galaxies.py"

    rule spender_plot_real_galaxies:
        """Reduced chi2 by class before and after adaptation, and stacked residuals."""
        input:
            objects=f"results/spender/{SPENDER_REAL[0]}/adaptation.parquet",
            stack=f"results/spender/{SPENDER_REAL[0]}/residual_stack.parquet",
            features=f"results/spender/{SPENDER_REAL[0]}/residual_features.parquet",
        output:
            report(
                "results/figures/spender/real_galaxies.pdf",
                caption="../../report/spender/real_galaxies.rst",
                category="SPENDER",
                labels={"paper": "arXiv:2211.07890", "figure": "real galaxies"},
            ),
        log:
            "results/logs/spender/plot_real_galaxies.log",
        benchmark:
            "results/runtimes/spender/plot_real_galaxies.tsv"
        conda:
            "../../../envs/figures.yaml"
        resources:
            mem_mb=1000,
            runtime=5,
        params:
            code=code("spender/plot_real_galaxies.py"),
        script:
            "../../scripts/spender/plot_real_galaxies.py"

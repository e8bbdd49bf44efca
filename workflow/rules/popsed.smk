"""
PopSED: the population of galaxies from broadband photometry (Li et al. 2024, arXiv:2309.16958).

REQUIRED INPUTS:
    results/surveys/{survey}/photometry/*.parquet   of surveys with a section `population`
    resources/ssp_grid.safetensors, resources/history_basis.parquet
OUTPUTS:
    results/popsed/{survey}/fits/{fit}/             galaxies, history, weights and summary of a fit
    results/popsed/{survey}/                        tables of the population
    results/figures/popsed/*.pdf
    results/claims/popsed.json
"""


include: "popsed/common.smk"


analysis(
    "popsed",
    figures=expand(
        "results/figures/popsed/{figure}_{survey}.pdf",
        survey=POPSED_SURVEYS,
        figure=[*POPSED_FIGURES, "convergence"],
    ),
    tables=expand("results/popsed/{survey}/parameters.parquet", survey=POPSED_SURVEYS),
    claims=["results/claims/popsed.json"],
    benchmarks=["results/benchmarks/popsed.json"],
)


rule popsed:
    """Everything of this analysis."""
    input:
        products("popsed"),


rule popsed_fit:
    """Fits a population with a given weight of the prior."""
    input:
        photometry=lambda wildcards: shards(wildcards.survey, "photometry", "parquet"),
        ssp_grid=resource("ssp_grid.safetensors"),
        basis=resource("history_basis.parquet"),
    output:
        galaxies="results/popsed/{survey}/fits/{fit}/galaxies.parquet",
        history="results/popsed/{survey}/fits/{fit}/history.parquet",
        weights="results/popsed/{survey}/fits/{fit}/model.safetensors",
        summary="results/popsed/{survey}/fits/{fit}/summary.json",
    log:
        "results/logs/popsed/{survey}/fit/{fit}.log",
    benchmark:
        "results/runtimes/popsed/{survey}/fit/{fit}.tsv"
    wildcard_constraints:
        fit=one_of(POPSED_FITS),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        population=lambda wildcards: SURVEYS[wildcards.survey].population,
        settings=POPSED["fit"],
        fit=lambda wildcards: POPSED_FITS[wildcards.fit],
        galaxies=POPSED["galaxies"],
        checkpoints="results/checkpoints/popsed/{survey}/{fit}",
        code=code("popsed/fit.py"),
    script:
        "../scripts/popsed/fit.py"


rule popsed_lcurve:
    """Chooses the weight of the prior."""
    input:
        popsed_fits("summary.json", POPSED_WEIGHTS),
    output:
        table="results/popsed/{survey}/lcurve.parquet",
        weight="results/popsed/{survey}/weight.json",
    log:
        "results/logs/popsed/{survey}/lcurve.log",
    benchmark:
        "results/runtimes/popsed/{survey}/lcurve.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("popsed/lcurve.py"),
    script:
        "../scripts/popsed/lcurve.py"


use rule popsed_fit as popsed_chosen_fit with:
    input:
        photometry=lambda wildcards: shards(wildcards.survey, "photometry", "parquet"),
        ssp_grid=resource("ssp_grid.safetensors"),
        basis=resource("history_basis.parquet"),
        lcurve="results/popsed/{survey}/weight.json",
    log:
        "results/logs/popsed/{survey}/chosen_fit/{fit}.log",
    benchmark:
        "results/runtimes/popsed/{survey}/chosen_fit/{fit}.tsv"
    wildcard_constraints:
        fit=one_of(POPSED_CHOSEN),
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        population=lambda wildcards: SURVEYS[wildcards.survey].population,
        settings=POPSED["fit"],
        fit=lambda wildcards: POPSED_CHOSEN[wildcards.fit],
        galaxies=POPSED["galaxies"],
        checkpoints="results/checkpoints/popsed/{survey}/{fit}",
        code=code("popsed/fit.py"),


rule popsed_individual:
    """Fits single galaxies, whose stacked posteriors are not the population."""
    input:
        photometry=lambda wildcards: shards(wildcards.survey, "photometry", "parquet"),
        ssp_grid=resource("ssp_grid.safetensors"),
        basis=resource("history_basis.parquet"),
    output:
        stacks="results/popsed/{survey}/stacks.parquet",
        summary="results/popsed/{survey}/stacks.json",
    log:
        "results/logs/popsed/{survey}/individual.log",
    benchmark:
        "results/runtimes/popsed/{survey}/individual.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        population=lambda wildcards: SURVEYS[wildcards.survey].population,
        galaxies=POPSED["single_fits"]["galaxies"],
        library=POPSED["single_fits"]["library"],
        error_floor=POPSED["fit"]["error_floor"],
        code=code("popsed/individual.py"),
    script:
        "../scripts/popsed/individual.py"


rule popsed_population:
    """What the ensemble says of the population, beside the truth and the controls."""
    input:
        photometry=lambda wildcards: shards(wildcards.survey, "photometry", "parquet"),
        truth=popsed_truth,
        members=popsed_fits("galaxies.parquet", POPSED_MEMBERS),
        prior=popsed_fits("galaxies.parquet", ["prior"])[0],
        published=popsed_fits("galaxies.parquet", ["published"])[0],
        shuffled=popsed_fits("galaxies.parquet", ["shuffled"])[0],
        lightest=popsed_fits("galaxies.parquet", POPSED_WEIGHTS)[0],
        heaviest=popsed_fits("galaxies.parquet", POPSED_WEIGHTS)[-1],
        hyperparameters=resource("galaxy_population.json"),
    output:
        population="results/popsed/{survey}/population.parquet",
        photometry="results/popsed/{survey}/photometry.parquet",
        bands="results/popsed/{survey}/bands.parquet",
        sequence="results/popsed/{survey}/sequence.parquet",
        parameters="results/popsed/{survey}/parameters.parquet",
        numbers="results/popsed/{survey}/numbers.json",
    log:
        "results/logs/popsed/{survey}/population.log",
    benchmark:
        "results/runtimes/popsed/{survey}/population.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        population=lambda wildcards: SURVEYS[wildcards.survey].population,
        universe=lambda wildcards: SURVEYS[wildcards.survey].universe,
        code=code("popsed/population.py"),
    script:
        "../scripts/popsed/population.py"


rule popsed_ablation:
    """What each choice is worth, and how fits converge."""
    input:
        photometry=lambda wildcards: shards(wildcards.survey, "photometry", "parquet"),
        truth=popsed_truth,
        galaxies=popsed_fits("galaxies.parquet", [*POPSED_FITS, *POPSED_CHOSEN]),
        summaries=popsed_fits("summary.json", [*POPSED_FITS, *POPSED_CHOSEN]),
        histories=popsed_fits("history.parquet", [*POPSED_WEIGHTS, "published"]),
        lcurve="results/popsed/{survey}/weight.json",
        stacks="results/popsed/{survey}/stacks.parquet",
    output:
        ablation="results/popsed/{survey}/ablation.parquet",
        convergence="results/popsed/{survey}/convergence.parquet",
    log:
        "results/logs/popsed/{survey}/ablation.log",
    benchmark:
        "results/runtimes/popsed/{survey}/ablation.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        population=lambda wildcards: SURVEYS[wildcards.survey].population,
        fits=[*POPSED_FITS, *POPSED_CHOSEN],
        rows=POPSED_ROWS,
        histories=[*POPSED_WEIGHTS, "published"],
        code=code("popsed/ablation.py"),
    script:
        "../scripts/popsed/ablation.py"


for figure, table in POPSED_FIGURES.items():

    # Captions belong to rules.
    rule:
        name:
            f"popsed_plot_{figure}"
        input:
            f"results/popsed/{{survey}}/{table}.parquet",
        output:
            report(
                f"results/figures/popsed/{figure}_{{survey}}.pdf",
                caption=f"../report/popsed/{figure}.rst",
                category="PopSED",
                subcategory="{survey}",
                labels={
                    "paper": POPSED_PAPER,
                    "figure": figure.replace("_", " "),
                },
            ),
        log:
            f"results/logs/popsed/{{survey}}/plot/{figure}.log",
        benchmark:
            f"results/runtimes/popsed/{{survey}}/plot/{figure}.tsv"
        conda:
            "../../envs/figures.yaml"
        resources:
            mem_mb=1000,
            runtime=5,
        params:
            figure=figure,
            code=code(f"popsed/plot_{figure}.py"),
        script:
            "../scripts/popsed/plot_{params.figure}.py"


rule popsed_plot_convergence:
    """Distances as galaxies are drawn, and the choice of the prior's weight."""
    input:
        fits="results/popsed/{survey}/convergence.parquet",
        lcurve="results/popsed/{survey}/lcurve.parquet",
    output:
        report(
            "results/figures/popsed/convergence_{survey}.pdf",
            caption="../report/popsed/convergence.rst",
            category="PopSED",
            subcategory="{survey}",
            labels={"paper": POPSED_PAPER, "figure": "convergence"},
        ),
    log:
        "results/logs/popsed/{survey}/plot_convergence.log",
    benchmark:
        "results/runtimes/popsed/{survey}/plot_convergence.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("popsed/plot_convergence.py"),
    script:
        "../scripts/popsed/plot_convergence.py"


rule popsed_claims:
    """Holds the analysis' numbers against its claims."""
    input:
        numbers=expand("results/popsed/{survey}/numbers.json", survey=POPSED_SURVEYS),
    output:
        "results/claims/popsed.json",
    log:
        "results/logs/popsed/claims.log",
    benchmark:
        "results/runtimes/popsed/claims.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        surveys=POPSED_SURVEYS,
        claims=POPSED["claims"],
        tier=config["tier"],
        code=code("popsed/claims.py"),
    script:
        "../scripts/popsed/claims.py"


rule popsed_benchmark:
    """Times the distances against their peer."""
    output:
        "results/benchmarks/popsed.json",
    log:
        "results/logs/popsed/benchmark.log",
    benchmark:
        "results/runtimes/popsed/benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        sizes=POPSED["benchmark"]["sizes"],
        code=code("../../tests/benchmarks/popsed.py"),
    script:
        "../../tests/benchmarks/popsed.py"

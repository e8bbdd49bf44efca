"""
Why is it an outlier? Inverse Multiscale Occlusion (Shen & Melchior 2023, arXiv:2310.20012): which
pixels and features raise an outlier's score, and how well that and other methods find what is known
to be anomalous.

REQUIRED INPUTS:
    results/models/{analysis}/default/scorer.*      of the search that is explained
    results/{analysis}/{survey}/catalogue.parquet
    results/surveys/{survey}/spectra/*.arrow, truth/*.arrow
OUTPUTS:
    results/imo/
    results/{analysis}/{survey}/explanations/       of the first outliers of a catalogue
    results/figures/imo/*.pdf
    results/claims/imo.json
"""

IMO = config["imo"]
IMO_PAPER = "arXiv:2310.20012"
IMO_FIGURES = ("comparison", "localisation", "perturbation")
# Catalogues whose first outliers are explained, and surveys of each search.
EXPLAINED = {
    name: [section["search"], *section["apply_to"]]
    for name, section in OUTLIERS.items()
}

if IMO["explain"] not in OUTLIERS:
    raise UserError(
        f"config: imo: explain: there is no search {IMO['explain']!r}; name one of "
        f"{', '.join(OUTLIERS)}."
    )
known_survey(IMO["survey"], "imo: survey", "spectra")
if SURVEYS[IMO["survey"]].data != "simulated":
    raise UserError(
        f"config: imo: survey: the truth of {IMO['survey']!r} is not known; name a simulated "
        "survey."
    )
if SURVEYS[IMO["survey"]].grid != SURVEYS[OUTLIERS[IMO["explain"]]["train_on"]].grid:
    raise UserError(
        f"config: imo: survey: {IMO['survey']!r} has other pixels than the model of "
        f"{IMO['explain']}; give both the same `instrument` and `log10_step`."
    )

analysis(
    "imo",
    figures=[
        *expand(
            "results/figures/imo/{figure}_{score}.pdf",
            figure=IMO_FIGURES,
            score=IMO["scores"],
        ),
        *(
            f"results/figures/imo/features_{name}_{survey}.pdf"
            for name, surveys in EXPLAINED.items()
            for survey in surveys
        ),
        *(
            f"results/figures/imo/examples_{name}_{survey}.pdf"
            for name, surveys in EXPLAINED.items()
            for survey in surveys
            if SURVEYS[survey].data == "real"
        ),
    ],
    claims=["results/claims/imo.json"],
    benchmarks=["results/benchmarks/imo.json"],
)


rule imo:
    """Everything of this analysis."""
    input:
        products("imo"),


rule imo_measure:
    """Attributes scores of simulated outliers by every method, and measures what they point at."""
    input:
        weights=f"results/models/{IMO['explain']}/default/scorer.safetensors",
        card=f"results/models/{IMO['explain']}/default/scorer.json",
        catalogue=f"results/{IMO['explain']}/{IMO['survey']}/catalogue.parquet",
        spectra=shards(IMO["survey"]),
        truth=truth(IMO["survey"]),
    output:
        measured="results/imo/{score}/measured.parquet",
        object_curves="results/imo/{score}/object_curves.parquet",
        spectra="results/imo/{score}/examples/spectra.parquet",
        maps="results/imo/{score}/examples/maps.parquet",
        features="results/imo/{score}/examples/features.parquet",
    log:
        "results/logs/imo/measure/{score}.log",
    benchmark:
        "results/runtimes/imo/measure/{score}.tsv"
    wildcard_constraints:
        score=one_of(IMO["scores"]),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        instrument=SURVEYS[IMO["survey"]].instrument,
        ordinary=IMO["ordinary"],
        objects=IMO["objects"],
        code=code("imo/measure.py"),
    script:
        "../scripts/imo/measure.py"


rule imo_evaluate:
    """How well each method points at anomalies, by kind and signal-to-noise ratio."""
    input:
        measured="results/imo/{score}/measured.parquet",
        object_curves="results/imo/{score}/object_curves.parquet",
    output:
        localisation="results/imo/{score}/localisation.parquet",
        curves="results/imo/{score}/curves.parquet",
        numbers="results/imo/{score}/numbers.json",
    log:
        "results/logs/imo/evaluate/{score}.log",
    benchmark:
        "results/runtimes/imo/evaluate/{score}.tsv"
    wildcard_constraints:
        score=one_of(IMO["scores"]),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("imo/evaluate.py"),
    script:
        "../scripts/imo/evaluate.py"


rule imo_explain:
    """Explains the first outliers of a catalogue: pixels, lines and regions."""
    input:
        weights="results/models/{analysis}/default/scorer.safetensors",
        card="results/models/{analysis}/default/scorer.json",
        catalogue="results/{analysis}/{survey}/catalogue.parquet",
        spectra=lambda wildcards: shards(wildcards.survey),
        truth=lambda wildcards: truth(wildcards.survey),
    output:
        spectra="results/{analysis}/{survey}/explanations/spectra.parquet",
        maps="results/{analysis}/{survey}/explanations/maps.parquet",
        features="results/{analysis}/{survey}/explanations/features.parquet",
        summary="results/{analysis}/{survey}/explanations/summary.parquet",
    log:
        "results/logs/{analysis}/explain/{survey}.log",
    benchmark:
        "results/runtimes/{analysis}/explain/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        ordinary=IMO["ordinary"],
        first=IMO["first"],
        code=code("imo/explain.py"),
    script:
        "../scripts/imo/explain.py"


rule imo_examples:
    """Compares methods on the strangest real objects of each class, and at broad lines."""
    input:
        weights="results/models/{analysis}/default/scorer.safetensors",
        card="results/models/{analysis}/default/scorer.json",
        catalogue="results/{analysis}/{survey}/catalogue.parquet",
        spectra=lambda wildcards: shards(wildcards.survey),
    output:
        spectra="results/imo/{analysis}/{survey}/spectra.parquet",
        maps="results/imo/{analysis}/{survey}/maps.parquet",
        features="results/imo/{analysis}/{survey}/features.parquet",
        numbers="results/imo/{analysis}/{survey}/numbers.json",
    log:
        "results/logs/imo/examples/{analysis}/{survey}.log",
    benchmark:
        "results/runtimes/imo/examples/{analysis}/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        instrument=lambda wildcards: SURVEYS[wildcards.survey].instrument,
        ordinary=IMO["ordinary"],
        examples=IMO["examples"],
        code=code("imo/examples.py"),
    script:
        "../scripts/imo/examples.py"


rule imo_plot_comparison:
    """What each method attributes to the pixels of simulated outliers, with the truth."""
    input:
        spectra="results/imo/{score}/examples/spectra.parquet",
        maps="results/imo/{score}/examples/maps.parquet",
        features="results/imo/{score}/examples/features.parquet",
    output:
        report(
            "results/figures/imo/comparison_{score}.pdf",
            caption="../report/imo/comparison.rst",
            category="Attribution",
            labels={"paper": IMO_PAPER, "figure": "comparison of {score}"},
        ),
    log:
        "results/logs/imo/plot_comparison/{score}.log",
    benchmark:
        "results/runtimes/imo/plot_comparison/{score}.tsv"
    wildcard_constraints:
        score=one_of(IMO["scores"]),
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("imo/plot_comparison.py"),
    script:
        "../scripts/imo/plot_comparison.py"


use rule imo_plot_comparison as imo_plot_examples with:
    input:
        spectra="results/imo/{analysis}/{survey}/spectra.parquet",
        maps="results/imo/{analysis}/{survey}/maps.parquet",
        features="results/imo/{analysis}/{survey}/features.parquet",
    output:
        report(
            "results/figures/imo/examples_{analysis}_{survey}.pdf",
            caption="../report/imo/examples.rst",
            category="Attribution",
            labels={"paper": IMO_PAPER, "figure": "examples of {survey}"},
        ),
    log:
        "results/logs/imo/plot_examples/{analysis}/{survey}.log",
    benchmark:
        "results/runtimes/imo/plot_examples/{analysis}/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),


rule imo_plot_localisation:
    """How much of the attribution is where the anomaly is, by method, kind and S/N."""
    input:
        "results/imo/{score}/localisation.parquet",
    output:
        report(
            "results/figures/imo/localisation_{score}.pdf",
            caption="../report/imo/localisation.rst",
            category="Attribution",
            labels={"paper": IMO_PAPER, "figure": "localisation of {score}"},
        ),
    log:
        "results/logs/imo/plot_localisation/{score}.log",
    benchmark:
        "results/runtimes/imo/plot_localisation/{score}.tsv"
    wildcard_constraints:
        score=one_of(IMO["scores"]),
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("imo/plot_localisation.py"),
    script:
        "../scripts/imo/plot_localisation.py"


rule imo_plot_perturbation:
    """How scores change as the attributed pixels are exchanged with ordinary ones."""
    input:
        "results/imo/{score}/curves.parquet",
    output:
        report(
            "results/figures/imo/perturbation_{score}.pdf",
            caption="../report/imo/perturbation.rst",
            category="Attribution",
            labels={"paper": IMO_PAPER, "figure": "deletion and insertion of {score}"},
        ),
    log:
        "results/logs/imo/plot_perturbation/{score}.log",
    benchmark:
        "results/runtimes/imo/plot_perturbation/{score}.tsv"
    wildcard_constraints:
        score=one_of(IMO["scores"]),
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("imo/plot_perturbation.py"),
    script:
        "../scripts/imo/plot_perturbation.py"


rule imo_plot_features:
    """Which features make the outliers of a catalogue."""
    input:
        "results/{analysis}/{survey}/explanations/summary.parquet",
    output:
        report(
            "results/figures/imo/features_{analysis}_{survey}.pdf",
            caption="../report/imo/features.rst",
            category="Attribution",
            labels={"paper": IMO_PAPER, "figure": "features of {survey}"},
        ),
    log:
        "results/logs/imo/plot_features/{analysis}/{survey}.log",
    benchmark:
        "results/runtimes/imo/plot_features/{analysis}/{survey}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("imo/plot_features.py"),
    script:
        "../scripts/imo/plot_features.py"


use rule spender_claims as imo_claims with:
    input:
        numbers=[
            *expand("results/imo/{score}/numbers.json", score=IMO["scores"]),
            *(
                f"results/imo/{IMO['explain']}/{survey}/numbers.json"
                for survey in EXPLAINED[IMO["explain"]]
                if SURVEYS[survey].data == "real"
            ),
        ],
        spectra=shards(IMO["survey"])[0],
    output:
        "results/claims/imo.json",
    log:
        "results/logs/imo/claims.log",
    benchmark:
        "results/runtimes/imo/claims.tsv"
    params:
        analysis="imo",
        claims=IMO["claims"],
        tier=config["tier"],
        code=code("spender/claims.py"),


rule imo_benchmark:
    """Times inverse multiscale occlusion beside the published algorithm, and compares maps."""
    input:
        scorer=f"results/models/{IMO['explain']}/default/scorer.safetensors",
        scorer_card=f"results/models/{IMO['explain']}/default/scorer.json",
        flux=outlier_model(
            IMO["explain"], OUTLIERS[IMO["explain"]]["invariance"]["after"]
        )["weights"],
        flux_card=outlier_model(
            IMO["explain"], OUTLIERS[IMO["explain"]]["invariance"]["after"]
        )["card"],
        spectra=shards(OUTLIERS[IMO["explain"]]["search"]),
    output:
        "results/benchmarks/imo.json",
    log:
        "results/logs/imo/benchmark.log",
    benchmark:
        "results/runtimes/imo/benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("../../tests/benchmarks/imo.py"),
    script:
        "../../tests/benchmarks/imo.py"

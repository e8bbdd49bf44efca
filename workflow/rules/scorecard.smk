"""
What the analyses amount to: the scorecard and the table of benchmarks.

REQUIRED INPUTS: claims and benchmarks that the analyses registered
OUTPUTS:
    results/scorecard.parquet, results/scorecard.md
    results/benchmarks.parquet
"""


rule scorecard:
    """Gathers the claims of all analyses."""
    input:
        offered("claims"),
    output:
        table="results/scorecard.parquet",
        markdown="results/scorecard.md",
        html=report(
            "results/scorecard.html",
            caption="../report/scorecard.rst",
            category="Scorecard",
            labels={"table": "scorecard"},
        ),
    log:
        "results/logs/scorecard/scorecard.log",
    benchmark:
        "results/runtimes/scorecard/scorecard.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("scorecard/scorecard.py"),
    script:
        "../scripts/scorecard/scorecard.py"


rule benchmarks:
    """Gathers what was timed."""
    input:
        offered("benchmarks"),
    output:
        table="results/benchmarks.parquet",
        markdown="results/benchmarks.md",
        html=report(
            "results/benchmarks.html",
            caption="../report/benchmarks.rst",
            category="Benchmarks",
            labels={"table": "benchmarks"},
        ),
    log:
        "results/logs/scorecard/benchmarks.log",
    benchmark:
        "results/runtimes/scorecard/benchmarks.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("scorecard/benchmarks.py"),
    script:
        "../scripts/scorecard/benchmarks.py"

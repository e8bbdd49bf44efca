"""
Training beside the peer: recorded once, drawn and summarised without the peer.

REQUIRED INPUTS:
    resources/spender_benchmark.parquet        recorded by tests/benchmarks/spender_training.py
OUTPUTS:
    results/benchmarks/spender_training.json
    results/figures/spender/peer_training.pdf
"""

analysis(
    "spender",
    figures=["results/figures/spender/peer_training.pdf"],
    benchmarks=["results/benchmarks/spender_training.json"],
)


rule spender_peer_benchmark:
    """CPU time and memory of recorded trainings, the peer's and ours."""
    input:
        resource("spender_benchmark.parquet"),
    output:
        "results/benchmarks/spender_training.json",
    log:
        "results/logs/spender/peer_benchmark.log",
    benchmark:
        "results/runtimes/spender/peer_benchmark.tsv"
    conda:
        "../../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/peer_benchmark.py"),
    script:
        "../../scripts/spender/peer_benchmark.py"


rule spender_plot_peer_training:
    """Test loss over the CPU time of training, the peer's and ours."""
    input:
        resource("spender_benchmark.parquet"),
    output:
        report(
            "results/figures/spender/peer_training.pdf",
            caption="../../report/spender/peer_training.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "training beside the peer"},
        ),
    log:
        "results/logs/spender/plot_peer_training.log",
    benchmark:
        "results/runtimes/spender/plot_peer_training.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_peer_training.py"),
    script:
        "../../scripts/spender/plot_peer_training.py"

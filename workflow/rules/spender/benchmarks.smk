"""
Benchmarks: the model's parts timed against their peers.

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training survey
OUTPUTS:
    results/benchmarks/spender.json
"""

analysis("spender", benchmarks=["results/benchmarks/spender.json"])


rule spender_benchmark:
    """Times the model's parts against their peers."""
    input:
        spectra=shards(SPENDER["train_on"])[0],
    output:
        "results/benchmarks/spender.json",
    log:
        "results/logs/spender/benchmark.log",
    benchmark:
        "results/runtimes/spender/benchmark.tsv"
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        code=[
            code("../../tests/benchmarks/spectra.py"),
            code("../../tests/benchmarks/spectra_work.py"),
            code("../../tests/benchmarks/spectra_memory.py"),
        ],
    script:
        "../../../tests/benchmarks/spectra.py"

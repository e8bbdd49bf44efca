"""
Benchmarks: the search for outliers timed against its peer, and its memory.

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training survey
OUTPUTS:
    results/benchmarks/sdss_outliers.json
"""

analysis("sdss_outliers", benchmarks=["results/benchmarks/sdss_outliers.json"])


rule outlier_benchmark:
    """Times the search for outliers against its peer, and measures its memory."""
    input:
        spectra=shards(OUTLIERS["sdss_outliers"]["train_on"]),
    output:
        "results/benchmarks/sdss_outliers.json",
    log:
        "results/logs/sdss_outliers/benchmark.log",
    benchmark:
        "results/runtimes/sdss_outliers/benchmark.tsv"
    conda:
        "../../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        spectra=OUTLIERS["sdss_outliers"]["benchmark"],
        code=[
            code("../../tests/benchmarks/outliers.py"),
            code("../../tests/benchmarks/outliers_work.py"),
            code("../../tests/benchmarks/outliers_memory.py"),
            code("../../tests/benchmarks/spectra_work.py"),
        ],
    script:
        "../../../tests/benchmarks/outliers.py"

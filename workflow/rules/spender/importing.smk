"""
Import: weights that SPENDER's authors trained become the model `imported`.

REQUIRED INPUTS:
    the files that spender: import names       state dicts of spender 0.3
OUTPUTS:
    results/models/spender/imported/           weights and card
    results/spender/{survey}/imported/objects.parquet   a survey reconstructed with it
"""


rule spender_import:
    """Turns weights of SPENDER's authors into a model of this library."""
    input:
        **{
            name: path
            for name, path in SPENDER["import"].items()
            if name in ("path", "encoder", "decoder")
        },
    output:
        **model("spender", "imported"),
    log:
        "results/logs/spender/import.log",
    benchmark:
        "results/runtimes/spender/import.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        instrument=SPENDER["import"]["instrument"],
        restframe=SPENDER["import"]["restframe"],
        code=code("spender/import_published.py"),
    script:
        "../../scripts/spender/import_published.py"


use rule spender_objects as spender_objects_imported with:
    input:
        **model("spender", "imported"),
        spectra="results/surveys/{survey}/spectra/{shard}.arrow",
        truth=branch(
            lambda wildcards: bool(truth(wildcards.survey)),
            then="results/surveys/{survey}/truth/{shard}.arrow",
        ),
    output:
        "results/spender/{survey}/imported/objects/{shard}.parquet",
    log:
        "results/logs/spender/objects/{survey}/imported_{shard}.log",
    benchmark:
        "results/runtimes/spender/objects/{survey}/imported_{shard}.tsv"


use rule spender_gather as spender_gather_imported with:
    input:
        catalogue="results/surveys/{survey}/catalogue.parquet",
        shards=lambda wildcards: [
            f"results/spender/{wildcards.survey}/imported/objects/{shard:04d}.parquet"
            for shard in range(SURVEYS[wildcards.survey].shards)
        ],
    output:
        "results/spender/{survey}/imported/objects.parquet",
    log:
        "results/logs/spender/gather/{survey}_imported.log",
    benchmark:
        "results/runtimes/spender/gather/{survey}_imported.tsv"
    params:
        trained_on=False,
        splits=SPENDER["splits"],
        code=code("spender/gather.py"),

"""
Exports: objects, spectra and models as FITS tables for astropy, specutils and TOPCAT.

REQUIRED INPUTS:
    results/models/spender/default/                  the trained model
    results/spender/{survey}/objects.parquet         of the surveys it is applied to
    results/surveys/{survey}/                        their spectra and catalogue
OUTPUTS:
    results/spender/{survey}/objects.fits            one row per object
    results/spender/{survey}/reconstructions.fits    one table per object: data and model
    results/spender/{survey}/restframe.fits          one table per object: decoded spectrum
"""

analysis(
    "spender",
    tables=[
        f"results/spender/{survey}/{table}.fits"
        for survey in (SPENDER["train_on"], *SPENDER["apply_to"])
        for table in ("objects", "reconstructions", "restframe")
    ],
)


rule spender_export:
    """Writes objects, spectra and models of a survey as FITS tables, in bounded memory."""
    input:
        **model("spender", "default"),
        calibration="results/models/spender/default/calibration.safetensors",
        objects="results/spender/{survey}/objects.parquet",
        catalogue="results/surveys/{survey}/catalogue.parquet",
        spectra=lambda wildcards: shards(wildcards.survey),
    output:
        objects="results/spender/{survey}/objects.fits",
        observed="results/spender/{survey}/reconstructions.fits",
        restframe="results/spender/{survey}/restframe.fits",
    log:
        "results/logs/spender/export/{survey}.log",
    benchmark:
        "results/runtimes/spender/export/{survey}.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        objects=SPENDER["export"]["objects"],
        code=code("spender/export.py"),
    script:
        "../../scripts/spender/export.py"

"""
Models: the spectrum autoencoders of both analyses, trained with other losses than `spender`.

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training surveys
OUTPUTS:
    results/models/{analysis}/{variant}/       weights, card, training history, basis
"""


use rule spender_basis as outlier_basis with:
    input:
        spectra=lambda wildcards: shards(
            OUTLIER_VARIANTS[wildcards.analysis][wildcards.variant]["train_on"]
        ),
    output:
        "results/models/{analysis}/{variant}/basis.safetensors",
    log:
        "results/logs/{analysis}/basis/{variant}.log",
    benchmark:
        "results/runtimes/{analysis}/basis/{variant}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
        variant=one_of(
            {v for owners in OUTLIER_BASES.values() for v in owners.values()}
        ),
    params:
        architecture=lambda wildcards: {
            key: OUTLIER_VARIANTS[wildcards.analysis][wildcards.variant][
                "architecture"
            ][key]
            for key in BASIS_SETTINGS
        },
        basis=outlier_settings("basis"),
        splits=outlier_settings("splits"),
        code=code("spender/basis.py"),


use rule spender_train as outlier_train with:
    input:
        spectra=lambda wildcards: shards(
            OUTLIER_VARIANTS[wildcards.analysis][wildcards.variant]["train_on"]
        ),
        basis=lambda wildcards: (
            f"results/models/{wildcards.analysis}/"
            f"{OUTLIER_BASES[wildcards.analysis][wildcards.variant]}/basis.safetensors"
        ),
        teacher=teacher,
    output:
        **model("{analysis}", "{variant}"),
        history="results/models/{analysis}/{variant}/history.parquet",
    log:
        "results/logs/{analysis}/train/{variant}.log",
    benchmark:
        "results/runtimes/{analysis}/train/{variant}.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
        variant=one_of({v for names in OUTLIER_VARIANTS.values() for v in names}),
    params:
        architecture=outlier_variant("architecture"),
        training=outlier_variant("training"),
        losses=outlier_variant("losses"),
        splits=outlier_settings("splits"),
        checkpoints="results/checkpoints/{analysis}/{variant}",
        code=code("spender/train.py"),

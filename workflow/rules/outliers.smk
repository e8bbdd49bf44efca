"""
Outliers among galaxies of SDSS (Liang et al. 2023, arXiv:2302.02496) and of DESI (Liang et al.
2023, arXiv:2307.07664): one implementation, two analyses.

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training survey and those that are searched
OUTPUTS:
    results/models/{analysis}/{variant}/       weights, card and training history
    results/{analysis}/{survey}/               the catalogue of outliers, and tables
    results/figures/{analysis}/*.pdf
    results/claims/{analysis}.json
"""


include: "outliers/common.smk"
include: "outliers/models.smk"
include: "outliers/catalogue.smk"
include: "outliers/invariance.smk"
include: "outliers/recovery.smk"
include: "outliers/stars.smk"
include: "outliers/pages.smk"
include: "outliers/benchmarks.smk"


for name in OUTLIERS:
    analysis(name, claims=[f"results/claims/{name}.json"])


rule sdss_outliers:
    """Everything of this analysis."""
    input:
        products("sdss_outliers"),


rule desi_outliers:
    """Everything of this analysis."""
    input:
        products("desi_outliers"),


use rule spender_claims as outlier_claims with:
    input:
        numbers=lambda wildcards: OUTLIER_NUMBERS[wildcards.analysis],
        spectra=lambda wildcards: shards(OUTLIERS[wildcards.analysis]["train_on"])[0],
    output:
        "results/claims/{analysis}.json",
    log:
        "results/logs/{analysis}/claims.log",
    benchmark:
        "results/runtimes/{analysis}/claims.tsv"
    wildcard_constraints:
        analysis=one_of(OUTLIERS),
    params:
        analysis="{analysis}",
        claims=outlier_settings("claims"),
        tier=config["tier"],
        code=code("spender/claims.py"),

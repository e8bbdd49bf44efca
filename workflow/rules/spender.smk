"""
SPENDER: spectrum autoencoders (Melchior et al. 2023, arXiv:2211.07890).

REQUIRED INPUTS:
    results/surveys/{survey}/spectra/*.arrow   of the training survey and those it is applied to
OUTPUTS:
    results/models/spender/{variant}/          weights, card and training history
    results/spender/                           tables
    results/figures/spender/*.pdf
    results/claims/spender.json
"""

from uraniborg.spectra.variants import BASIS_SETTINGS, basis_owners, model_variants

SPENDER = config["spender"]
known_survey(SPENDER["train_on"], "spender: train_on", "spectra")
for survey in SPENDER["apply_to"]:
    known_survey(survey, "spender: apply_to", "spectra")
# Settings of every model that is trained, and whose basis it starts from.
SPENDER_VARIANTS = model_variants("spender", SPENDER, SCHEMAS / "config.schema.yaml")
SPENDER_BASES = basis_owners(SPENDER_VARIANTS)
# What was measured, by topic; held against the claims.
SPENDER_NUMBERS = []


include: "spender/model.smk"
include: "spender/reconstructions.smk"
include: "spender/benchmarks.smk"
include: "spender/redshifts.smk"
include: "spender/importing.smk"
include: "spender/exports.smk"
include: "spender/adaptation.smk"
include: "spender/uncertainty.smk"
include: "spender/superresolution.smk"
include: "spender/latents.smk"
include: "spender/attention.smk"
include: "spender/peer.smk"


analysis("spender", claims=["results/claims/spender.json"])


rule spender:
    """Everything of this analysis."""
    input:
        products("spender"),


rule spender_claims:
    """Holds the analysis' numbers against its claims."""
    input:
        numbers=lambda wildcards: SPENDER_NUMBERS,
        spectra=shards(SPENDER["train_on"])[0],
    output:
        "results/claims/spender.json",
    log:
        "results/logs/spender/claims.log",
    benchmark:
        "results/runtimes/spender/claims.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        analysis="spender",
        claims=SPENDER["claims"],
        tier=config["tier"],
        code=code("spender/claims.py"),
    script:
        "../scripts/spender/claims.py"

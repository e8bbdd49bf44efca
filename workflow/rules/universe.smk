"""
The simulated sky: stellar populations, galaxies and instruments, held against independent codes
and real data.

REQUIRED INPUTS:
    resources/ssp_grid.safetensors             or config universe: ssp_grid, to build it again
    resources/bagpipes_reference.parquet       spectra and fluxes by bagpipes (arXiv:1712.04452)
    resources/sdss_noise.parquet
    results/surveys/{survey}/spectra/*.arrow   of sky fibres, where config names such a survey
OUTPUTS:
    results/universe/                          comparisons
    results/figures/universe/*.pdf
    results/claims/universe.json
"""

UNIVERSE = config["universe"]
SSP_GRID = (
    resource("ssp_grid.safetensors")
    if UNIVERSE["ssp_grid"] == "resources/ssp_grid.safetensors"
    else UNIVERSE["ssp_grid"]
)
SKY_SURVEY = UNIVERSE["sky_survey"]
if SKY_SURVEY:
    known_survey(SKY_SURVEY, "universe: sky_survey")

analysis(
    "universe",
    figures=[
        "results/figures/universe/stellar_populations.pdf",
        *(["results/figures/universe/sdss_noise.pdf"] if SKY_SURVEY else []),
    ],
    claims=["results/claims/universe.json"],
)


rule universe:
    """Everything that checks the simulated sky."""
    input:
        ANALYSES["universe"]["figures"],
        ANALYSES["universe"]["claims"],


rule ssp_grid:
    """Compresses the stellar and nebular grids of bagpipes (extra `ssp`) to one small file."""
    output:
        "results/universe/ssp_grid.safetensors",
    log:
        "results/logs/universe/ssp_grid.log",
    benchmark:
        "results/runtimes/universe/ssp_grid.tsv"
    conda:
        "../../envs/ssp.yaml"
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        code=code("universe/ssp_grid.py"),
    script:
        "../scripts/universe/ssp_grid.py"


rule bagpipes_reference:
    """Spectra and fluxes of random galaxies by bagpipes itself (extra `ssp`)."""
    output:
        "results/universe/bagpipes_reference.parquet",
    log:
        "results/logs/universe/bagpipes_reference.log",
    benchmark:
        "results/runtimes/universe/bagpipes_reference.tsv"
    conda:
        "../../envs/ssp.yaml"
    resources:
        mem_mb=6000,
        runtime=60,
    params:
        galaxies=50,
        seed=1,
        code=code("universe/bagpipes_reference.py"),
    script:
        "../scripts/universe/bagpipes_reference.py"


rule sdss_noise:
    """Measures the noise of the SDSS spectrographs on real sky fibres and bright galaxies.

    Made again only on request; the table ships as resources/sdss_noise.parquet.
    """
    input:
        sky=lambda wildcards: data_files(
            "sdss_sky/**/spec-19*.fits*", "sdss_sky/**/spec-229*.fits*"
        ),
        galaxies=lambda wildcards: data_files(
            "sdss_spectra/**/spec-0266-51602-0001.fits*",
            "sdss_spectra/**/MRK 0955.fits*",
            "sdss_spectra/**/spec-0528-52022-0137.fits*",
            "sdss_spectra/**/spec-1039-52707-0207.fits*",
            "sdss_spectra/**/spec-2095-53474-0355.fits*",
            "sdss_spectra/**/spec-2618-54506-0310.fits*",
            "sdss_spectra/**/1_spec-0412-51871-0308.fits*",
            "sdss_spectra/**/spec-0412-51931-0319.fits*",
            "sdss_spectra/**/spec-0412-52235-0305.fits*",
            "sdss_spectra/**/spec-0412-52258-0302.fits*",
        ),
    output:
        "results/universe/sdss_noise.parquet",
    log:
        "results/logs/universe/sdss_noise.log",
    benchmark:
        "results/runtimes/universe/sdss_noise.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("instruments/noise_curve.py"),
    script:
        "../scripts/instruments/noise_curve.py"


rule stellar_populations:
    """Compares our composite spectra and photometry with those of bagpipes."""
    input:
        grid=SSP_GRID,
        reference=resource("bagpipes_reference.parquet"),
    output:
        differences="results/universe/stellar_populations.parquet",
        examples="results/universe/stellar_populations_examples.parquet",
        summary="results/universe/stellar_populations.json",
    log:
        "results/logs/universe/stellar_populations.log",
    benchmark:
        "results/runtimes/universe/stellar_populations.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        code=code("universe/stellar_populations.py"),
    script:
        "../scripts/universe/stellar_populations.py"


rule noise_check:
    """Compares simulated empty sky with real sky fibres."""
    input:
        noise=resource("sdss_noise.parquet"),
        sky=shards(SKY_SURVEY) if SKY_SURVEY else [],
    output:
        table="results/universe/noise_check/sdss_noise.parquet",
        summary="results/universe/noise_check/sdss_noise.json",
    log:
        "results/logs/universe/noise_check.log",
    benchmark:
        "results/runtimes/universe/noise_check.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        fibres=256,
        seed=1,
        code=code("instruments/noise_check.py"),
    script:
        "../scripts/instruments/noise_check.py"


rule universe_claims:
    """Holds the simulated sky against its claims."""
    input:
        rules.stellar_populations.output.summary,
        rules.noise_check.output.summary if SKY_SURVEY else [],
    output:
        "results/claims/universe.json",
    log:
        "results/logs/universe/claims.log",
    benchmark:
        "results/runtimes/universe/claims.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        claims=UNIVERSE["claims"],
        tier=config["tier"],
        code=code("universe/claims.py"),
    script:
        "../scripts/universe/claims.py"


rule universe_plot_stellar_populations:
    """Our composite spectra over those of bagpipes, and the differences."""
    input:
        differences=rules.stellar_populations.output.differences,
        examples=rules.stellar_populations.output.examples,
    output:
        report(
            "results/figures/universe/stellar_populations.pdf",
            caption="../report/universe/stellar_populations.rst",
            category="Universe",
            labels={"paper": "arXiv:1712.04452", "figure": "stellar populations"},
        ),
    log:
        "results/logs/universe/plot_stellar_populations.log",
    benchmark:
        "results/runtimes/universe/plot_stellar_populations.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_stellar_populations.py"),
    script:
        "../scripts/universe/plot_stellar_populations.py"


rule universe_plot_noise:
    """Noise of simulated and real sky fibres."""
    input:
        rules.noise_check.output.table,
    output:
        report(
            "results/figures/universe/sdss_noise.pdf",
            caption="../report/universe/sdss_noise.rst",
            category="Universe",
            labels={"paper": "SDSS", "figure": "noise of sky fibres"},
        ),
    log:
        "results/logs/universe/plot_noise.log",
    benchmark:
        "results/runtimes/universe/plot_noise.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_noise.py"),
    script:
        "../scripts/universe/plot_noise.py"

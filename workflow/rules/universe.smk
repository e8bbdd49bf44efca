"""
The simulated sky: stellar populations, galaxies and instruments, held against independent codes
and real data.

REQUIRED INPUTS:
    resources/ssp_grid.safetensors             or config universe: ssp_grid, to build it again
    resources/bagpipes_reference.parquet       spectra and fluxes by bagpipes (arXiv:1712.04452)
    resources/sdss_noise.parquet
    results/surveys/{survey}/                  real surveys, where config says `real_data`
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
SKY_SURVEY = "sdss_sky"
CONTAMINATED_SURVEY = "sdss_contaminated"
# Simulated twins of real catalogues of photometry.
CATALOGUES = {name: f"{name}_simulated" for name in ("sdss_main", "galex_sdss_twomass")}

analysis(
    "universe",
    figures=expand(
        "results/figures/universe/{figure}.pdf",
        figure=[
            "stellar_populations",
            "bagpipes_photometry",
            "k_corrections",
            "planes",
            "spectrographs",
            "accuracy",
            "contaminants",
            *real("sdss_noise", "stars_quasars"),
            *real(
                *expand(
                    "sky_{kind}_{catalogue}",
                    kind=["colours", "distributions", "comparison"],
                    catalogue=CATALOGUES,
                )
            ),
        ],
    ),
    claims=["results/claims/universe.json"],
    benchmarks=["results/benchmarks/universe.json"],
)


rule universe:
    """Everything that checks the simulated sky."""
    input:
        products("universe"),


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
        sky=shards(SKY_SURVEY),
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


rule photometry_check:
    """Compares our magnitudes with those of bagpipes, our K-corrections with kcorrect's."""
    input:
        grid=SSP_GRID,
        bagpipes=resource("bagpipes_photometry.parquet"),
        kcorrect=resource("kcorrections.parquet"),
        dust_emission=resource("dust_emission.safetensors"),
    output:
        magnitudes="results/universe/bagpipes_photometry_check.parquet",
        corrections="results/universe/kcorrections_check.parquet",
        magnitudes_summary="results/universe/bagpipes_photometry.json",
        corrections_summary="results/universe/kcorrections.json",
    log:
        "results/logs/universe/photometry_check.log",
    benchmark:
        "results/runtimes/universe/photometry_check.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("universe/photometry_check.py"),
    script:
        "../scripts/universe/photometry_check.py"


rule planes:
    """Puts galaxies on the BPT plane and on that of 4000 A break and H-delta."""
    input:
        grid=SSP_GRID,
        hyperparameters=resource("galaxy_population.json"),
        tracks=resource("index_tracks.parquet"),
        lines=lambda wildcards: (
            data_file("photometry/**/RESOLVE_bpt1_filter.fits*")
            if UNIVERSE["real_data"]
            else []
        ),
        spectra=lambda wildcards: (
            data_files("sdss_spectra/**/spec-*.fits*") if UNIVERSE["real_data"] else []
        ),
    output:
        table="results/universe/planes.parquet",
        summary="results/universe/planes.json",
    log:
        "results/logs/universe/planes.log",
    benchmark:
        "results/runtimes/universe/planes.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        galaxies=8192,
        seed=1,
        code=code("universe/planes.py"),
    script:
        "../scripts/universe/planes.py"


rule spectrographs:
    """Tabulates noise and resolution of the spectrographs."""
    input:
        expand(
            resource("{instrument}_noise.parquet"), instrument=["sdss", "boss", "desi"]
        ),
    output:
        "results/universe/spectrographs.parquet",
    log:
        "results/logs/universe/spectrographs.log",
    benchmark:
        "results/runtimes/universe/spectrographs.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("instruments/spectrographs_table.py"),
    script:
        "../scripts/instruments/spectrographs_table.py"


rule accuracy:
    """Holds gradients, resampling and band fluxes against what they should be."""
    input:
        grid=SSP_GRID,
        dust_emission=resource("dust_emission.safetensors"),
    output:
        table="results/universe/accuracy.parquet",
        summary="results/universe/accuracy.json",
    log:
        "results/logs/universe/accuracy.log",
    benchmark:
        "results/runtimes/universe/accuracy.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        galaxies=100,
        code=code("universe/accuracy.py"),
    script:
        "../scripts/universe/accuracy.py"


rule noise_check_targets:
    """Compares simulated noise with that of real objects that the model was not fitted to."""
    input:
        noise=resource("{instrument}_noise.parquet"),
        targets=lambda wildcards: data_files(
            *{"boss": BOSS_TARGETS, "desi": DESI_TARGETS}[wildcards.instrument]
        ),
    output:
        table="results/universe/noise_check/{instrument}_noise.parquet",
        summary="results/universe/noise_check/{instrument}_noise.json",
    log:
        "results/logs/universe/noise_check_{instrument}.log",
    benchmark:
        "results/runtimes/universe/noise_check_{instrument}.tsv"
    wildcard_constraints:
        instrument="boss|desi",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        instrument="{instrument}",
        every=lambda wildcards: {"boss": 2, "desi": 1}[wildcards.instrument],
        copies=16,
        seed=1,
        code=code("instruments/noise_check_targets.py"),
    script:
        "../scripts/instruments/noise_check_targets.py"


rule stars_quasars:
    """Compares simulated stars and quasars with real templates and composites."""
    input:
        basis=resource("star_basis.safetensors"),
        lines=resource("quasar_lines.parquet"),
        mastar=lambda wildcards: data_files("stellar_spectra/**/MaStarHC_*.fits*"),
        sdss=lambda wildcards: data_file("sdss_templates/**/spEigenStar-55734.fits*"),
        composite=lambda wildcards: data_file("sdss_templates/**/spEigenQSO.fits*"),
    output:
        stars="results/universe/stars.parquet",
        examples="results/universe/stars_quasars.parquet",
        summary="results/universe/stars_quasars.json",
    log:
        "results/logs/universe/stars_quasars.log",
    benchmark:
        "results/runtimes/universe/stars_quasars.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        quasars=2000,
        code=code("universe/stars_quasars.py"),
    script:
        "../scripts/universe/stars_quasars.py"


rule sky_comparison:
    """Holds a simulated catalogue, and controls that must fail, against its real twin."""
    input:
        real=lambda wildcards: shards(wildcards.catalogue, "photometry", "parquet"),
        ssp_grid=SSP_GRID,
        hyperparameters=resource("galaxy_population.json"),
        dust_emission=resource("dust_emission.safetensors"),
        history_basis=resource("history_basis.parquet"),
        noise=resource("photometric_noise.parquet"),
    output:
        objects="results/universe/sky/{catalogue}_objects.parquet",
        table="results/universe/sky/{catalogue}.parquet",
        summary="results/universe/sky/{catalogue}.json",
    log:
        "results/logs/universe/sky_{catalogue}.log",
    benchmark:
        "results/runtimes/universe/sky_{catalogue}.tsv"
    wildcard_constraints:
        catalogue=one_of(CATALOGUES),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        survey=lambda wildcards: SURVEYS[CATALOGUES[wildcards.catalogue]].settings,
        code=code("universe/sky_comparison.py"),
    script:
        "../scripts/universe/sky_comparison.py"


rule contaminants:
    """Takes one spectrum of every kind of contaminant from a simulated survey."""
    input:
        spectra=shards(CONTAMINATED_SURVEY),
        truth=truth(CONTAMINATED_SURVEY),
    output:
        "results/universe/contaminants.parquet",
    log:
        "results/logs/universe/contaminants.log",
    benchmark:
        "results/runtimes/universe/contaminants.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("universe/contaminants.py"),
    script:
        "../scripts/universe/contaminants.py"


rule universe_claims:
    """Holds the simulated sky against its claims."""
    input:
        rules.stellar_populations.output.summary,
        rules.photometry_check.output.magnitudes_summary,
        rules.photometry_check.output.corrections_summary,
        rules.planes.output.summary,
        rules.accuracy.output.summary,
        real(
            rules.noise_check.output.summary,
            *expand(
                rules.noise_check_targets.output.summary, instrument=["boss", "desi"]
            ),
            rules.stars_quasars.output.summary,
            *expand(rules.sky_comparison.output.summary, catalogue=CATALOGUES),
        ),
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


rule universe_benchmark:
    """Times the simulation of surveys, and photometry with its gradients."""
    input:
        ssp_grid=SSP_GRID,
        hyperparameters=resource("galaxy_population.json"),
        dust_emission=resource("dust_emission.safetensors"),
        star_basis=resource("star_basis.safetensors"),
        quasar_lines=resource("quasar_lines.parquet"),
    output:
        "results/benchmarks/universe.json",
    log:
        "results/logs/universe/benchmark.log",
    benchmark:
        "results/runtimes/universe/benchmark.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        photometry=UNIVERSE["benchmark"]["photometry"],
        spectra=UNIVERSE["benchmark"]["spectra"],
        gradients=UNIVERSE["benchmark"]["gradients"],
        code=code("../../tests/benchmarks/universe.py"),
    script:
        "../../tests/benchmarks/universe.py"


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


rule universe_plot_photometry:
    """Our magnitudes and K-corrections beside those of bagpipes and kcorrect."""
    input:
        magnitudes=rules.photometry_check.output.magnitudes,
        corrections=rules.photometry_check.output.corrections,
    output:
        magnitudes=report(
            "results/figures/universe/bagpipes_photometry.pdf",
            caption="../report/universe/bagpipes_photometry.rst",
            category="Universe",
            labels={"paper": "arXiv:1712.04452", "figure": "photometry"},
        ),
        corrections=report(
            "results/figures/universe/k_corrections.pdf",
            caption="../report/universe/k_corrections.rst",
            category="Universe",
            labels={"paper": "astro-ph/0606170", "figure": "K-corrections"},
        ),
    log:
        "results/logs/universe/plot_photometry.log",
    benchmark:
        "results/runtimes/universe/plot_photometry.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_photometry_check.py"),
    script:
        "../scripts/universe/plot_photometry_check.py"


rule universe_plot_planes:
    """Galaxies on the BPT plane and on that of 4000 A break and H-delta."""
    input:
        table=rules.planes.output.table,
        tracks=resource("index_tracks.parquet"),
    output:
        report(
            "results/figures/universe/planes.pdf",
            caption="../report/universe/planes.rst",
            category="Universe",
            labels={
                "paper": "arXiv:1307.0508",
                "figure": "emission lines and indices",
            },
        ),
    log:
        "results/logs/universe/plot_planes.log",
    benchmark:
        "results/runtimes/universe/plot_planes.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_planes.py"),
    script:
        "../scripts/universe/plot_planes.py"


rule universe_plot_spectrographs:
    """Noise and resolution of the spectrographs."""
    input:
        rules.spectrographs.output,
    output:
        report(
            "results/figures/universe/spectrographs.pdf",
            caption="../report/universe/spectrographs.rst",
            category="Universe",
            labels={"paper": "SDSS, BOSS, DESI", "figure": "spectrographs"},
        ),
    log:
        "results/logs/universe/plot_spectrographs.log",
    benchmark:
        "results/runtimes/universe/plot_spectrographs.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("instruments/plot_spectrographs.py"),
    script:
        "../scripts/instruments/plot_spectrographs.py"


rule universe_plot_accuracy:
    """How exact gradients, resampling and band fluxes are."""
    input:
        rules.accuracy.output.table,
    output:
        report(
            "results/figures/universe/accuracy.pdf",
            caption="../report/universe/accuracy.rst",
            category="Universe",
            labels={"paper": "", "figure": "accuracy"},
        ),
    log:
        "results/logs/universe/plot_accuracy.log",
    benchmark:
        "results/runtimes/universe/plot_accuracy.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_accuracy.py"),
    script:
        "../scripts/universe/plot_accuracy.py"


rule universe_plot_stars_quasars:
    """Simulated stars and quasars beside real ones."""
    input:
        rules.stars_quasars.output.examples,
    output:
        report(
            "results/figures/universe/stars_quasars.pdf",
            caption="../report/universe/stars_quasars.rst",
            category="Universe",
            labels={"paper": "SDSS, MaStar", "figure": "stars and quasars"},
        ),
    log:
        "results/logs/universe/plot_stars_quasars.log",
    benchmark:
        "results/runtimes/universe/plot_stars_quasars.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_stars_quasars.py"),
    script:
        "../scripts/universe/plot_stars_quasars.py"


rule universe_plot_sky:
    """Colours and redshifts of a simulated catalogue beside those of the real one."""
    input:
        objects=rules.sky_comparison.output.objects,
        table=rules.sky_comparison.output.table,
    output:
        colours=report(
            "results/figures/universe/sky_colours_{catalogue}.pdf",
            caption="../report/universe/sky_colours.rst",
            category="Universe",
            labels={"paper": "{catalogue}", "figure": "colours"},
        ),
        distributions=report(
            "results/figures/universe/sky_distributions_{catalogue}.pdf",
            caption="../report/universe/sky_distributions.rst",
            category="Universe",
            labels={"paper": "{catalogue}", "figure": "distributions"},
        ),
        comparison=report(
            "results/figures/universe/sky_comparison_{catalogue}.pdf",
            caption="../report/universe/sky_comparison.rst",
            category="Universe",
            labels={"paper": "{catalogue}", "figure": "distances"},
        ),
    log:
        "results/logs/universe/plot_sky_{catalogue}.log",
    benchmark:
        "results/runtimes/universe/plot_sky_{catalogue}.tsv"
    wildcard_constraints:
        catalogue=one_of(CATALOGUES),
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_sky.py"),
    script:
        "../scripts/universe/plot_sky.py"


rule universe_plot_contaminants:
    """One simulated spectrum of every kind of contaminant."""
    input:
        rules.contaminants.output,
    output:
        report(
            "results/figures/universe/contaminants.pdf",
            caption="../report/universe/contaminants.rst",
            category="Universe",
            labels={"paper": "arXiv:2302.02496", "figure": "contaminants"},
        ),
    log:
        "results/logs/universe/plot_contaminants.log",
    benchmark:
        "results/runtimes/universe/plot_contaminants.tsv"
    conda:
        "../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("universe/plot_contaminants.py"),
    script:
        "../scripts/universe/plot_contaminants.py"

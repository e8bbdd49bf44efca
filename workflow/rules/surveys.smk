"""
Surveys: simulated, archived and your own data as the same shards and catalogues.

REQUIRED INPUTS:
    config/surveys/{survey}.yaml
    resources/archives.tsv                                  of the downloads
OUTPUTS:
    results/surveys/{survey}/spectra/{shard}.arrow          spectra, memory-mapped
    results/surveys/{survey}/truth/{shard}.arrow            noiseless, simulated surveys only
    results/surveys/{survey}/photometry/{shard}.parquet     fluxes in bands, surveys of photometry
    results/surveys/{survey}/photometry_truth/{shard}.parquet   simulated ones only
    results/surveys/{survey}/catalogue.parquet              one row per object
    results/surveys/{survey}/quarantine.parquet             what was left out, and why
"""

from uraniborg.surveys.registry import load_archives

ARCHIVES = load_archives(resource("archives.tsv"))
# Names of surveys by what they measure and whether they are simulated or real.
BY_KIND = {
    (kind, data): [
        name
        for name, survey in SURVEYS.items()
        if (survey.kind, survey.data) == (kind, data)
    ]
    for kind in ("spectra", "photometry")
    for data in ("simulated", "real")
}


rule download:
    """Downloads one file of resources/archives.tsv and checks it.

    The mirror is not a parameter: where a file came from changes nothing that is made of it.
    """
    output:
        ensure(
            "results/downloads/{archive}",
            sha256=lambda wildcards: ARCHIVES[wildcards.archive].sha256,
        ),
    log:
        "results/logs/surveys/download/{archive}.log",
    benchmark:
        "results/runtimes/surveys/download/{archive}.tsv"
    wildcard_constraints:
        archive=one_of(ARCHIVES),
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=500,
        runtime=240,
    params:
        url=lambda wildcards: ARCHIVES[wildcards.archive].url,
        sha256=lambda wildcards: ARCHIVES[wildcards.archive].sha256,
        bytes=lambda wildcards: ARCHIVES[wildcards.archive].bytes,
    script:
        "../scripts/surveys/download.py"


rule simulate_spectra:
    """Simulates one shard: galaxies of the universe through the survey's spectrograph."""
    input:
        ssp_grid=SSP_GRID,
        hyperparameters=resource("galaxy_population.json"),
        star_basis=resource("star_basis.safetensors"),
        quasar_lines=resource("quasar_lines.parquet"),
        history_basis=resource("history_basis.parquet"),
        noise=lambda wildcards: resource(
            f"{SURVEYS[wildcards.survey].instrument}_noise.parquet"
        ),
    output:
        spectra="results/surveys/{survey}/spectra/{shard}.arrow",
        truth="results/surveys/{survey}/truth/{shard}.arrow",
        quarantine="results/surveys/{survey}/quarantine/{shard}.parquet",
    log:
        "results/logs/surveys/simulate/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/surveys/simulate/{survey}/{shard}.tsv"
    wildcard_constraints:
        survey=one_of(BY_KIND["spectra", "simulated"]),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        survey=lambda wildcards: SURVEYS[wildcards.survey].settings,
        code=code("surveys/simulate.py"),
    script:
        "../scripts/surveys/simulate.py"


rule ingest_spectra:
    """Reads one shard of a real survey's spectra; what cannot be read is set aside."""
    input:
        lambda wildcards: expand(
            "results/downloads/{archive}", archive=SURVEYS[wildcards.survey].archives
        ),
    output:
        shard="results/surveys/{survey}/spectra/{shard}.arrow",
        quarantine="results/surveys/{survey}/quarantine/{shard}.parquet",
    log:
        "results/logs/surveys/ingest/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/surveys/ingest/{survey}/{shard}.tsv"
    wildcard_constraints:
        survey=one_of(BY_KIND["spectra", "real"]),
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        survey=lambda wildcards: SURVEYS[wildcards.survey].settings,
        data_root=config["data_root"],
        files=lambda wildcards: data_version(SURVEYS[wildcards.survey].patterns),
        code=code("surveys/ingest.py"),
    script:
        "../scripts/surveys/ingest.py"


rule survey_catalogue:
    """Lists a survey's objects, and what was left out of it."""
    input:
        shards=lambda wildcards: shards(wildcards.survey),
        quarantines=lambda wildcards: shards(wildcards.survey, "quarantine", "parquet"),
    output:
        catalogue="results/surveys/{survey}/catalogue.parquet",
        quarantine="results/surveys/{survey}/quarantine.parquet",
    log:
        "results/logs/surveys/catalogue/{survey}.log",
    benchmark:
        "results/runtimes/surveys/catalogue/{survey}.tsv"
    conda:
        "../../envs/tables.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        survey=lambda wildcards: SURVEYS[wildcards.survey].settings,
        code=code("surveys/catalogue.py"),
    script:
        "../scripts/surveys/catalogue.py"


rule simulate_photometry:
    """Simulates one shard: galaxies of the universe through the survey's photometer."""
    input:
        ssp_grid=SSP_GRID,
        hyperparameters=resource("galaxy_population.json"),
        dust_emission=resource("dust_emission.safetensors"),
        noise=resource("photometric_noise.parquet"),
        star_basis=resource("star_basis.safetensors"),
        quasar_lines=resource("quasar_lines.parquet"),
        history_basis=resource("history_basis.parquet"),
    output:
        photometry="results/surveys/{survey}/photometry/{shard}.parquet",
        truth="results/surveys/{survey}/photometry_truth/{shard}.parquet",
    log:
        "results/logs/surveys/simulate/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/surveys/simulate/{survey}/{shard}.tsv"
    wildcard_constraints:
        survey=one_of(BY_KIND["photometry", "simulated"]),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        survey=lambda wildcards: SURVEYS[wildcards.survey].settings,
        code=code("surveys/simulate_photometry.py"),
    script:
        "../scripts/surveys/simulate_photometry.py"


rule ingest_photometry:
    """Reads one shard of a real survey's photometry; what cannot be read is set aside."""
    input:
        lambda wildcards: expand(
            "results/downloads/{archive}", archive=SURVEYS[wildcards.survey].archives
        ),
    output:
        photometry="results/surveys/{survey}/photometry/{shard}.parquet",
        quarantine="results/surveys/{survey}/photometry_quarantine/{shard}.parquet",
    log:
        "results/logs/surveys/ingest/{survey}/{shard}.log",
    benchmark:
        "results/runtimes/surveys/ingest/{survey}/{shard}.tsv"
    wildcard_constraints:
        survey=one_of(BY_KIND["photometry", "real"]),
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        survey=lambda wildcards: SURVEYS[wildcards.survey].settings,
        data_root=config["data_root"],
        files=lambda wildcards: data_version(SURVEYS[wildcards.survey].patterns),
        code=code("surveys/ingest_photometry.py"),
    script:
        "../scripts/surveys/ingest_photometry.py"

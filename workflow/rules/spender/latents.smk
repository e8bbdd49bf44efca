"""
The latent space: how many latents are needed, what they know, what lies between galaxies.

REQUIRED INPUTS:
    results/models/spender/{default,latent_??}/   trained models
    results/spender/{survey}/objects.parquet      latents of the training survey
    results/surveys/{survey}/spectra/*.arrow      of the training survey, truth/*.arrow if simulated
OUTPUTS:
    results/spender/latents/*.parquet, *.json
    results/figures/spender/latent_dimension.pdf, interpolation.pdf, generation.pdf
    results/figures/spender/latent_space.pdf, latent_probes.pdf   of a simulated survey
"""

# Models in the figure of the number of latents: the default one among those of other sizes.
LATENT_VARIANTS = [
    "default",
    *(f"latent_{size:02d}" for size in SPENDER["latent_sizes"]),
]

analysis(
    "spender",
    figures=expand(
        "results/figures/spender/{figure}.pdf",
        figure=["latent_dimension", "interpolation", "generation"],
    ),
    tables=expand(
        "results/spender/latents/{table}.parquet",
        table=["dimension", "path", "generated_tests"],
    ),
)
SPENDER_NUMBERS += expand(
    "results/spender/latents/{topic}.json",
    topic=["dimension", "interpolation", "generation"],
)
# Physical parameters are known of simulated galaxies alone.
if truth(SPENDER["train_on"]):
    analysis(
        "spender",
        figures=expand(
            "results/figures/spender/{figure}.pdf",
            figure=["latent_space", "latent_probes"],
        ),
        tables=expand(
            "results/spender/latents/{table}.parquet", table=["probes", "modes"]
        ),
    )
    SPENDER_NUMBERS.append("results/spender/latents/space.json")


rule spender_latent_dimension:
    """Fits held-out objects by models of several sizes and by as many components."""
    input:
        weights=[model("spender", variant)["weights"] for variant in LATENT_VARIANTS],
        cards=[model("spender", variant)["card"] for variant in LATENT_VARIANTS],
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
    output:
        table="results/spender/latents/dimension.parquet",
        numbers="results/spender/latents/dimension.json",
    log:
        "results/logs/spender/latent_dimension.log",
    benchmark:
        "results/runtimes/spender/latent_dimension.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        splits=SPENDER["splits"],
        basis=SPENDER["basis"],
        variant="default",
        code=code("spender/latent_dimension.py"),
    script:
        "../../scripts/spender/latent_dimension.py"


rule spender_latent_space:
    """Holds latents of simulated galaxies against their parameters and their noise."""
    input:
        **model("spender", "default"),
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
    output:
        space="results/spender/latents/space.parquet",
        modes="results/spender/latents/modes.parquet",
        probes="results/spender/latents/probes.parquet",
        numbers="results/spender/latents/space.json",
    log:
        "results/logs/spender/latent_space.log",
    benchmark:
        "results/runtimes/spender/latent_space.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code("spender/latent_space.py"),
    script:
        "../../scripts/spender/latent_space.py"


rule spender_interpolation:
    """Decodes the path between two galaxies, and finds real ones beside it."""
    input:
        **model("spender", "default"),
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
        spectra=shards(SPENDER["train_on"]),
        truth=truth(SPENDER["train_on"]),
    output:
        table="results/spender/latents/path.parquet",
        numbers="results/spender/latents/interpolation.json",
    log:
        "results/logs/spender/interpolation.log",
    benchmark:
        "results/runtimes/spender/interpolation.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code("spender/interpolation.py"),
    script:
        "../../scripts/spender/interpolation.py"


rule spender_generation:
    """Generates spectra and holds them against those of held-out galaxies."""
    input:
        **model("spender", "default"),
        objects=f"results/spender/{SPENDER['train_on']}/objects.parquet",
    output:
        indices="results/spender/latents/generated_indices.parquet",
        spectra="results/spender/latents/generated_spectra.parquet",
        tests="results/spender/latents/generated_tests.parquet",
        numbers="results/spender/latents/generation.json",
    log:
        "results/logs/spender/generation.log",
    benchmark:
        "results/runtimes/spender/generation.tsv"
    conda:
        "../../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        code=code("spender/generation.py"),
    script:
        "../../scripts/spender/generation.py"


rule spender_plot_latent_dimension:
    """Quality of fits against the number of latents."""
    input:
        "results/spender/latents/dimension.parquet",
    output:
        report(
            "results/figures/spender/latent_dimension.pdf",
            caption="../../report/spender/latent_dimension.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "number of latents"},
        ),
    log:
        "results/logs/spender/plot_latent_dimension.log",
    benchmark:
        "results/runtimes/spender/plot_latent_dimension.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        default="default",
        code=code("spender/plot_latent_dimension.py"),
    script:
        "../../scripts/spender/plot_latent_dimension.py"


rule spender_plot_latent_space:
    """The latent space coloured by physical parameters."""
    input:
        "results/spender/latents/space.parquet",
    output:
        report(
            "results/figures/spender/latent_space.pdf",
            caption="../../report/spender/latent_space.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "latent space"},
        ),
    log:
        "results/logs/spender/plot_latent_space.log",
    benchmark:
        "results/runtimes/spender/plot_latent_space.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_latent_space.py"),
    script:
        "../../scripts/spender/plot_latent_space.py"


rule spender_plot_latent_probes:
    """Linear probes, and how well the latent space is measured."""
    input:
        probes="results/spender/latents/probes.parquet",
        modes="results/spender/latents/modes.parquet",
    output:
        report(
            "results/figures/spender/latent_probes.pdf",
            caption="../../report/spender/latent_probes.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "linear probes"},
        ),
    log:
        "results/logs/spender/plot_latent_probes.log",
    benchmark:
        "results/runtimes/spender/plot_latent_probes.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_latent_probes.py"),
    script:
        "../../scripts/spender/plot_latent_probes.py"


rule spender_plot_interpolation:
    """Spectra on the path between two galaxies."""
    input:
        "results/spender/latents/path.parquet",
    output:
        report(
            "results/figures/spender/interpolation.pdf",
            caption="../../report/spender/interpolation.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "interpolation"},
        ),
    log:
        "results/logs/spender/plot_interpolation.log",
    benchmark:
        "results/runtimes/spender/plot_interpolation.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_interpolation.py"),
    script:
        "../../scripts/spender/plot_interpolation.py"


rule spender_plot_generation:
    """Generated spectra beside those of galaxies."""
    input:
        indices="results/spender/latents/generated_indices.parquet",
        spectra="results/spender/latents/generated_spectra.parquet",
        tests="results/spender/latents/generated_tests.parquet",
    output:
        report(
            "results/figures/spender/generation.pdf",
            caption="../../report/spender/generation.rst",
            category="SPENDER",
            labels={"paper": "arXiv:2211.07890", "figure": "generation"},
        ),
    log:
        "results/logs/spender/plot_generation.log",
    benchmark:
        "results/runtimes/spender/plot_generation.tsv"
    conda:
        "../../../envs/figures.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        code=code("spender/plot_generation.py"),
    script:
        "../../scripts/spender/plot_generation.py"

"""Fits a population to the photometry of a survey."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.population.popsed.fits import Judge, fit_population, fit_settings, galaxies_of
from uraniborg.population.popsed.neighbours import shuffled
from uraniborg.population.popsed.survey import forward_model, read_survey
from uraniborg.population.popsed.tables import galaxy_table_columns
from uraniborg.tables import write_table
from uraniborg.training import write_history

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    catalogue = read_survey(inputs.photometry, params.instrument, params.population)
    model = forward_model(catalogue, params.population, inputs.ssp_grid, inputs.basis)
    fit = dict(params.fit)
    if "lcurve" in inputs.keys():  # noqa: SIM118 (the engine's object is no mapping)
        fit["weight"] = json.loads(Path(inputs.lcurve).read_text())["weight"]
    observed = shuffled(catalogue) if fit.pop("shuffled", False) else catalogue
    settings = fit_settings(params.settings, fit)
    print(f"{len(catalogue)} galaxies; {catalogue.set_aside} without the reference band set aside")
    fitted = fit_population(
        observed,
        model,
        settings,
        directory=params.checkpoints,
        identity=observed.digest,
        threads=snakemake.threads,
        description=f"fitting {snakemake.wildcards.survey} ({snakemake.wildcards.fit})",
    )
    judge = Judge(catalogue, settings.recipe.error_floor)
    lowest, in_training = judge.floor(), judge.floor(settings.batch_size)
    features = judge.features(fitted.draw.flux)
    galaxies = galaxies_of(fitted.draw, model, features, catalogue.feature_names, params.galaxies)
    write_table(outputs.galaxies, galaxies, galaxy_table_columns(galaxies.columns))
    write_history(outputs.history, fitted.history)
    weights = fitted.model.state_dict()
    with atomic(outputs.weights) as temporary:
        save_file(weights, temporary)
    summary = fitted.summary | {
        "distance": judge.distance(fitted.draw),
        "floor": lowest.mean,
        "floor_spread": lowest.spread,
        **dict(zip(("training_floor", "training_spread"), in_training, strict=True)),
        "galaxies": min(settings.galaxies or len(observed), len(observed)),
        "set_aside": catalogue.set_aside,
        "drawn": settings.epochs * settings.steps * settings.batch_size,
    }
    print({name: round(value, 4) for name, value in summary.items()})
    with atomic(outputs.summary) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")

"""What the ensemble says of a population, beside the truth and what needs no photometry."""

import json

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.population.popsed.results import Results
from uraniborg.population.popsed.survey import hyperparameters_of, read_survey, read_truth
from uraniborg.population.popsed.tables import (
    BAND_COLUMNS,
    PARAMETER_COLUMNS,
    PHOTOMETRY_COLUMNS,
    POPULATION_COLUMNS,
    SEQUENCE_COLUMNS,
)
from uraniborg.tables import read_table, write_table

with job(snakemake):
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    catalogue = read_survey(inputs.photometry, params.instrument, params.population)
    results = Results(
        catalogue=catalogue,
        members=[read_table(path) for path in inputs.members],
        prior=read_table(inputs.prior),
        published=read_table(inputs.published),
        shuffled=read_table(inputs.shuffled),
        lightest=read_table(inputs.lightest),
        heaviest=read_table(inputs.heaviest),
        truth=read_truth(inputs.truth, catalogue),
        population=params.population,
        true_values=hyperparameters_of(params.universe, inputs.hyperparameters),
    )
    write_table(outputs.population, results.population_table(), POPULATION_COLUMNS)
    write_table(outputs.photometry, results.photometry_table(), PHOTOMETRY_COLUMNS)
    write_table(outputs.bands, results.bands(), BAND_COLUMNS)
    write_table(outputs.sequence, results.sequence(), SEQUENCE_COLUMNS)
    write_table(outputs.parameters, results.parameters(), PARAMETER_COLUMNS)
    numbers = results.numbers()
    for name, number in numbers.items():
        print(f"{name}: {number['value']:.4f} +- {number['uncertainty']:.4f}")
    with atomic(outputs.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")

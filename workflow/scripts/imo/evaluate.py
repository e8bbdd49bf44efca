"""How well each method points at anomalies, by kind and signal-to-noise ratio."""

import json

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.attribution.evaluation import (
    CURVE_COLUMNS,
    LOCALISATION_COLUMNS,
    curve_table,
    localisation_numbers,
    localisation_table,
)
from uraniborg.tables import read_metadata, read_table, write_table

with job(snakemake):
    inputs, outputs = snakemake.input, snakemake.output
    measured, metadata = read_table(inputs.measured), read_metadata(inputs.measured)
    # The first method is ours; the published one is compared with all others, too.
    table = localisation_table(measured, reference=measured["method"].iloc[0])
    published = localisation_table(measured, reference="inverse_occlusion")
    curves = curve_table(read_table(inputs.object_curves), measured)
    write_table(outputs.localisation, table, LOCALISATION_COLUMNS, metadata)
    write_table(outputs.curves, curves, CURVE_COLUMNS, metadata)
    score = snakemake.wildcards.score
    numbers = localisation_numbers(table) | {
        f"published_{name}": number
        for name, number in localisation_numbers(published).items()
        if name.startswith("mass_gain")
    }
    numbers = {f"{name}_{score}": number for name, number in numbers.items()}
    for name, number in numbers.items():
        print(f"{name}: {number['value']:.3f} +- {number['uncertainty']:.3f} ({number['n']})")
    with atomic(outputs.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")

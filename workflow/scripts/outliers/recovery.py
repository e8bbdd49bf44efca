"""Measures how well scores find the contaminants of a simulated survey."""

import json

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.spectra.outliers.recovery import (
    CURVE_COLUMNS,
    OBJECT_COLUMNS,
    RECOVERY_COLUMNS,
    recovery_curve,
    recovery_numbers,
    recovery_objects,
    recovery_table,
    scored_objects,
)
from uraniborg.tables import Spectra, read_table, write_table

with job(snakemake):
    inputs, outputs = snakemake.input, snakemake.output
    truth = Spectra(inputs.truth)
    scored = scored_objects(read_table(inputs.catalogue), read_table(inputs.baselines))
    objects = recovery_objects(scored, truth.scalars)
    table = recovery_table(objects)
    write_table(outputs.objects, objects, OBJECT_COLUMNS, truth.metadata)
    write_table(outputs.table, table, RECOVERY_COLUMNS, truth.metadata)
    write_table(outputs.curve, recovery_curve(objects), CURVE_COLUMNS, truth.metadata)
    numbers = recovery_numbers(objects, table)
    for name, number in numbers.items():
        error = number.get("uncertainty", float("nan"))
        print(f"{name}: {number['value']:.4f} +- {error:.4f} ({number['n']})")
    with atomic(outputs.numbers) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2) + "\n")

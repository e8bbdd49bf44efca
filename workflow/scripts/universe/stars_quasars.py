"""Compares simulated stars and quasars with real templates and composites."""

import json

from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe import object_check as check
from uraniborg.universe.star_basis import StarBasis

with job(snakemake):
    inputs, quasars = snakemake.input, snakemake.params.quasars
    basis = StarBasis.load(inputs.basis)
    table, stars = check.compare_stars(basis, inputs.mastar)
    white_dwarf_rms, white_dwarfs = check.compare_white_dwarfs(inputs.basis, inputs.sdss)
    quasar_residual, curves = check.compare_quasars(inputs.lines, inputs.composite, quasars)
    examples = check.examples([*stars, *white_dwarfs, *curves])
    write_table(snakemake.output.stars, table, check.STAR_COLUMNS)
    write_table(snakemake.output.examples, examples, check.EXAMPLE_COLUMNS)
    rest = ~table["name"].isin(basis.metadata["stars"])
    summary = {
        "n": {
            "star_residual": int(rest.sum()),
            "white_dwarf_residual": len(white_dwarf_rms),
            "quasar_residual": quasars,
        },
        "star_residual": float(table["rms"][rest].median()),
        "white_dwarf_residual": max(white_dwarf_rms),
        "quasar_residual": quasar_residual,
    }
    with atomic(snakemake.output.summary) as temporary:
        temporary.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    print(table.to_string(), summary, sep="\n")

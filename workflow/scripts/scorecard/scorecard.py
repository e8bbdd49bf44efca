"""Gathers the claims of all analyses in the scorecard."""

from uraniborg.claims import CLAIM_COLUMNS, for_people
from uraniborg.documents import to_html, to_markdown
from uraniborg.files import atomic
from uraniborg.jobs import job
from uraniborg.records import gather
from uraniborg.tables import write_table

with job(snakemake):
    table = gather(snakemake.input, CLAIM_COLUMNS)
    write_table(snakemake.output.table, table, CLAIM_COLUMNS)
    text = for_people(table)
    with atomic(snakemake.output.markdown) as temporary:
        temporary.write_text(to_markdown(text, "Scorecard"))
    with atomic(snakemake.output.html) as temporary:
        temporary.write_text(to_html(text, "Scorecard"))
    print(to_markdown(text, "Scorecard"))

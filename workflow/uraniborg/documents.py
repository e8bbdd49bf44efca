"""Tables of text for people: Markdown for the terminal and the web, HTML for the report."""

from html import escape

import pandas as pd

__all__ = ["to_html", "to_markdown"]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.35em 0.7em; text-align: left; vertical-align: top; }}
th {{ border-bottom: 2px solid #444; }}
td {{ border-bottom: 1px solid #ddd; }}
</style>
</head>
<body>
<h1>{title}</h1>
{table}
</body>
</html>
"""


def to_markdown(table: pd.DataFrame, title: str) -> str:
    """A table of text as a Markdown document.

    Args:
        table: Text in every cell.
        title: Heading of the document.
    """

    rows = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    # A bar within a cell would begin a new column.
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([f"# {title}", "", *lines, ""])


def to_html(table: pd.DataFrame, title: str) -> str:
    """A table of text as an HTML page.

    Args:
        table: Text in every cell.
        title: Heading of the page.
    """

    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    rows = [
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.to_numpy().tolist()
    ]
    body = "\n".join(rows)
    return _PAGE.format(
        title=escape(title),
        table=f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>",
    )

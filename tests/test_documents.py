import pandas as pd

from uraniborg.documents import to_html, to_markdown

TABLE = pd.DataFrame({"claim": ["the |difference| < 1", "b"], "verdict": ["met", "missed"]})


def test_a_bar_within_a_cell_does_not_begin_a_column():
    lines = to_markdown(TABLE, "Scorecard").splitlines()
    assert lines[0] == "# Scorecard"
    assert lines[2:] == [
        "| claim | verdict |",
        "| --- | --- |",
        r"| the \|difference\| < 1 | met |",
        "| b | missed |",
    ]


def test_html_escapes_what_is_not_markup():
    page = to_html(TABLE, "Scorecard")
    assert "<td>the |difference| &lt; 1</td><td>met</td>" in page
    assert page.count("<tr>") == 3

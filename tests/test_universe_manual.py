"""The page about the simulated sky: its tables are those of the code, its example runs."""

import re

import pytest
import torch

from uraniborg.errors import UserError
from uraniborg.universe.relations import HYPERPARAMETERS
from uraniborg.universe_manual import TABLES, update, with_tables


@pytest.fixture
def page(root):
    return (root / "docs/universe.md").read_text()


def test_tables_are_those_of_the_code(page):
    assert page == with_tables(page), "run `make docs`"


def test_the_page_shows_every_table(page):
    assert sorted(re.findall(r"<!-- table: (\S+) -->", page)) == sorted(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_rows_have_the_cells_of_their_head(name):
    head, rule, *rows = TABLES[name]().splitlines()
    cells = [len(re.split(r"(?<!\\)\|", line)) for line in (head, rule, *rows)]
    assert rows
    assert set(cells) == {cells[0]}


def test_what_is_cited_is_among_the_references(page):
    text, references = page.split("## References\n")
    text = " ".join(text.split())
    cited = set(re.findall(r"([A-Z][\w-]+)(?: et al\.| & [A-Z][\w-]+)? \(?((?:19|20)\d\d)", text))
    missing = {
        (name, year)
        for name, year in cited
        if not re.search(rf"^- .*{name}.* {year}[ab]?,", references, re.MULTILINE)
    }
    assert len(cited) > 80
    assert missing == set()


def test_links_within_the_page_lead_somewhere(page):
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= anchors


def test_the_example_runs(page, root, monkeypatch):
    monkeypatch.chdir(root)
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(example, names)
    assert names["magnitude"].shape == (100, 5)
    # Dust reddens.
    assert (names["by_A_V"] > 0).all()
    assert torch.isfinite(names["by_z"]).all()


def test_update_writes_tables_and_keeps_the_rest(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("A\n\n<!-- table: stars -->\nold\n<!-- end of table -->\n\nB\n")
    update(path)
    begin, end = "<!-- table: stars -->\n", "\n<!-- end of table -->"
    assert path.read_text() == f"A\n\n{begin}\n{TABLES['stars']()}{end}\n\nB\n"
    update(path)
    assert path.read_text().count("`temperature`") == 1


def test_text_between_empty_tables_stays():
    empty = "<!-- table: stars -->\n<!-- end of table -->"
    text = with_tables(f"A\n{empty}\nB\n{empty}\nC\n")
    assert re.sub(r"(?s)<!-- table.*?end of table -->", "T", text) == "A\nT\nB\nT\nC\n"


def test_fitted_values_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("uraniborg.universe_manual._ROOT", tmp_path)
    first, second, *_ = HYPERPARAMETERS

    def fitted(name):
        (row,) = re.findall(rf"^\| `{name}` .*$", TABLES["hyperparameters"](), re.MULTILINE)
        return row.split(" | ")[5]

    assert fitted(first.name) == "–"
    path = tmp_path / "resources/galaxy_population.json"
    path.parent.mkdir()
    path.write_text(f'{{"hyperparameters": {{"{first.name}": {first.low}}}}}')
    assert fitted(first.name) == f"{first.low:.3g} (limit)"
    assert fitted(second.name) == "–"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table: galaxy -->\n<!-- end of table -->", "no table 'galaxy'"),
        ("<!-- table: stars -->\nno end", "has no end"),
    ],
)
def test_faults_are_named(text, message):
    with pytest.raises(UserError, match=message):
        with_tables(text)

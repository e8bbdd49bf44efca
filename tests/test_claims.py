import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.claims import CLAIM_COLUMNS, evaluate, for_people, judge
from uraniborg.records import gather, write_records

DECLARED = {
    "statement": "The |difference| is small",
    "paper": "arXiv:0000.00000",
    "data": "simulated",
}


def verdict(value, **bounds):
    return evaluate({**DECLARED, **bounds}, analysis="a", claim="c", tier="test", value=value)[
        "verdict"
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_decide(value):
    assert verdict(value, minimum=0.95, maximum=1.15) == (
        "met" if 0.95 <= value <= 1.15 else "missed"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_claim_without_a_value_is_never_met(value):
    assert verdict(value) == "not evaluated"
    assert verdict(value, minimum=0) == "not evaluated"


def test_a_claim_without_a_criterion_is_reported_not_met():
    assert verdict(1.0) == "reported"


@pytest.mark.parametrize(("data", "verdict"), [("simulated", "met"), ("real", "not evaluated")])
def test_a_claim_is_judged_on_its_own_kind_of_data(data, verdict):
    claims = {"c": {**DECLARED, "maximum": 1.0}, "d": DECLARED}
    measured = {"c": {"value": 0.5, "n": 3, "data": data}, "undeclared": {"value": 1.0}}
    rows = judge(claims, measured, analysis="a", tier="test")
    assert [row["verdict"] for row in rows] == [verdict, "not evaluated"]


def test_scorecard_keeps_every_claim(tmp_path):
    for name in ("x", "y"):
        rows = [evaluate(DECLARED, analysis=name, claim="c", tier="test", value=1.0)]
        rows.append(evaluate({**DECLARED, "maximum": 0.5}, analysis=name, claim="d", tier="test"))
        write_records(tmp_path / f"{name}.json", rows)
    table = gather([tmp_path / "x.json", tmp_path / "y.json"], CLAIM_COLUMNS)
    assert list(table.columns) == [column.name for column in CLAIM_COLUMNS]
    assert list(table["verdict"]) == ["reported", "not evaluated"] * 2
    text = for_people(table)
    assert list(text["verdict"]) == list(table["verdict"])
    assert list(text["criterion"]) == ["none", "at most 0.5"] * 2
    assert list(text["ours"]) == ["1", "-"] * 2

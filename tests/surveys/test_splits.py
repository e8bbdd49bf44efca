"""Splits by object_id."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.surveys.splits import split, split_of, split_rows

IDS = [f"{plate:04d}-51602-{fiber:04d}" for plate in range(266, 276) for fiber in range(1, 641)]
FRACTIONS = {"valid": 0.1, "test": 0.15}


def test_fractions_are_those_asked_for():
    parts = split_of(IDS, FRACTIONS)
    assert np.mean(parts == "valid") == pytest.approx(0.1, abs=0.015)
    assert np.mean(parts == "test") == pytest.approx(0.15, abs=0.015)


def test_known_objects_stay_where_they_are():
    # The same on every machine and version: a changed hash would mix training and test data.
    known = ["train", "test", "train", "train", "test", "test", "train", "train", "train", "train"]
    assert [split(name, 0.1, 0.15) for name in IDS[:10]] == known


@given(st.permutations(IDS[:50]))
def test_order_does_not_matter(shuffled):
    parts = dict(zip(shuffled, split_of(shuffled, FRACTIONS), strict=True))
    assert parts == {name: split(name, **FRACTIONS) for name in IDS[:50]}


@given(st.text(), st.floats(0, 0.4), st.floats(0, 0.2))
def test_a_larger_test_part_keeps_its_objects(name, test, more):
    if split(name, 0.1, test) == "test":
        assert split(name, 0.1, test + more) == "test"


def test_rows_are_a_partition():
    rows = split_rows(IDS, FRACTIONS)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(len(IDS)))
    assert all(split(IDS[row], **FRACTIONS) == "valid" for row in rows["valid"])


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (-0.1, 0.2), (0.1, -0.2)])
def test_impossible_fractions_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions"):
        split_of(IDS[:3], dict(zip(("valid", "test"), fractions, strict=True)))


def test_no_fractions_train_on_everything():
    assert set(split_of(IDS[:100], {"valid": 0, "test": 0})) == {"train"}

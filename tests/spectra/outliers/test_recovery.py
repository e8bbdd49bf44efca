"""How well scores find contaminants: areas, lists, errors, and controls."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from uraniborg.claims import judge
from uraniborg.errors import UserError
from uraniborg.spectra.outliers.ranking import Ranking, area_under_curve
from uraniborg.spectra.outliers.recovery import (
    CLASS_COLUMNS,
    CURVE_COLUMNS,
    IN_THE_INSTRUMENT,
    OBJECT_COLUMNS,
    OUTLIER_SCORE,
    RECOVERY_COLUMNS,
    SCORES,
    class_numbers,
    class_table,
    recovery_curve,
    recovery_numbers,
    recovery_objects,
    recovery_table,
    scored_objects,
    shuffled_control,
)
from uraniborg.tables import read_table, write_table
from uraniborg.universe.contaminants import KINDS

LEVELS = st.sampled_from([np.nan, -1.0, 0.0, 0.5, 2.0])
SMALL_SAMPLES = st.lists(
    st.tuples(LEVELS, st.booleans(), st.integers(0, 3)), min_size=1, max_size=12
)


def area(score, outlier, weights=None):
    outlier = np.asarray(outlier, bool)
    weights = None if weights is None else np.asarray(weights, float)[None]
    return area_under_curve(np.asarray(score, float), outlier[None], ~outlier, weights)[0, 0]


def by_pairs(score, outlier):
    score = np.nan_to_num(np.asarray(score, float), nan=-np.inf)
    outlier = np.asarray(outlier, bool)
    high, low = score[outlier][:, None], score[~outlier]
    return ((high > low) + 0.5 * (high == low)).mean() if len(high) and len(low) else np.nan


def tables(size=2000, contaminants=20, seed=0, separation=1e3, kinds=("star", "spike")):
    """A catalogue, baselines and truth; contaminants lie `separation` sigma off in every score."""

    random = np.random.default_rng(seed)
    truth = pd.DataFrame({"object_id": [f"object-{i:05d}" for i in range(size)]})
    outlier = random.permutation(size) < contaminants
    truth["anomaly"] = np.where(outlier, random.choice(kinds, size), "none")
    truth["anomaly_strength"] = truth["anomaly_significance"] = 1.0
    truth["z"] = 0.1
    names = ("residual_surprise", "negative_log_prob", "knn_distance", "reduced_chi2")
    others = ("pca_reduced_chi2", "pca_mean_square", "isolation_forest")
    values = {
        name: random.normal(size=size) + separation * outlier
        for name in (OUTLIER_SCORE, *names, *others)
    }
    catalogue = truth[["object_id"]].assign(
        spectype="GALAXY",
        snr=random.uniform(1, 40, size),
        log_prob=-values.pop("negative_log_prob"),
        **{name: values[name] for name in (OUTLIER_SCORE, *names) if name in values},
    )
    baselines = truth[["object_id"]].assign(**{name: values[name] for name in others})
    return catalogue, baselines, truth


def objects_of(*args, **kwargs):
    catalogue, baselines, truth = tables(*args, **kwargs)
    return recovery_objects(scored_objects(catalogue, baselines), truth)


def row_of(table, score=OUTLIER_SCORE, group="all"):
    everything = table[np.isinf(table["snr_low"]) & np.isinf(table["snr_high"])]
    return everything[(everything["score"] == score) & (everything["group"] == group)].iloc[0]


@pytest.mark.parametrize("separation", [0.0, 0.7, 2.5])
def test_area_of_two_normal_distributions_is_the_closed_form(separation):
    random = np.random.default_rng(3)
    outlier = np.arange(60_000) < 20_000
    score = random.normal(size=len(outlier)) + separation * outlier
    assert area(score, outlier) == pytest.approx(norm.cdf(separation / np.sqrt(2)), abs=0.005)


@given(SMALL_SAMPLES)
def test_area_is_that_of_all_pairs(sample):
    score, outlier, _ = zip(*sample, strict=True)
    assert area(score, outlier) == pytest.approx(by_pairs(score, outlier), nan_ok=True)


@given(SMALL_SAMPLES)
def test_weights_are_repetitions(sample):
    score, outlier, times = zip(*sample, strict=True)
    repeated = area(np.repeat(score, times), np.repeat(outlier, times))
    assert area(score, outlier, times) == pytest.approx(repeated, nan_ok=True)


@given(SMALL_SAMPLES, st.integers(1, 20))
def test_list_holds_what_ranks_first_and_shares_places_among_ties(sample, number):
    score, _, times = map(np.array, zip(*sample, strict=True))
    listed = Ranking(score).listed(times[None].astype(float), number)[0]
    assert listed.sum() == pytest.approx(min(number, times.sum()))
    assert (listed >= 0).all()
    assert (listed <= times).all()
    filled = np.nan_to_num(score, nan=-np.inf)
    share = listed / np.maximum(times, 1)
    for i in range(len(score)):
        counted = times > 0
        # Whatever scores more is in the list before anything of this object is.
        if listed[i] > 0:
            assert share[counted & (filled > filled[i])] == pytest.approx(1)
        assert share[counted & (filled == filled[i])] == pytest.approx(share[i]) or times[i] == 0


def test_perfect_score_finds_every_contaminant_of_one_per_cent():
    row = row_of(recovery_table(objects_of(2000, 20), draws=20))
    assert row["auc"] == row["recall"] == row["purity"] == 1
    assert row["n"] == 20
    assert row["n_ordinary"] == 1980


def test_worst_score_finds_none():
    row = row_of(recovery_table(objects_of(2000, 20, separation=-1e3), draws=20))
    assert row["auc"] == row["recall"] == row["purity"] == 0


def test_list_is_of_the_whole_catalogue_and_area_of_one_range_of_snr():
    objects = objects_of(2000, 20)
    faint = objects["snr"] < 10
    # Bright objects all score more than faint ones, contaminants most within either.
    objects.loc[~faint, OUTLIER_SCORE] += 1e6
    table = recovery_table(objects, snr_edges=(0.0, 10.0, np.inf), draws=20)
    rows = table[(table["score"] == OUTLIER_SCORE) & (table["group"] == "all")]
    of_faint = rows[rows["snr_high"] == 10].iloc[0]
    of_bright = rows[rows["snr_low"] == 10].iloc[0]
    assert of_faint["auc"] == of_bright["auc"] == 1
    assert of_faint["recall"] == 0
    assert of_bright["recall"] == 1
    assert np.isnan(of_faint["purity"])
    assert of_bright["purity"] == pytest.approx(of_bright["n"] / 20)


def test_objects_without_score_rank_last():
    catalogue, baselines, truth = tables(1000, 10)
    outlier = truth["anomaly"] != "none"
    catalogue.loc[outlier, OUTLIER_SCORE] = np.nan
    row = row_of(recovery_table(recovery_objects(scored_objects(catalogue, baselines), truth)))
    assert row["auc"] == row["recall"] == 0
    assert row["n_unscored"] == 10
    catalogue.loc[:, OUTLIER_SCORE] = np.nan
    row = row_of(recovery_table(recovery_objects(scored_objects(catalogue, baselines), truth)))
    assert row["auc"] == 0.5
    assert row["recall"] == pytest.approx(0.01)


def test_order_of_tables_does_not_matter():
    catalogue, baselines, truth = tables(500, 20, separation=1.0)
    expected = objects_of(500, 20, separation=1.0)
    shuffled = [
        table.sample(frac=1, random_state=seed)
        for seed, table in enumerate((catalogue, baselines, truth))
    ]
    found = recovery_objects(scored_objects(*shuffled[:2]), shuffled[2])
    pd.testing.assert_frame_equal(found, expected)


def test_order_of_objects_does_not_matter_to_values():
    objects = objects_of(500, 20, separation=1.0).round(1)
    shuffled = objects.sample(frac=1, random_state=5, ignore_index=True)
    names = ["auc", "recall", "purity", "gain"]
    tables = [recovery_table(table, draws=2)[names] for table in (objects, shuffled)]
    pd.testing.assert_frame_equal(*tables)
    pd.testing.assert_frame_equal(recovery_curve(objects), recovery_curve(shuffled))


def test_area_depends_on_ranks_only():
    objects = objects_of(500, 20, separation=1.0)
    before = row_of(recovery_table(objects, draws=10))
    objects[OUTLIER_SCORE] = np.exp(objects[OUTLIER_SCORE])
    assert row_of(recovery_table(objects, draws=10)).equals(before)


def test_errors_are_the_scatter_between_surveys():
    numbers = np.random.default_rng(0).binomial(400, 0.05, size=40)
    found = [
        recovery_table(objects_of(400, number, seed=seed, separation=1.5), (), top=0.05, draws=40)
        for seed, number in enumerate(numbers)
    ]
    ours = pd.DataFrame([row_of(table) for table in found])
    other = pd.DataFrame([row_of(table, "isolation_forest") for table in found])
    for rows, name in ((ours, "auc"), (ours, "recall"), (ours, "purity"), (other, "gain")):
        assert rows[f"{name}_error"].median() == pytest.approx(rows[name].std(), rel=0.3)


def test_difference_of_scores_that_agree_has_a_small_error():
    objects = objects_of(1000, 30, separation=1.5)
    noise = np.random.default_rng(1).normal(scale=0.05, size=len(objects))
    objects["isolation_forest"] = objects[OUTLIER_SCORE] + noise
    objects["knn_distance"] = objects[OUTLIER_SCORE]
    table = recovery_table(objects)
    alike, same, other = (
        row_of(table, score) for score in ("isolation_forest", "knn_distance", "pca_reduced_chi2")
    )
    assert same["gain"] == same["gain_error"] == 0
    assert alike["gain_error"] < 0.2 * alike["auc_error"]
    assert other["gain_error"] > other["auc_error"]
    assert alike["gain"] == pytest.approx(row_of(table)["auc"] - alike["auc"])


def test_few_objects_that_are_all_found_have_an_error():
    table = recovery_table(objects_of(1000, 3, kinds=("quasar",)), draws=50)
    row = row_of(table, group="quasar")
    assert row["auc"] == row["recall"] == 1
    assert row["auc_error"] == pytest.approx(0.5 / 4)
    assert row["recall_error"] == pytest.approx(0.99 / 4)


def test_groups_are_the_kinds_and_where_they_come_from():
    names = [kind.name for kind in KINDS]
    table = recovery_table(objects_of(3000, 300, kinds=names), draws=5)
    everything = np.isneginf(table["snr_low"]) & np.isposinf(table["snr_high"])
    number = table[everything & (table["score"] == "random")].set_index("group")["n"]
    assert set(number.index) == {"all", "on_the_sky", "in_the_instrument", *names}
    assert set(IN_THE_INSTRUMENT) < set(names)
    assert number["in_the_instrument"] == number[list(IN_THE_INSTRUMENT)].sum()
    assert number["all"] == number["on_the_sky"] + number["in_the_instrument"] == 300
    assert not set(table["group"]) - set(number.index)


def test_groups_without_contaminants_are_left_out():
    table = recovery_table(objects_of(500, 10, kinds=("star",)), draws=5)
    assert set(table["group"]) == {"all", "on_the_sky", "star"}
    assert recovery_table(objects_of(500, 0), draws=5).empty
    assert (table["n"] > 0).all()


def test_controls_are_at_chance():
    objects = objects_of(4000, 80)
    shuffled = shuffled_control(objects)
    assert shuffled["value"] == pytest.approx(0.5, abs=0.01)
    assert 0.02 < shuffled["uncertainty"] < 0.05
    row = row_of(recovery_table(objects), "random")
    assert abs(row["auc"] - 0.5) < 3 * row["auc_error"]
    assert row["recall"] < 0.05


def test_curve_rises_to_all_contaminants_and_passes_the_recall():
    objects = objects_of(2000, 30, separation=2.0)
    curve, table = recovery_curve(objects), recovery_table(objects, draws=5)
    for (score, group), part in curve.groupby(["score", "group"]):
        if not part["n"].iloc[0]:
            continue
        assert part["rank"].is_monotonic_increasing
        assert part["found"].is_monotonic_increasing
        assert part["found"].iloc[-1] == part["by_chance"].iloc[-1] == part["n"].iloc[0]
        row = row_of(table, score, group)
        found = part.loc[part["rank"] == 20, "found"].iloc[0]
        assert found == pytest.approx(row["recall"] * row["n"])
    of_random = curve[(curve["score"] == "random") & (curve["group"] == "all")]
    assert (of_random["found"] - of_random["by_chance"]).abs().max() < 4 * np.sqrt(30)


@pytest.mark.parametrize("which", ["baselines", "truth"])
def test_tables_of_another_survey_are_an_error(which):
    catalogue, baselines, truth = tables(100, 5)
    if which == "baselines":
        baselines = baselines.iloc[1:]
    else:
        truth = truth.iloc[1:]
    with pytest.raises(UserError, match=f"object-00000 are not in the {which}"):
        recovery_objects(scored_objects(catalogue, baselines), truth)


def test_copies_of_an_object_count_once():
    catalogue, baselines, truth = tables(100, 5)
    twice = [pd.concat([table, table.iloc[:7]]) for table in (catalogue, baselines, truth)]
    found = recovery_objects(scored_objects(*twice[:2]), twice[2])
    pd.testing.assert_frame_equal(found, objects_of(100, 5))


def test_numbers_answer_claims():
    objects = objects_of(2000, 30, separation=2.0)
    objects["isolation_forest"] -= 10 * (objects["anomaly"] != "none")
    table = recovery_table(objects)
    numbers = json.loads(json.dumps(recovery_numbers(objects, table)))
    best = row_of(table, "pca_reduced_chi2")
    assert numbers["auc_gain"]["value"] == pytest.approx(best["gain"])
    assert numbers["auc_isolation_forest"]["value"] < 0.1
    assert numbers["recall_perfect"]["value"] == pytest.approx(20 / 30)
    claim = {"statement": "", "paper": "", "data": "simulated", "minimum": 0.4, "maximum": 0.6}
    claims = dict.fromkeys((*numbers, "absent"), claim)
    verdicts = {row["claim"]: row for row in judge(claims, numbers, analysis="a", tier="test")}
    assert verdicts.pop("absent")["verdict"] == "not evaluated"
    assert verdicts["shuffled_control"]["verdict"] == "met"
    assert verdicts["auc"]["verdict"] == "missed"
    assert all(row["n"] > 0 for row in verdicts.values())


def test_numbers_of_a_survey_without_contaminants_are_absent():
    objects = objects_of(300, 0)
    assert recovery_numbers(objects, recovery_table(objects, draws=5)) == {}


def test_tables_are_written_and_read(tmp_path):
    objects = objects_of(300, 10)
    table, curve = recovery_table(objects, draws=5), recovery_curve(objects)
    for values, columns in (
        (objects, OBJECT_COLUMNS),
        (table, RECOVERY_COLUMNS),
        (curve, CURVE_COLUMNS),
        (class_table(objects), CLASS_COLUMNS),
    ):
        write_table(tmp_path / "table.parquet", values, columns)
        assert len(read_table(tmp_path / "table.parquet")) == len(values)


def test_classes_are_told_from_galaxies():
    random = np.random.default_rng(0)
    spectype = np.repeat(["GALAXY", "QSO", "STAR"], [40, 10, 4])
    scored = pd.DataFrame({"object_id": [f"{i:03d}" for i in range(54)], "spectype": spectype})
    scored = scored.assign(**{name: random.normal(size=54) for name in SCORES})
    scored.loc[spectype == "QSO", OUTLIER_SCORE] += 100
    scored.loc[spectype == "STAR", OUTLIER_SCORE] = np.nan
    table = class_table(scored)
    numbers = class_numbers(table)
    names = {"real_auc", "real_auc_qso", "real_auc_star"}
    assert set(numbers) == names | {name.replace("auc", "auc_latents") for name in names}
    assert 0.2 < numbers["real_auc_latents"]["value"] < 0.8
    assert numbers["real_auc_qso"]["value"] == 1
    assert numbers["real_auc_star"]["value"] == 0
    assert numbers["real_auc"]["value"] == pytest.approx(10 / 14)
    assert numbers["real_auc_qso"]["uncertainty"] == pytest.approx(0.5 / 11)
    assert numbers["real_auc_qso"] | {"n": 10, "data": "real"} == numbers["real_auc_qso"]
    ours = table[(table["score"] == OUTLIER_SCORE) & (table["spectype"] == "STAR")].iloc[0]
    assert ours["n_unscored"] == ours["n"] == 4
    assert ours["n_galaxies"] == 40
    shuffled = class_table(scored.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(shuffled, table)


@pytest.mark.parametrize("only", ["GALAXY", "QSO"])
def test_classes_of_a_survey_of_one_class_are_absent(only):
    objects = objects_of(50, 5).assign(spectype=only)
    table = class_table(objects)
    assert table.empty
    assert class_numbers(table) == {}

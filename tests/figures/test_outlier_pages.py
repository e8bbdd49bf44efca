"""Figures of outliers from tables alone: simulated and real, few objects, missing numbers."""

import numpy as np
import pandas as pd
import pytest

from uraniborg.figures.outlier_pages import gallery, latents, page
from uraniborg.figures.style import save, style

KINDS = ("spike", "type1_agn", "none")
PIXELS = 500


def make_objects(number, real):
    rank = np.arange(1, number + 1)
    table = pd.DataFrame({"outlier_rank": rank, "object_id": [f"toy-{i}" for i in rank]})
    for name in ("ra", "dec", "snr", "log_prob", "log_prob_err", "log_prob_percentile",
                 "latent_surprise", "residual_surprise", "outlier_score", "reduced_chi2",
                 "knn_distance", "star_evidence"):  # fmt: skip
        table[name] = 1.25
    for i in (1, 2, 3):
        table[f"neighbour_{i}"], table[f"neighbour_{i}_distance"] = f"train-{i}", 0.5 * i
    kind = "" if real else np.array(KINDS)[np.arange(number) % 3]
    known = {"anomaly": kind, "anomaly_strength": 0.3, "anomaly_unit": "mag", "true_z": 1.1}
    if real:
        known |= {"anomaly_strength": np.nan, "anomaly_unit": "", "true_z": np.nan}
    return table.assign(
        z=0.1, z_source="catalogue", spectype="GALAXY", star_verdict="none", outlier_flags=1,
        flag_names="outside latents", statistic="mean_4", residual_scale=4, page=True,
        gallery=True, **known,
    )  # fmt: skip


def make_spectra(objects, real):
    random = np.random.default_rng(0)
    wavelength = np.geomspace(3800, 9200, PIXELS)
    parts = []
    for known in objects.itertuples():
        truth = 5 + np.sin(wavelength / 900)
        # Hydrogen alpha at the object's redshift.
        truth += 20 * np.exp(-0.5 * ((wavelength / (6564.6 * 1.1) - 1) / 2e-3) ** 2)
        part = pd.DataFrame({"wavelength": wavelength, "model": truth + 0.1, "sigma": 0.3})
        part["flux"] = truth + random.normal(0, 0.3, PIXELS)
        part["flux"] = part["flux"].where(np.arange(PIXELS) != 300, 60.0)
        part["truth"] = np.nan if real else truth
        part["residual"] = (part["flux"] - part["model"]) / 0.3
        part.loc[:20, ["sigma", "residual"]] = np.nan
        for i in (1, 2, 3):
            part[f"neighbour_{i}"] = truth
        parts.append(part.assign(object_id=known.object_id, outlier_rank=known.outlier_rank))
    return pd.concat(parts, ignore_index=True)


def make_latents(objects, real, size=4):
    random = np.random.default_rng(1)
    names = ["training"] * 200 + ["sample"] * 100 + ["neighbour"] * 3
    ids = [f"t-{i}" for i in range(300)] + [f"train-{i}" for i in (1, 2, 3)]
    table = pd.DataFrame({"object_id": ids, "role": names, "group": "", "outlier_rank": 0})
    kind = "qso" if real else objects["anomaly"].replace("none", "")
    own = objects[["object_id", "outlier_rank"]].assign(role="chosen", group=kind)
    table = pd.concat([table, own], ignore_index=True)
    table["latent_surprise"] = np.where(
        table["role"].isin(["training", "neighbour"]), np.nan, random.exponential(1, len(table))
    )
    for i in range(size):
        table[f"axis_{i + 1}"] = random.normal(size=len(table)) + 30 * (table["role"] == "chosen")
    return table


def make_explanations(objects):
    """Maps and features of all objects."""

    wavelength = np.geomspace(3800, 9200, PIXELS)
    line = np.exp(-0.5 * ((wavelength / 7221 - 1) / 2e-3) ** 2)
    maps = pd.DataFrame({"wavelength": wavelength, "attribution": line})
    features = pd.DataFrame({"name": ["Hα", "elsewhere"], "share": [0.8, 0.2]})
    return tuple(objects[["object_id"]].merge(table, how="cross") for table in (maps, features))


def text_of(figure):
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    return "\n".join([text.get_text() for axes in figure.axes for text in axes.texts] + titles)


def drawn(figure):
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("real", [False, True])
def test_a_page_says_all_that_is_known(real):
    objects = make_objects(2, real)
    tables = (make_spectra(objects, real), objects, make_latents(objects, real))
    with style():
        figure = drawn(page(*tables, *make_explanations(objects), 2))
    text = text_of(figure)
    for part in ("2.  toy-2", "1.2 ± 1.2", "0.10000", "outside latents", "train-3", "Hα", "Hα 80%"):
        assert part in text
    assert ("truth: type-1 AGN, strength 0.3 mag" in text) != real
    assert ("true 1.1" in text) != real
    labels = figure.axes[1].get_legend_handles_labels()[1]
    assert ("noiseless" in labels) != real
    assert {"observed", "reconstructed"} <= set(labels)


def test_a_page_is_the_same_every_time(tmp_path):
    objects = make_objects(1, False)
    tables = (make_spectra(objects, False), objects, make_latents(objects, False))
    for name in ("one", "two"):
        with style():
            save(page(*tables, *make_explanations(objects), 1), tmp_path / f"{name}.pdf")
    one = (tmp_path / "one.pdf").read_bytes()
    assert one[:5] == b"%PDF-"
    assert one == (tmp_path / "two.pdf").read_bytes()


@pytest.mark.parametrize("size", [1, 4])
def test_a_page_of_what_is_not_scored(size):
    objects = make_objects(1, True)
    spectra, table = make_spectra(objects, True), make_latents(objects, True, size)
    numbers = ["z", "log_prob", "log_prob_err", "log_prob_percentile", "outlier_score"]
    objects[numbers] = np.nan
    names = [f"neighbour_{i}" for i in (1, 2, 3)]
    objects[names], objects["statistic"] = "", ""
    spectra[["model", "residual", *names]] = np.nan
    table.loc[table["role"] == "chosen", [f"axis_{i + 1}" for i in range(size)]] = np.nan
    with style():
        figure = drawn(page(spectra, objects, table, *make_explanations(objects[:0]), 1))
        drawn(gallery(spectra, objects))
        drawn(latents(table))
    assert "nan" not in text_of(figure)
    titles = {axes.get_title(side) for axes in figure.axes for side in ("left", "right")}
    assert {"there are no neighbours", "the object has no latents"} <= titles


def test_a_page_without_any_good_pixel():
    objects = make_objects(1, True)
    spectra = make_spectra(objects, True)
    spectra[["sigma", "residual"]] = np.nan
    table = make_latents(objects, True)
    nobody = table[table["role"] == "chosen"]
    with style():
        drawn(page(spectra, objects, table, *make_explanations(objects), 1))
        drawn(page(spectra, objects, nobody, *make_explanations(objects), 1))
        drawn(gallery(spectra, objects))
        drawn(latents(nobody))


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("number", [1, 7])
def test_the_gallery_names_rank_and_kind(real, number):
    objects = make_objects(number, real)
    objects.loc[1:1, "gallery"] = False
    with style():
        figure = drawn(gallery(make_spectra(objects, real), objects))
    titles = [axes.get_title("left") for axes in figure.axes if axes.axison]
    if real:
        assert titles == [f"{rank}  galaxy" for rank in objects["outlier_rank"][objects["gallery"]]]
    elif number == 7:
        # Kinds by the first of each that is shown.
        assert titles == ["1  spike", "4  spike", "7  spike", "3  no contaminant",
                          "6  no contaminant", "5  type-1 AGN"]  # fmt: skip
    # What the model misses is one pixel, so that only its surroundings are shown.
    low, high = figure.axes[0].get_xlim()
    assert 3900 < low < high < 9100


@pytest.mark.parametrize("real", [False, True])
def test_kinds_are_ordered_by_surprise(real):
    objects = make_objects(6, real)
    table = make_latents(objects, real)
    table.loc[table["group"] == "type1_agn", "latent_surprise"] = 40.0
    with style():
        figure = drawn(latents(table))
    labels = [label.get_text() for label in figure.axes[-1].get_yticklabels()]
    kinds = ["quasar"] if real else ["type-1 AGN", "spike"]
    assert labels == [*kinds, "others, a sample", "others, first by rank"]
    assert figure.axes[-1].get_xlim()[1] > (1 if real else 40)
    assert len(figure.axes) == 4

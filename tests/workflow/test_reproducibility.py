"""Same configuration, seed and threads: same bytes. Another number of threads: the same numbers."""

import hashlib

import numpy as np
import pytest
from safetensors.numpy import load_file

from uraniborg.tables import read_table

pytestmark = pytest.mark.workflow

# Timings are not reproducible, and are not results of the same kind.
TIMED = ("benchmarks", "runtimes", "logs")

MODEL = "results/models/spender/default/model.safetensors"
OBJECTS = "results/spender/sdss_simulated/objects.parquet"


def digests(folder):
    files = [path for path in (folder / "results").glob("**/*") if path.is_file()]
    names = {str(path.relative_to(folder)): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if not any(part in name for part in TIMED)
    }


def test_same_threads_same_bytes(finished, checkout):
    again = checkout("again")
    again.snakemake("results")
    first, second = digests(finished.folder), digests(again.folder)
    assert first.keys() - second.keys() == set()
    assert second.keys() - first.keys() == set()
    assert len(first) > 15
    different = [name for name in first if first[name] != second[name]]
    assert different == []


def test_one_thread_agrees_with_two(finished, checkout):
    single = checkout("single")
    single.snakemake("results/spender/sdss_simulated/objects.parquet", cores=1)
    two, one = (read_table(copy.folder / OBJECTS) for copy in (finished, single))
    assert list(two["object_id"]) == list(one["object_id"])
    # Sums are ordered by threads; training amplifies the rounding. Held to a hundredth of the
    # statistical error of a reduced chi2 (0.02 for 3900 pixels).
    np.testing.assert_allclose(one["reduced_chi2"], two["reduced_chi2"], rtol=2e-4)
    np.testing.assert_allclose(one["snr"], two["snr"], rtol=1e-6)
    weights_two, weights_one = (load_file(copy.folder / MODEL) for copy in (finished, single))
    for name, weight in weights_two.items():
        np.testing.assert_allclose(weights_one[name], weight, atol=2e-3 * np.abs(weight).max())

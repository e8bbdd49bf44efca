import sys
from types import SimpleNamespace

import pytest

from uraniborg.errors import UserError
from uraniborg.jobs import job


@pytest.fixture
def snakemake(tmp_path):
    return SimpleNamespace(log=[str(tmp_path / "logs" / "job.log")], rule="some_rule")


def read(snakemake):
    with open(snakemake.log[0]) as file:  # noqa: PTH123
        return file.read()


def test_output_goes_to_the_log(snakemake):
    with job(snakemake):
        print("to stdout")
        print("to stderr", file=sys.stderr)
    assert read(snakemake) == "to stdout\nto stderr\n"


def test_user_errors_have_no_traceback(snakemake):
    with pytest.raises(SystemExit) as exit_, job(snakemake):
        raise UserError("file.fits: is truncated; download it again.")
    assert exit_.value.code == 1
    assert read(snakemake) == "Error in some_rule: file.fits: is truncated; download it again.\n"


def test_other_errors_leave_their_traceback_in_the_log(snakemake):
    with pytest.raises(ZeroDivisionError), job(snakemake):
        1 / 0  # noqa: B018
    assert "Traceback" in read(snakemake)

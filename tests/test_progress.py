"""What a long job says about itself, on a terminal and in a log."""

import io
import math
from contextlib import redirect_stderr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uraniborg.progress import Progress, track


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines(total, seconds_per_item, initial=0):
    clock, stream = Clock(), io.StringIO()
    with Progress(total, "encoding", "spectra", initial, stream=stream, clock=clock) as progress:
        for _ in range(total - initial):
            clock.now += seconds_per_item
            progress.advance()
    return stream.getvalue().splitlines()


def test_log_has_a_line_per_tenth_with_count_rate_and_time_left():
    said = lines(1000, 0.25)
    assert said[0] == "encoding: 100/1,000 spectra (10%), 4 per s, 03:45 left"
    assert said[-1] == "encoding: 1,000/1,000 spectra (100%), 4 per s, took 04:10"
    assert len(said) == 11


def test_quick_job_says_only_how_it_ended():
    assert lines(50, 0.01) == ["encoding: 50/50 spectra (100%), 100 per s, took 00:00"]


def test_slow_job_says_something_every_minute():
    assert len(lines(5, 600)) == 6
    assert len(lines(1000, 6)) == 101


@given(total=st.integers(1, 300), seconds=st.floats(0, 100))
def test_log_stays_short(total, seconds):
    said = lines(total, seconds)
    assert len(said) <= 12 + total * seconds / 60
    assert said[-1].startswith(f"encoding: {total}/{total} spectra (100%)")


def test_work_done_before_does_not_count_for_the_rate():
    assert lines(100, 1.0, initial=90) == [
        "encoding: 100/100 spectra (100%), 1 per s, 00:00 left",
        "encoding: 100/100 spectra (100%), 1 per s, took 00:10",
    ]


def test_note_is_shown_with_short_numbers():
    stream = io.StringIO()
    with Progress(2, "training", stream=stream) as progress:
        progress.note(epoch=3, loss=math.pi)
        progress.advance(2)
    assert stream.getvalue().endswith(", epoch 3, loss 3.1416\n")


def test_terminal_gets_a_bar():
    terminal = Terminal()
    with Progress(200, "ingesting", "files", stream=terminal) as progress:
        progress.note(broken=2)
        progress.advance(200)
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "ingesting: 100%" in shown
    assert "200/200" in shown
    assert "files/s" in shown
    assert "broken 2" in shown


def test_hidden_progress_is_silent():
    for stream in (io.StringIO(), Terminal()):
        with Progress(10, "training", visible=False, stream=stream) as progress:
            progress.advance(10)
        assert stream.getvalue() == ""


def test_goes_to_where_stderr_is_redirected():
    log = io.StringIO()
    with redirect_stderr(log):
        assert list(track([1, 2, 3], "simulating", "galaxies")) == [1, 2, 3]
    assert log.getvalue().startswith("simulating: 3/3 galaxies (100%)")
    assert "\r" not in log.getvalue()


def test_track_counts_what_items_hold():
    stream = io.StringIO()
    batches = (range(4), range(3))
    assert list(track(iter(batches), "encoding", total=7, amount=len, stream=stream)) == [*batches]
    assert stream.getvalue().startswith("encoding: 7/7 objects (100%)")


def test_track_of_nothing():
    stream = io.StringIO()
    assert list(track([], "encoding", stream=stream)) == []
    assert stream.getvalue().startswith("encoding: 0/0 objects (100%)")


def test_interrupted_job_says_how_far_it_came():
    stream = io.StringIO()

    def broken():
        with Progress(10, "encoding", stream=stream) as progress:
            progress.advance(4)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert stream.getvalue().startswith("encoding: 4/10 objects (40%)")

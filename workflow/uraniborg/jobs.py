"""What every script of the workflow does first: log file, errors that users can read."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from uraniborg.errors import UserError
from uraniborg.files import writing

__all__ = ["job"]


@contextmanager
def job(snakemake: Any) -> Iterator[None]:  # noqa: ANN401 (the engine's object has no public type)
    """Sends what the block prints to the job's log and ends it with a readable error.

    A `UserError` is shown without a traceback, in the log and on the terminal; any other exception
    leaves its traceback in the log.

    Args:
        snakemake: The object that Snakemake gives to a script.

    Example:
        >>> with job(snakemake):
        ...     print("to the log")
    """

    try:
        with _log(Path(snakemake.log[0])) as log, redirect_stdout(log), redirect_stderr(log):
            try:
                yield
            except UserError as error:
                print(f"Error in {snakemake.rule}: {error}")
                raise
            except Exception:
                traceback.print_exc()
                raise
    except UserError as error:
        print(f"Error in {snakemake.rule}: {error}", file=sys.__stderr__)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{snakemake.rule}: stopped", file=sys.__stderr__)
        raise SystemExit(130) from None


@contextmanager
def _log(path: Path) -> Iterator[TextIO]:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Line buffering, so that `tail -f` on the log shows the progress.
        with path.open("w", buffering=1) as log:
            yield log

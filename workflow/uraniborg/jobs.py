"""What every script of the workflow does first: log file, errors that users can read."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from uraniborg.errors import UserError

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

    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    # Line buffering, so that `tail -f` on the log shows the progress.
    with path.open("w", buffering=1) as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except UserError as error:
            message = f"Error in {snakemake.rule}: {error}"
            print(message, file=log)
            print(message, file=sys.__stderr__)
            raise SystemExit(1) from None
        except Exception:
            traceback.print_exc(file=log)
            raise

"""How far a long job is: a bar on a terminal, plain lines now and then in a log file."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TextIO

from tqdm import tqdm

__all__ = ["Progress", "track"]


class Progress:
    """Shows how much is done, at what rate, and the time left.

    On a terminal it is a bar that moves. In a log it is a line per tenth of the work, at least
    10 s apart, and one per minute where a tenth takes longer; the last line always appears.

    Args:
        total: Amount of work.
        description: What is being done, such as `simulating`.
        unit: What is counted, in the plural.
        initial: Amount that was already done before; it does not count for the rate.
        visible: Whether anything is shown.
        stream: Where to, the current `sys.stderr` by default.
        clock: Returns seconds.

    Example:
        >>> with Progress(1000, "simulating", "galaxies") as progress:
        ...     progress.advance(100)
    """

    def __init__(
        self,
        total: int,
        description: str,
        unit: str = "objects",
        initial: int = 0,
        visible: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.description, self.unit = total, description, unit
        self.done = self._initial = initial
        self._visible, self._clock = visible, clock
        # Looked up late because jobs redirect the standard streams to their log. A log gets lines,
        # and the terminal that the job was started from still gets its bar.
        streams = (sys.stderr, sys.__stderr__) if stream is None else (stream,)
        self._terminal = next((s for s in streams if s is not None and s.isatty()), None)
        self._log = None if streams[0].isatty() else streams[0]
        self._bar: tqdm | None = None
        self._note = ""

    def __enter__(self) -> Self:
        self._began = self._said_at = self._clock()
        self._said = self.done
        if self._visible and self._terminal is not None:
            self._bar = tqdm(
                total=self.total,
                initial=self.done,
                desc=self.description,
                unit=f" {self.unit}",
                file=self._terminal,
                dynamic_ncols=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._visible and self._log is not None:
            self._say(self._clock(), last=True)

    def advance(self, amount: int = 1) -> None:
        """Counts work as done."""

        self.done += amount
        if self._bar is not None:
            self._bar.update(amount)
        if self._visible and self._log is not None:
            now = self._clock()
            waited = now - self._said_at
            tenth = self.done - self._said >= self.total / 10
            if waited >= 60 or (waited >= 10 and tenth):
                self._say(now)

    def note(self, **values: Any) -> None:  # noqa: ANN401 (anything that can be printed)
        """What is shown beside the count from now on; numbers are shortened."""

        self._note = ", ".join(
            f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in values.items()
        )
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)

    def _say(self, now: float, last: bool = False) -> None:
        elapsed = now - self._began
        rate = (self.done - self._initial) / elapsed if elapsed > 0 else 0.0
        share = self.done / self.total if self.total else 1.0
        parts = [f"{self.done:,}/{self.total:,} {self.unit} ({share:.0%})", f"{rate:,.3g} per s"]
        if last:
            parts.append(f"took {tqdm.format_interval(elapsed)}")
        elif rate > 0:
            parts.append(f"{tqdm.format_interval((self.total - self.done) / rate)} left")
        parts += [self._note] if self._note else []
        print(f"{self.description}: {', '.join(parts)}", file=self._log, flush=True)
        self._said, self._said_at = self.done, now


def track(
    items: Iterable[Any],
    description: str,
    unit: str = "objects",
    total: int | None = None,
    amount: Callable[[Any], int] | None = None,
    stream: TextIO | None = None,
) -> Iterator[Any]:
    """Yields items and shows how many are done.

    Args:
        items: What to go through.
        description: What is being done.
        unit: What is counted, in the plural.
        total: Amount of work, `len(items)` by default.
        amount: How much one item counts, 1 by default; `len` for batches of row numbers.
        stream: Where to show it, the current `sys.stderr` by default.

    Example:
        >>> for rows in track(spectra.batches(256), "encoding", "spectra", len(spectra), len):
        ...     encode(rows)
    """

    total = len(items) if total is None else total
    with Progress(total, description, unit, stream=stream) as progress:
        for item in items:
            yield item
            progress.advance(1 if amount is None else amount(item))

"""What a semantic query says while it runs, and its bill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ....udfs.models.weights import ProgressEvent
from ...dataflow.progress import QueryProgress
from ...dataflow.progress_events import OperatorProgress, progress_event
from .screen import Screen
from .wrap import shorten

FIRST_AFTER_S = 0.3
PLAIN_EVERY_S = 5.0
_MOST_LINES = 12


def dollars(amount: float) -> str:
    """US dollars, with as many digits as a small amount needs.

    >>> dollars(0), dollars(0.00123), dollars(12.5)
    ('$0.00', '$0.0012', '$12.50')
    """
    return f"${amount:,.2f}" if amount == 0 or amount >= 0.1 else f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"


def site_line(site: OperatorProgress, elapsed: float) -> str:
    """One call site, now. ``elapsed`` is the query's age in seconds."""
    of = f"{site.rows_in:,}" if site.rows_total is None else f"{'' if site.exact else '≈'}{site.rows_total:,}"
    parts = [
        f"{site.site} {site.model}",
        f"{site.rows_done:,}/{of} rows",
        _count(site.calls, "call"),
    ]
    parts += [f"{site.cached:,} cached"] if site.cached else []
    parts += [f"{site.failed:,} failed"] if site.failed else []
    parts += [f"{site.in_flight:,} in flight"] if site.in_flight else []
    parts.append("cost unknown" if site.cost_usd is None else dollars(site.cost_usd))
    parts.append(f"{site.rows_done / max(elapsed, 1e-3):,.1f}/s")
    parts += [f"{_duration(site.eta_s)} left"] if site.eta_s else []
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    """Roughly, for people.

    >>> _duration(42.3), _duration(200), _duration(7300)
    ('42 s', '3 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bill(progress: QueryProgress, rows: int | None, seconds: float) -> str:
    """What the query took: rows (``None``: it returns none), wall seconds, calls, tokens, money."""
    sites = progress.sites.values()
    cached, shared = sum(site.cached for site in sites), sum(site.shared for site in sites)
    failed = sum(site.failed for site in sites)
    took = f"{seconds:.1f} s" if rows is None else f"{_count(rows, 'row')} in {seconds:.1f} s"
    calls = _count(progress.calls, "model call") + (f", {cached:,} from cache" if cached else "")
    calls += f", {shared:,} shared" if shared else ""
    tokens = f"{sum(s.tokens_in for s in sites):,} tokens in, {sum(s.tokens_out for s in sites):,} out"
    parts = [took, calls, tokens, _money(progress)]
    return " · ".join(parts + ([f"{_count(failed, 'row')} failed"] if failed else []))


def _money(progress: QueryProgress) -> str:
    source = f" ({progress.price_source})" if progress.price_source else ""
    if (cost := progress.cost_usd) is not None:
        return dollars(cost) + source
    known = sum(site.cost_usd for site in progress.sites.values())
    return "cost unknown" + (f", {dollars(known)} of it known{source}" if known else "")


def answers_kept(progress: QueryProgress) -> int:
    """Answers that a query has received from models so far."""
    return max(0, sum(site.calls - site.in_flight - site.failed for site in progress.sites.values()))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Live:
    """The lines of a running query: redrawn in place on a terminal, else a plain line every few seconds.

    Parameters
    ----------
    screen : lines go to its ``err``. enabled : whether to draw at all; ``latest`` is kept in any case.
    clock : monotonic seconds, the one that ``QueryProgress`` counts in.
    """

    def __init__(self, screen: Screen, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self.latest: QueryProgress | None = None
        self._screen, self._enabled, self._clock = screen, enabled, clock
        self._lock = threading.Lock()
        self.kept: int | None = None
        self._drawn = 0
        self._stopped = self._held = False
        self._printed_at = clock()
        self._fetching: list[str] = []

    def update(self, progress: QueryProgress) -> None:
        """Take new counters; called by the query's own thread."""
        with self._lock:
            self.latest = progress
            event = progress_event(progress, self._clock)
            if not event.finished and event.elapsed_s >= FIRST_AFTER_S:
                lines = [site_line(operator, event.elapsed_s) for operator in event.operators[:_MOST_LINES]]
                self._show(self._fetching + lines)

    def fetch(self, event: ProgressEvent) -> None:
        """Take news of a model file that the query needs and that is not here yet."""
        with self._lock:
            at_once = not self._fetching and event.stage == "downloading"  # the size is announced before anything else
            megabytes = f"{event.done / 1e6:,.0f} of {event.total / 1e6:,.0f} MB"
            line = f"model {event.name}: {event.stage} ({event.source}), {megabytes}"
            self._fetching = [] if event.stage == "ready" or event.done >= event.total else [line]
            self._show(self._fetching, at_once)

    def freeze(self) -> None:
        """Note the answers received until now: a call that the interrupt is about to cancel counts as sent later on."""
        if self.latest is not None and self.kept is None:
            self.kept = answers_kept(self.latest)

    def stop(self) -> None:
        """Take the lines off the screen, for good."""
        with self._lock:
            self._stopped = True
            self._redraw([])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Off the screen and silent, while results are written on the same terminal."""
        with self._lock:
            self._held = True  # a flag and not the lock: whoever writes may stop half-way and never come back
            self._redraw([])
        yield
        self._held = False

    def _show(self, lines: list[str], at_once: bool = False) -> None:
        if self._stopped or self._held or not self._enabled:
            return
        if self._screen.live:
            self._redraw(lines)
        elif at_once or self._clock() - self._printed_at >= PLAIN_EVERY_S:
            self._printed_at = self._clock()
            for line in lines:
                self._screen.err.line(line)

    def _redraw(self, lines: list[str]) -> None:
        if not lines and not self._drawn:
            return
        width = self._screen.width - 1
        up = f"\r\x1b[{self._drawn}A" if self._drawn else "\r"
        text = "".join(f"{self._screen.err.paint(shorten(line, width), 'cyan')}\n" for line in lines)
        self._screen.err.file.write(f"{up}\x1b[J{text}")
        self._screen.err.file.flush()
        self._drawn = len(lines)

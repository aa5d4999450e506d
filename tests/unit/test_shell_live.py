"""Progress lines and bills."""

from __future__ import annotations

import io

from anserdb.engine.dataflow.progress import QueryProgress, SiteProgress
from anserdb.engine.dataflow.progress_events import progress_event
from anserdb.engine.interfaces.shell.live import PLAIN_EVERY_S, Live, answers_kept, bill, site_line
from anserdb.engine.interfaces.shell.screen import Screen, Stream
from anserdb.udfs.models.weights import ProgressEvent


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def query(**counters: int | float) -> QueryProgress:
    site = SiteProgress("1:LLM_FILTER", "LLM_FILTER", "small")
    for name, value in counters.items():
        setattr(site, name, value)
    return QueryProgress("q", 100.0, {site.site: site}, price_source="local")


def live(terminal: bool, enabled: bool = True) -> tuple[Live, Clock, io.StringIO]:
    err, clock = io.StringIO(), Clock()
    return Live(Screen(Stream(io.StringIO()), Stream(err), live=terminal), enabled, clock), clock, err


def test_site_line() -> None:
    progress = query(rows_done=120, rows_in=2000, calls=37, cached=80, in_flight=4)
    line = site_line(progress_event(progress).operators[0], elapsed=60.0)
    assert line == "1:LLM_FILTER small  120/2,000 rows  37 calls  80 cached  4 in flight  $0.00  2.0/s"


def test_site_line_says_how_much_is_left_where_that_is_known() -> None:
    progress = query(rows_done=50, rows_in=80, rows_total=150, total_is_exact=True)
    line = site_line(progress_event(progress, lambda: 110.0).operators[0], elapsed=10.0)
    assert line == "1:LLM_FILTER small  50/150 rows  0 calls  $0.00  5.0/s  20 s left"
    progress.sites["1:LLM_FILTER"].total_is_exact = False
    assert "50/≈150 rows" in site_line(progress_event(progress, lambda: 110.0).operators[0], elapsed=10.0)


def test_site_line_says_what_went_wrong() -> None:
    progress = query(rows_done=1, rows_in=1, calls=1, failed=1, unpriced=1)
    assert "1 call  1 failed  cost unknown" in site_line(progress_event(progress).operators[0], 1.0)


def test_bill() -> None:
    progress = query(calls=37, cached=163, tokens_in=5213, tokens_out=74)
    assert bill(progress, 200, 12.34) == (
        "200 rows in 12.3 s · 37 model calls, 163 from cache · 5,213 tokens in, 74 out · $0.00 (local)"
    )


def test_bill_of_a_statement_without_rows() -> None:
    assert bill(query(calls=1, shared=2), None, 0.51).startswith("0.5 s · 1 model call, 2 shared · ")


def test_money_is_never_invented() -> None:
    assert bill(query(calls=3, unpriced=3), 1, 1.0).endswith("· cost unknown")
    partly = bill(query(calls=3, unpriced=1, cost_usd=0.25), 1, 1.0)
    assert partly.endswith("· cost unknown, $0.25 of it known (local)")
    assert "$0.0012 (local)" in bill(query(calls=3, cost_usd=0.00123), 1, 1.0)


def test_bill_counts_failed_rows() -> None:
    assert bill(query(failed=3), 1, 1.0).endswith("· 3 rows failed")


def test_answers_kept() -> None:
    assert answers_kept(query(calls=37, in_flight=5, failed=2)) == 30
    assert answers_kept(query(failed=2)) == 0


def test_lines_are_redrawn_in_place_and_cleared() -> None:
    drawn, clock, err = live(terminal=True)
    clock.now += 1
    drawn.update(query(rows_done=1, rows_in=9))
    drawn.update(query(rows_done=2, rows_in=9))
    drawn.stop()
    drawn.update(query(rows_done=3, rows_in=9))
    first, second, cleared = err.getvalue().split("\x1b[J")[1:]
    assert "1/9 rows" in first
    assert first.endswith("\r\x1b[1A")
    assert "2/9 rows" in second
    assert cleared == ""


def test_a_short_query_draws_nothing() -> None:
    drawn, clock, err = live(terminal=True)
    clock.now += 0.1
    drawn.update(query(rows_done=1))
    drawn.stop()
    assert err.getvalue() == ""


def test_results_are_written_on_a_clear_line() -> None:
    drawn, clock, err = live(terminal=True)
    clock.now += 1
    drawn.update(query(rows_done=1))
    with drawn.held():
        before = err.getvalue()
        drawn.update(query(rows_done=2))
        assert err.getvalue() == before
        assert before.endswith("\x1b[J")
    drawn.update(query(rows_done=3, rows_in=3))
    assert "3/3 rows" in err.getvalue()


def test_a_line_is_no_wider_than_the_terminal(monkeypatch: object) -> None:
    drawn, clock, err = live(terminal=True)
    clock.now += 1
    progress = query(rows_done=1)
    progress.sites["1:LLM_FILTER"].model = "m" * 300
    drawn.update(progress)
    assert len(err.getvalue().split("\x1b[J")[1].rstrip("\n")) < 300


def test_a_pipe_gets_plain_lines_now_and_then() -> None:
    drawn, clock, err = live(terminal=False)
    for _ in range(20):
        clock.now += PLAIN_EVERY_S / 5
        drawn.update(query(rows_done=int(clock.now), rows_in=200))
    lines = err.getvalue().splitlines()
    assert len(lines) == 4
    assert all(line.startswith("1:LLM_FILTER small") for line in lines)
    assert "\x1b" not in err.getvalue()


def test_silence_still_keeps_the_counters() -> None:
    drawn, clock, err = live(terminal=True, enabled=False)
    clock.now += 10
    drawn.update(progress := query(calls=5))
    drawn.freeze()
    assert err.getvalue() == ""
    assert drawn.latest is progress
    assert drawn.kept == 5


def test_a_fetch_is_announced_with_its_size_at_once() -> None:
    drawn, _, err = live(terminal=False)
    drawn.fetch(ProgressEvent("small", "downloading", "hub", 0, 491_400_064))
    drawn.fetch(ProgressEvent("small", "downloading", "hub", 1_000_000, 491_400_064))
    assert err.getvalue() == "model small: downloading (hub), 0 of 491 MB\n"

"""Kill -9 at random instants, run again: the same result, and nothing is asked twice whose answer was in the store."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.doors import QUERY, child, connect, questions, until
from tests.support.loopback import LoopbackServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
CAP = 32
LATENCY_S = 0.04


@dataclass(frozen=True)
class Killed:
    """What a killed process left. ``asked`` : its questions; ``answered`` : how many had their answer sent; ``kept`` : answers
    in the store."""

    asked: list[str]
    answered: int
    kept: int

    @property
    def in_flight(self) -> int:
        """Asked, and not in the store."""
        return len(self.asked) - self.kept


def start_and_kill(server: LoopbackServer, store: Path, rows: int, answered: int) -> Killed:
    """Run the query in a child until the server has given so many more answers, and kill it."""
    before, completed = len(server.stats.bodies), server.stats.completed
    kept = answers_in(store)
    with child(server, "con.sql(QUERY).fetchall()", store=store, rows=rows, llm_concurrency=CAP) as process:
        until(lambda: server.stats.completed - completed >= answered)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    until(lambda: server.stats.in_flight == 0)
    asked = questions(server.stats.bodies)[before:]
    return Killed(asked, server.stats.completed - completed, answers_in(store) - kept)


def answers_in(store: Path) -> int:
    """Answers that survived, counted by another program's means."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def rest(server: LoopbackServer, store: Path, rows: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run the query to its end: what it asked, and its rows."""
    before = len(server.stats.bodies)
    with connect(server, store, rows, llm_concurrency=CAP) as con:
        result = con.sql(QUERY)
        assert result is not None
        found = result.fetchall()
    return questions(server.stats.bodies)[before:], found


def expected(rows: int) -> list[tuple[Any, ...]]:
    """The rows of a run in which nothing happens; the server's answers depend on the questions only."""
    with LoopbackServer() as server, connect(server, rows=rows, llm_concurrency=CAP) as con:
        result = con.sql(QUERY)
        assert result is not None
        return result.fetchall()


def check(deaths: list[Killed], again: list[str], rows: int) -> None:
    """Only what was in flight at a kill is asked again; nothing in the store is, and nothing is forgotten."""
    asked = Counter([question for death in deaths for question in death.asked] + again)
    assert len(asked) == rows
    assert len(again) == rows - sum(death.kept for death in deaths)
    # A call holds its slot until its answer is in the store, so these are never more than what may be in flight.
    assert asked.total() - rows == sum(death.in_flight for death in deaths)
    for death in deaths:
        assert death.in_flight <= CAP
        assert len(set(death.asked)) == len(death.asked)


def test_a_query_killed_three_times_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    rows, store, instants = 500, tmp_path / "s.anser", random.Random(7)
    with LoopbackServer(latency_s=LATENCY_S, jitter=0.9) as server:
        deaths = [start_and_kill(server, store, rows, instants.randrange(1, 120)) for _ in range(3)]
        again, found = rest(server, store, rows)
    assert all(death.asked for death in deaths)
    check(deaths, again, rows)
    assert found == expected(rows)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_random_instants_of_5000_rows(tmp_path: Path) -> None:
    rows, instants = 5000, random.Random(20)
    whole = expected(rows)
    for number in range(20):
        store, answered = tmp_path / f"{number}.anser", instants.randrange(rows)
        with LoopbackServer(latency_s=LATENCY_S, jitter=0.9) as server:
            death = start_and_kill(server, store, rows, answered)
            again, found = rest(server, store, rows)
        print(f"killed after {death.answered:,} answers, {death.kept:,} in the store: {death.in_flight} asked again")
        check([death], again, rows)
        assert found == whole

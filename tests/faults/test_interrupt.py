"""Ctrl-C in a program: heard at once, nothing paid for is lost, and the connection goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.doors import child, questions, until
from tests.support.loopback import Fault, LoopbackServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

SEMANTIC = """
try:
    print("asking", flush=True)
    con.sql(QUERY).fetchall()
    print("finished")
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(con.sql("SELECT count(*) FROM t").fetchall()[0][0])
print(con.sql("SELECT count(*) FROM llm_calls() WHERE outcome = 'ok'").fetchall()[0][0])
result = con.sql("SELECT id, LLM_COMPLETE('say', body) AS x FROM t WHERE id < 30 ORDER BY id")
print(len(result.fetchall()), result.progress.calls, flush=True)
"""

# The program may be anywhere in a statement: reading by rows or batches, in a change, in an embedded call, in plain SQL.
WAYS = {
    "rows": "con.sql(QUERY).fetchone(); con.sql(QUERY).fetchall()",
    "batches": "list(con.sql(QUERY).batches())",
    "change": "con.sql('CREATE TABLE u AS ' + QUERY)",
    "stage": "con.sql('WITH a AS (' + QUERY + ') SELECT count(*) FROM a JOIN t USING (id)').fetchall()",
    "embedded": "con.sql(\"SELECT list_transform([body], lambda z: LLM_COMPLETE('say', z)) FROM t\").fetchall()",
    "analyze": "con.explain(QUERY, analyze=True)",
    "cursor": "con.cursor().execute(QUERY).fetchmany(100)",
}


def held(number: int, body: dict[str, object]) -> Fault | None:
    """Rows from 30 on are never answered."""
    text = questions([body])[0]
    return Fault("timeout") if int(text.rstrip(".").rpartition(" ")[2]) >= 30 else None


def test_ctrl_c_keeps_the_answers_and_the_connection(tmp_path: Path) -> None:
    with (
        LoopbackServer(fault=held) as server,
        child(server, SEMANTIC, store=tmp_path / "s.anser", rows=60, llm_concurrency=8) as process,
    ):
        until(lambda: server.stats.completed == 30 and server.stats.in_flight == 8)
        process.send_signal(signal.SIGINT)
        out, problems = process.communicate(timeout=60)
    assert problems == b""
    assert out.decode().splitlines() == ["asking", "interrupted", "60", "30", "30 0"]
    assert process.returncode == 0


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_is_heard_wherever_the_program_waits(way: str) -> None:
    program = f"""
try:
    {WAYS[way]}
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(con.sql("SELECT count(*) FROM t").fetchall()[0][0], flush=True)
con.close()
"""
    with LoopbackServer(fault=held) as server, child(server, program, rows=60, llm_concurrency=8) as process:
        until(lambda: server.stats.in_flight == 8)
        process.send_signal(signal.SIGINT)
        out, problems = process.communicate(timeout=60)
    assert (out.decode().split(), problems, process.returncode) == (["interrupted", "60"], b"", 0)


@pytest.mark.parametrize(
    "use",
    [
        "con.sql(ENDLESS).fetchall()",
        "con.sql('CREATE TABLE u AS ' + ENDLESS)",
        "con.execute(ENDLESS).fetchone()",
        "con.execute('CREATE TABLE u AS ' + ENDLESS)",
        "con.execute('SELECT range FROM range(10_000_000_000)').fetchall()",
    ],
)
def test_ctrl_c_stops_plain_sql(use: str) -> None:
    program = f"""
import threading
ENDLESS = "SELECT count(*) FROM range(10_000_000) a, range(10_000_000) b WHERE a.range + b.range < 0"
try:
    threading.Timer(0.3, os.kill, (os.getpid(), 2)).start()
    {use}
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(con.sql("SELECT count(*) FROM t").fetchall()[0][0], flush=True)
"""
    with LoopbackServer() as server, child(server, program) as process:
        out, problems = process.communicate(timeout=60)
    assert (out.decode().split(), problems, process.returncode) == (["interrupted", "20"], b"", 0)


def test_an_unhandled_ctrl_c_ends_the_program_without_noise() -> None:
    with LoopbackServer(fault=held) as server, child(server, "con.sql(QUERY).fetchall()", rows=60) as process:
        until(lambda: server.stats.completed == 30)
        process.send_signal(signal.SIGINT)
        _, problems = process.communicate(timeout=60)
    assert problems.decode().splitlines()[-1] == "KeyboardInterrupt"
    assert b"leaked" not in problems
    assert b"never awaited" not in problems
    assert b"destroyed" not in problems

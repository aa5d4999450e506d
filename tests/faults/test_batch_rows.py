"""Rows that share a prompt, on a server that drops, adds, doubles, reorders, wraps, cuts and refuses: none gets another's answer."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import stamina

import anserdb
from tests.support.batched_prompts import answer_all, answer_item, items
from tests.support.doors import child, connect, until
from tests.support.loopback import Answer, Fault, LoopbackServer, asked_choices, asked_schema, user_text

ROWS = 240
LABELS = ("up", "down", "left", "right")
QUERIES = {
    "complete": "LLM_COMPLETE('say', body {})",
    "classify": f"LLM_CLASSIFY(body, {list(LABELS)} {{}})",
    "extract": "LLM_EXTRACT(body, {name: 'VARCHAR', amount: 'INTEGER', on_day: 'DATE'} {})",
}
Rows = dict[str, Any]
Spoil = Callable[[Rows, Random], str]


def right(body: dict[str, Any]) -> Rows:
    """The answers to a prompt of several rows, by id."""
    return answer_all(user_text(body), asked_schema(body) or {})


def alone(body: dict[str, Any]) -> Answer:
    """The answer to a prompt of one row; it is the same as in company."""
    text = user_text(body)
    if choices := asked_choices(body):
        word = str(answer_item(text, {"type": "string", "enum": choices}))
        return {choice: -0.1 if choice == word else -9.0 for choice in choices}
    schema = asked_schema(body)
    return json.dumps(answer_item(text, schema)) if schema else str(answer_item(text, {"type": "string"}))


def _dropped(rows: Rows, random: Random) -> str:
    gone = random.sample(sorted(rows), random.randint(1, len(rows)))
    return json.dumps({name: answer for name, answer in rows.items() if name not in gone})


def _added(rows: Rows, random: Random) -> str:
    more = {name[::-1] + "q": random.choice(list(rows.values())) for name in random.sample(sorted(rows), 2)}
    return json.dumps({**more, **rows} if random.random() < 0.5 else {**rows, **more})


def _doubled(rows: Rows, random: Random) -> str:
    name = random.choice(sorted(rows))
    other = random.choice([answer for key, answer in rows.items() if key != name])
    pairs = [*rows.items(), (name, other)]
    return "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(answer)}" for key, answer in pairs) + "}"


def _reordered(rows: Rows, random: Random) -> str:
    return json.dumps(dict(random.sample(sorted(rows.items()), len(rows))))


def _talkative(rows: Rows, random: Random) -> str:
    one, two, *_ = random.sample(sorted(rows), 2)
    swapped = json.dumps({one: rows[two], two: rows[one]})
    return random.choice(
        [
            f"I first thought {swapped}, but the right answer is {json.dumps(rows)}",
            f"{one} and {two} look alike. {json.dumps(rows)} That is: {one} first, {two} second.",
            f"```json\n{swapped}\n```\nNo, that is wrong:\n```json\n{json.dumps(rows)}\n```",
        ]
    )


def _cut(rows: Rows, random: Random) -> str:
    text = json.dumps(rows)
    return text[: random.randrange(1, len(text) - 1)]


def _wrong(rows: Rows, random: Random) -> str:
    def wrong(answer: Any) -> Any:
        if isinstance(answer, dict):
            return random.choice(["some words", ["x"], None, {"name": "x", "amount": "many", "on_day": None}])
        return random.choice(["sideways", "up and down", [answer], None] if answer in LABELS else [[answer], {}, None])

    bad = set(random.sample(sorted(rows), 2))
    return json.dumps({name: wrong(answer) if name in bad else answer for name, answer in rows.items()})


def _as_list(rows: Rows, random: Random) -> str:
    del random
    return json.dumps([{"id": name, "answer": answer} for name, answer in rows.items()])


SPOILED: Mapping[str, Spoil] = {
    "dropped": _dropped,
    "added": _added,
    "doubled": _doubled,
    "reordered": _reordered,
    "talkative": _talkative,
    "fenced": lambda rows, _: f"Here you are:\n```json\n{json.dumps(rows, indent=1)}\n```\n",
    "cut": _cut,
    "wrong": _wrong,
    "list": _as_list,
}
REFUSED: Mapping[str, Fault] = {
    "500": Fault(500),
    "drop": Fault("drop"),
    "too long": Fault(400, message="This model's maximum context length is 512 tokens", code="context_length_exceeded"),
    "truncated": Fault("truncated"),
}


class Misbehaving:
    """A server's side: each prompt of several rows meets one of ``kinds`` with a chance of ``share``.

    ``met`` counts how often. Prompts of one row meet refusals only, and never the one about length.
    """

    def __init__(self, kinds: list[str], share: float, seed: int) -> None:
        self._kinds, self._share, self._random = kinds, share, Random(seed)
        self.met = dict.fromkeys(kinds, 0)

    def answer(self, body: dict[str, Any]) -> Answer:
        if not items(user_text(body)):
            return alone(body)
        rows = right(body)
        kind = self._drawn([k for k in self._kinds if k in SPOILED])
        return SPOILED[kind](rows, self._random) if kind else json.dumps(rows)

    def fault(self, number: int, body: dict[str, Any]) -> Fault | None:
        del number
        several = bool(items(user_text(body)))
        kind = self._drawn([k for k in self._kinds if k in REFUSED and (several or k in ("500", "drop"))])
        return REFUSED[kind] if kind else None

    def _drawn(self, kinds: list[str]) -> str:
        if not kinds or self._random.random() >= self._share:
            return ""
        kind = self._random.choice(kinds)
        self.met[kind] += 1
        return kind


@pytest.fixture(autouse=True)
def _no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def fetched(con: anserdb.Connection, call: str, option: str) -> dict[int, Any]:
    words = QUERIES[call].replace(" {}", f"{option}, on_error := 'details'")
    relation = con.sql(f"SELECT id, {words} AS a FROM t ORDER BY id")
    assert relation is not None
    return dict(relation.fetchall())


def faultless(call: str) -> dict[int, Any]:
    with LoopbackServer(answer=alone) as server, connect(server, rows=ROWS) as con:
        return fetched(con, call, "")


def check(kinds: list[str], call: str, rows: int, seed: int = 3) -> None:
    expected = faultless(call)
    bad = Misbehaving(kinds, 0.2, seed)
    with (
        LoopbackServer(answer=bad.answer, fault=bad.fault, keep_bodies=False) as server,
        connect(server, rows=ROWS, llm_max_error_ratio=1, llm_concurrency=4) as con,
    ):
        found = fetched(con, call, f", batch_rows := {rows}")
        again = fetched(con, call, f", batch_rows := {rows}")
        booked = con.sql("SELECT count(*), sum(tokens_in), sum(tokens_out) FROM llm_calls()")
        assert booked is not None
        if not set(kinds) & set(REFUSED):  # those tell no tokens
            stats = server.stats
            assert booked.fetchall() == [(stats.requests, stats.tokens_in, stats.tokens_out)]
    failed = {row for row, answer in found.items() if answer["error"] is not None}
    wrong = {row for row in found if row not in failed and found[row] != expected[row]}
    print(f"{call} {rows}: met {bad.met}, {server.stats.requests} requests, {len(failed)} failed, {len(wrong)} wrong")
    assert sum(bad.met.values()) > 0
    assert found.keys() == expected.keys(), "lost or doubled rows"
    assert not wrong, "another row's answer"
    assert len(failed) < ROWS / 10
    assert all(again[row] == expected[row] for row in found if row not in failed)


@pytest.mark.parametrize("kind", [*SPOILED, *REFUSED])
def test_no_row_gets_anothers_answer(kind: str) -> None:
    check([kind], "complete", 8)


@pytest.mark.parametrize("call", QUERIES)
@pytest.mark.parametrize(("rows", "seed"), [(3, 1), (16, 2)])
def test_nor_when_all_happens_at_once(call: str, rows: int, seed: int) -> None:
    check([*SPOILED, *REFUSED], call, rows, seed)


def test_a_server_whose_every_long_prompt_is_too_long_answers_all_rows() -> None:
    def fault(number: int, body: dict[str, Any]) -> Fault | None:
        del number
        return REFUSED["too long"] if len(items(user_text(body))) > 3 else None

    expected = faultless("complete")
    with LoopbackServer(answer=Misbehaving([], 0, 0).answer, fault=fault) as server, connect(server, rows=ROWS) as con:
        assert fetched(con, "complete", ", batch_rows := 12") == expected
    sizes = [len(items(user_text(body))) for body in server.stats.bodies]
    assert sorted(set(sizes)) == [3, 6, 12]
    assert sizes.count(3) == ROWS / 3


def test_a_server_that_takes_no_schema_is_told_the_ids() -> None:
    expected = faultless("classify")
    server = LoopbackServer(answer=Misbehaving([], 0, 0).answer, reject={"json_schema", "json_object"})
    with server, connect(server, rows=ROWS) as con:
        assert fetched(con, "classify", ", batch_rows := 10") == expected
    assert server.stats.completed == ROWS / 10


def test_tokens_of_sixteen_rows_in_a_prompt() -> None:
    """400 tokens of instruction, rows of 60: what the server counts (words) for 16 rows a prompt against one."""
    instruction = " ".join(f"rule{i}" for i in range(370))
    body = " ".join(f"word{i}" for i in range(58))
    counted = {}
    for rows in (1, 16):
        with (
            LoopbackServer(answer=Misbehaving([], 0, 0).answer, keep_bodies=True) as server,
            connect(server, rows=160) as con,
        ):
            con.sql(f"UPDATE t SET body = id || ' {body}'")
            relation = con.sql(f"SELECT LLM_COMPLETE('{instruction}', body, batch_rows := {rows}) FROM t")
            assert relation is not None
            relation.fetchall()
            counted[rows] = server.stats.tokens_in + server.stats.tokens_out
            requests = server.stats.requests
        print(
            f"{rows} rows a prompt: {requests} requests, {server.stats.tokens_in} tokens in, {server.stats.tokens_out} out"
        )
    print(f"tokens at 16 rows a prompt: {counted[16] / counted[1]:.3f} of those at one")
    assert counted[16] <= 0.25 * counted[1]


def test_two_connections_that_ask_at_once_pay_once(tmp_path: Path) -> None:
    """One asks for the rows in turn, the other for the same rows in another order and company."""
    with LoopbackServer(answer=Misbehaving([], 0, 0).answer, latency_s=0.02, jitter=0.9) as server:
        one, two = (connect(server, tmp_path / "s.anser", ROWS, llm_concurrency=4) for _ in "ab")
        got: dict[str, list[Any]] = {}

        def work(con: anserdb.Connection, order: str) -> None:
            call = "LLM_COMPLETE('say', body, batch_rows := 8)"
            relation = con.sql(f"SELECT id, {call} FROM (SELECT * FROM t ORDER BY {order}) ORDER BY id")
            got[order] = [] if relation is None else relation.fetchall()

        threads = [threading.Thread(target=work, args=pair) for pair in ((one, "id"), (two, "hash(id)"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        one.close()
        two.close()
        asked = Counter(text for body in server.stats.bodies for text in items(user_text(body)).values())
        asked.update(user_text(body) for body in server.stats.bodies if not items(user_text(body)))
    assert len(got["id"]) == ROWS
    assert got["id"] == got["hash(id)"]
    assert (len(asked), set(asked.values())) == (ROWS, {1})


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_query_keeps_the_prompts_it_paid_for(tmp_path: Path) -> None:
    store, rows, cap, size = tmp_path / "s.anser", 200, 4, 5
    program = "con.sql(\"SELECT id, LLM_COMPLETE('say', body, batch_rows := 5) AS x FROM t\").fetchall()"
    with LoopbackServer(answer=Misbehaving([], 0, 0).answer, latency_s=0.02, jitter=0.9) as server:
        with child(server, program, store=store, rows=rows, llm_concurrency=cap) as process:
            until(lambda: server.stats.completed >= 15)
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        until(lambda: server.stats.in_flight == 0)
        first = [text for body in server.stats.bodies for text in items(user_text(body)).values()]
        server.stats.bodies.clear()
        with connect(server, store, rows, llm_concurrency=cap) as con:
            relation = con.sql("SELECT id, LLM_COMPLETE('say', body, batch_rows := 5) AS x FROM t ORDER BY id DESC")
            assert relation is not None
            assert len({answer for _, answer in relation.fetchall()}) == rows
        second = [text for body in server.stats.bodies for text in items(user_text(body)).values()]
    assert len(first) == len(set(first))
    assert len(second) == len(set(second))
    assert len(set(first + second)) == rows
    assert len(first) + len(second) <= rows + 2 * cap * size

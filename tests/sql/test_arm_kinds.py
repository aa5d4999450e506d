"""Kinds of arms that ask otherwise: each serves where it is the cheapest that agrees, and does not where it disagrees.

Whole queries against a simulated server with a bill. The dear model's answer is the truth; what the others say is the world.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.udfs.prompts.parts_of_text import LONG_CHARS
from benchmarks.server import LoopbackServer, Profile
from benchmarks.server.answers import scripted_answer
from benchmarks.server.asked import asked_choices, asked_schema, user_text

from .test_arms import chance, rows

LABELS = ("red", "green", "blue")
CLASSIFY = "SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) AS colour FROM t ORDER BY id"
FILTER = "SELECT id FROM t WHERE LLM_FILTER('is rare', body) ORDER BY id"
EXTRACT = (
    "SELECT id, LLM_EXTRACT(body, {kind: 'ENUM(''x'', ''y'', ''z'')', amount: 'INTEGER'}) AS found FROM t ORDER BY id"
)
ROWS = 500
SHORT = "'item number ' || i"
Said = Callable[[dict[str, Any]], Any]


@contextmanager
def world(
    tmp_path: Path, said: Said, cheap: Sequence[str], body: str = SHORT, size: int = ROWS
) -> Iterator[tuple[anserdb.Connection, LoopbackServer]]:
    """A table of ``size`` rows, a dear model, and cheap ones at a twentieth of its price or less."""
    prices = {"dear": 10.0, **{name: 0.5 / (place + 1) for place, name in enumerate(cheap)}}
    profiles = [Profile(name, price_in=usd, price_out=4 * usd) for name, usd in prices.items()]
    with (
        LoopbackServer(*profiles, answer=said) as server,
        anserdb.connect(store=tmp_path / "s.anser", llm_model="dear", llm_concurrency=32) as con,
    ):
        for name, usd in prices.items():
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {usd}, price_out {4 * usd})"
            )
        con.sql(f"CREATE TABLE t AS SELECT i AS id, {body} AS body FROM range({size}) r(i)")
        con.sql("SET llm_min_quality = 0.9; SET llm_profile_rows = 48")
        yield con, server


def explained(con: anserdb.Connection, query: str) -> str:
    (text,) = rows(con, f"EXPLAIN ANALYZE {query}")
    return str(text[-1])


def agreed(one: Sequence[Any], other: Sequence[Any]) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(other)


def asked(server: LoopbackServer, model: str) -> int:
    return sum(body["model"] == model for body in server.stats.bodies)


def is_rare(text: str) -> bool:
    return chance(text, "truth") < 0.3


def colour(text: str) -> str:
    return LABELS[int(chance(text, "truth") * len(LABELS))]


def truth(query: str, size: int) -> list[tuple[Any, ...]]:
    """What the dear model says."""
    texts = enumerate(f"Body: item number {i}" for i in range(size))
    return (
        [(i, colour(text)) for i, text in texts] if query == CLASSIFY else [(i,) for i, text in texts if is_rare(text)]
    )


def labels(beside: Callable[[dict[str, Any], str], int]) -> Said:
    """Classes and yes or no: by how many places an answer is beside the truth is said by the world."""

    def answer(body: dict[str, Any]) -> Any:
        text, choices = user_text(body).rpartition("\n\n")[2], asked_choices(body)
        if choices is None:  # rows that share a prompt, of which these models make nothing
            return scripted_answer(body)
        right = ("Yes" if is_rare(text) else "No") if "Yes" in choices else colour(text)
        said = choices[(choices.index(right) + beside(body, text)) % len(choices)]
        return json.dumps({"reason": "So it is.", "answer": said}) if reasons(body) else sure(said, choices)

    return answer


def reasons(body: dict[str, Any]) -> bool:
    return "reason" in (asked_schema(body) or {}).get("properties", {})


def sure(said: str, choices: Sequence[str]) -> dict[str, float]:
    return {choice: -0.01 if choice == said else -6.0 for choice in choices}


def by_reason(plain: float, reasoned: float) -> Said:
    """The cheap model is right so often without a reason, and so often with one."""

    def beside(body: dict[str, Any], text: str) -> int:
        return int(body["model"] != "dear" and chance(text, "mistake") >= (reasoned if reasons(body) else plain))

    return labels(beside)


def apart(together: bool) -> Said:
    """Two cheap models err in a sixth of the rows each: the same rows and in the same way, or others."""

    def beside(body: dict[str, Any], text: str) -> int:
        model = "one" if together else body["model"]
        errs = body["model"] != "dear" and chance(text, model) < 1 / 6
        return (1 if model == "one" else 2) if errs else 0

    return labels(beside)


@pytest.mark.parametrize("query", [CLASSIFY, FILTER])
def test_a_reason_before_the_answer_serves_where_the_plain_answer_falls_short(query: str, tmp_path: Path) -> None:
    with world(tmp_path, by_reason(0.7, 0.995), ["small"]) as (con, server):
        assert "reasons first" not in str(rows(con, f"EXPLAIN {query}"))  # the plain answer is compared first
        con.sql(f"PROFILE {query}")
        assert "small, reasons first: serves" in (text := explained(con, query)), text
        assert asked(server, "dear") < 0.6 * ROWS
        assert len(set(rows(con, query)) ^ set(truth(query, ROWS))) < 0.04 * ROWS


def test_a_reason_that_helps_nobody_does_not_serve(tmp_path: Path) -> None:
    with world(tmp_path, by_reason(0.7, 0.7), ["small"]) as (con, _):
        con.sql(f"PROFILE {CLASSIFY}")
        assert "small, reasons first:" in (text := explained(con, CLASSIFY))
        assert "small, reasons first: serves" not in text
        assert rows(con, CLASSIFY) == truth(CLASSIFY, ROWS)
        con.sql(f"PROFILE {CLASSIFY}")
        assert "reasons first" not in str(rows(con, f"EXPLAIN {CLASSIFY}"))  # it has been compared


def test_models_that_err_apart_serve_where_they_agree(tmp_path: Path) -> None:
    with world(tmp_path, apart(together=False), ["one", "two"]) as (con, server):
        con.sql(f"PROFILE {CLASSIFY}")
        assert "two and one where they agree, else dear: serves" in (text := explained(con, CLASSIFY)), text
        assert asked(server, "dear") < 0.7 * ROWS
        assert agreed(rows(con, CLASSIFY), truth(CLASSIFY, ROWS)) >= 0.95


def test_models_that_err_alike_do_not_serve_together(tmp_path: Path) -> None:
    with world(tmp_path, apart(together=True), ["one", "two"]) as (con, _):
        con.sql(f"PROFILE {CLASSIFY}")
        assert "where they agree, else dear:" in (text := explained(con, CLASSIFY))
        assert "where they agree, else dear: serves" not in text
        assert rows(con, CLASSIFY) == truth(CLASSIFY, ROWS)


def hidden(words: str) -> Said:
    """Long texts say somewhere in the middle what is asked; a cheap model overlooks it in a long text."""

    def answer(body: dict[str, Any]) -> Any:
        text, choices = user_text(body), asked_choices(body)
        if choices is None:
            return scripted_answer(body)
        found = [c for c in choices if f"{words} {c}" in text]
        overlooked = body["model"] != "dear" and len(text) > LONG_CHARS and chance(text, "overlooked") < 0.4
        said = found[0] if found and not overlooked else choices[int(chance(text, "guess") * len(choices))]
        return sure(said, choices)

    return answer


def story(needle: str) -> str:
    """SQL of a text of some 10,000 characters, with one sentence that matters in the middle."""
    noise = "repeat('The hero ' || i || ' rides on and on through the rain. ', 110)"
    return f"{noise} || 'So {needle} ' || ['red', 'green', 'blue'][1 + i % 3] || ' today. ' || {noise}"


def test_parts_of_long_texts_serve_where_they_hold_what_is_asked(tmp_path: Path) -> None:
    with world(tmp_path, hidden("it is"), ["small"], story("it is"), 240) as (con, server):
        assert "small, long texts cut: serves" in (text := explained(con, CLASSIFY)), text
        assert asked(server, "dear") < 0.75 * 240
        assert agreed(rows(con, CLASSIFY), [(i, LABELS[i % 3]) for i in range(240)]) >= 0.95


def test_parts_that_lack_what_is_asked_do_not_serve(tmp_path: Path) -> None:
    said = labels(lambda body, text: 0)  # the answer depends on every word
    with world(tmp_path, said, [], story("it is"), 240) as (con, _):
        assert "dear, long texts cut:" in (text := explained(con, CLASSIFY))
        assert "long texts cut: serves" not in text


def test_short_texts_are_not_asked_about_twice(tmp_path: Path) -> None:
    with world(tmp_path, by_reason(0.99, 0.99), ["small"]) as (con, server):
        text = explained(con, CLASSIFY)
        lines = [line for line in text.splitlines() if "long texts cut: rows" in line]
        assert len(lines) == 2
        assert all("out: " in line for line in lines)
        questions = [(body["model"], json.dumps(body["messages"])) for body in server.stats.bodies]
        assert len(questions) == len(set(questions))
        assert "long texts cut" not in str(rows(con, f"PROFILE {CLASSIFY}"))
        assert "long texts cut" not in str(rows(con, f"EXPLAIN {CLASSIFY}"))  # texts are known to be short


def extracted(mends: bool) -> Said:
    """The cheap model's draft is wrong in a quarter of the rows; as a critic it sees that, or thinks all is well."""

    def answer(body: dict[str, Any]) -> Any:
        text, fields = user_text(body), (asked_schema(body) or {}).get("properties", {})
        item = text.partition("\nProposed answer:")[0].partition("\nDraft answer:")[0]
        right = {"kind": "xyz"[int(chance(item, "kind") * 3)], "amount": int(chance(item, "amount") * 100)}
        errs = chance(item, "draft") < 0.25
        if "kind" not in fields and "problems" not in fields:  # another wording, or rows that share a prompt
            return scripted_answer(body)
        if "problems" in fields:
            objects = mends and errs
            return json.dumps({"problems": ["The amount is another."] if objects else [], "correct": not objects})
        wrong = body["model"] != "dear" and errs and not (mends and "The amount is another." in text)
        return json.dumps({"kind": "x", "amount": -1} if wrong else right)

    return answer


def test_a_second_look_serves_where_it_mends_the_draft(tmp_path: Path) -> None:
    with world(tmp_path, extracted(mends=True), ["small"]) as (con, server):
        con.sql(f"PROFILE {EXTRACT}")
        assert "small, criticised and refined: serves" in (text := explained(con, EXTRACT)), text
        assert asked(server, "dear") < 0.7 * ROWS
        wrong = [row for row in rows(con, EXTRACT) if row[1]["amount"] < 0]
        assert len(wrong) < 0.05 * ROWS


def test_a_second_look_that_mends_nothing_does_not_serve(tmp_path: Path) -> None:
    with world(tmp_path, extracted(mends=False), ["small"]) as (con, _):
        con.sql(f"PROFILE {EXTRACT}")
        assert "small, criticised and refined:" in (text := explained(con, EXTRACT))
        assert "small, criticised and refined: serves" not in text


def test_every_call_of_a_mixture_is_in_the_records_under_who_answered(tmp_path: Path) -> None:
    with world(tmp_path, apart(together=False), ["one", "two"]) as (con, server):
        con.sql(f"PROFILE {CLASSIFY}")
        rows(con, CLASSIFY)
        known = dict(rows(con, "SELECT model, sum(1 + retries) FROM llm_calls() GROUP BY model"))
        assert known == {name: asked(server, name) for name in ("dear", "one", "two")}
        (usd,) = rows(con, "SELECT sum(cost_usd) FROM llm_calls()")
        assert usd[0] == pytest.approx(float(server.bill.usd))


def test_a_profile_counts_the_reference_where_a_mixture_differs(tmp_path: Path) -> None:
    with world(tmp_path, apart(together=False), ["one", "two"]) as (con, _):
        con.sql(f"PROFILE {CLASSIFY}")
        result = con.sql(f"PROFILE {CLASSIFY}")
        assert result is not None
        usd = {row["arm"]: row["usd_per_row"] for row in result.arrow().to_pylist()}
        mixed = usd["two and one where they agree, else dear"]
        differ = (mixed - usd["one"] - usd["two"]) / usd["dear"]
        assert 1 / 6 < differ < 1 / 2


def test_a_mixture_whose_member_dies_asks_the_reference(tmp_path: Path) -> None:
    said, died = apart(together=False), False

    def dying(body: dict[str, Any]) -> Any:
        return "no label" if died and body["model"] == "two" else said(body)

    with world(tmp_path, dying, ["one", "two"]) as (con, _):
        con.sql(f"PROFILE {CLASSIFY}")
        assert "where they agree" in str(rows(con, f"EXPLAIN {CLASSIFY}"))
        died = True
        assert rows(con, CLASSIFY) == truth(CLASSIFY, ROWS)


def test_nulls_and_repeats_are_as_without_arms(tmp_path: Path) -> None:
    body = "CASE WHEN i % 5 = 0 THEN NULL ELSE 'item number ' || i % 300 END"
    with world(tmp_path, apart(together=False), ["one", "two"], body, 600) as (con, _):
        con.sql(f"PROFILE {CLASSIFY}")
        found = rows(con, CLASSIFY)
        assert [row for row, colour in found if colour is None] == list(range(0, 600, 5))
        colours = {}
        for row, colour in found:
            assert colours.setdefault((row % 300, row % 5 == 0), colour) == colour

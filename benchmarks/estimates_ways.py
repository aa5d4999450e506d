"""Queries whose calls the optimizer finds out as it goes, beside what EXPLAIN says of them: a part of ``make bench-estimates``.

Conditions in the cheapest order, joins in blocks or as classifications, numbers from samples. The server and its judge are SIMULATED
(in this process, a word is a token); what it is asked, and what that costs, are the library's own doing and the server's bill.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anserdb

from .join_judge import judged, keys_said
from .server import LoopbackServer, Profile
from .server.asked import asked_choices, asked_schema, user_text

PRICE_IN, PRICE_OUT = 0.4, 1.6
TOPICS = 0.08
"""Share of documents and topics that belong together."""
SETUP = (
    "CREATE TABLE posts AS SELECT i AS id, i % 3 AS kind, 'post ' || i || repeat(' and so on', (i * 31 % 23)::INTEGER) AS body, "
    "'title ' || i AS title FROM range({posts}) r(i)",
    "CREATE TABLE offers AS SELECT i AS id, 'gadget mark ' || (1000 + i) || ' in grey' AS name FROM range({sides}) r(i)",
    "CREATE TABLE wants AS SELECT i AS id, 'mark ' || (1000 + i) || ' of that gadget' AS wish FROM range({sides}) r(i)",
    "CREATE TABLE topics AS SELECT i AS id, 'topic' || i AS name FROM range(12) r(i)",
    "CREATE TABLE docs AS SELECT i AS id, 'doc' || i || repeat(' word', 30) AS body FROM range({docs}) r(i)",
)
HALVES = ("id % 2 = 0", "id % 2 = 1")
SAMPLED, JOINED = "SET llm_approximate = {}", "SET llm_min_quality = {}"


@dataclass(frozen=True, slots=True)
class Way:
    """A query; {half} in it tells the rows of the first run from those of the second. ``given`` : a setting that it needs."""

    kind: str
    sql: str
    given: str = ""


def asks(share: int, what: str, column: str = "body") -> str:
    """A condition that is TRUE for so many of a hundred rows.

    >>> asks(20, "rude")
    "LLM_FILTER('Is it rude, as 20 in 100 are?', body)"
    """
    return f"LLM_FILTER('Is it {what}, as {share} in 100 are?', {column})"


_FROM = "FROM posts WHERE {half}"
_MATCH = "SELECT a.id, b.id FROM offers a JOIN wants b ON LLM_FILTER('{0} means {1}', a.name, b.wish)"
_ABOUT = "SELECT d.id, l.id FROM docs d JOIN topics l ON LLM_FILTER('document {0} is about {1}', d.body, l.name)"
WAYS = (
    Way("conjunction", f"SELECT id {_FROM} AND {asks(80, 'kind')} AND {asks(15, 'rude')}"),
    Way("conjunction", f"SELECT id {_FROM} AND {asks(60, 'long')} AND {asks(50, 'sad')} AND {asks(20, 'odd')}"),
    Way("conjunction", f"SELECT id {_FROM} AND kind = 1 AND {asks(50, 'old')} AND {asks(40, 'new', 'title')}"),
    Way("condition", f"SELECT id {_FROM} AND ({asks(70, 'funny')} OR {asks(10, 'urgent')})"),
    Way("condition", f"SELECT id {_FROM} AND ({asks(30, 'dull')} OR {asks(40, 'vague')}) AND NOT {asks(25, 'false')}"),
    Way("condition", f"SELECT id, {asks(90, 'fair')} AND {asks(30, 'true')} AS b {_FROM} AND kind = 2"),
    Way(
        "condition",
        f"SELECT id {_FROM} AND ({asks(20, 'loud')} OR ({asks(50, 'plain')} AND {asks(60, 'brief', 'title')}))",
    ),
    Way("join in blocks", f"{_MATCH} WHERE a.{{half}} AND b.{{half}}", JOINED.format(0.6)),
    Way("join in blocks", f"{_MATCH.replace('means', 'is sold as')} WHERE a.{{half}}", JOINED.format(0.6)),
    Way("classification", f"{_ABOUT} WHERE d.{{half}}", JOINED.format(0.8)),
    Way("sample", f"SELECT count(*) {_FROM} AND {asks(50, 'mild')}", SAMPLED.format(0.15)),
    Way("sample", f"SELECT count(*), avg(kind) {_FROM} AND {asks(70, 'wild')}", SAMPLED.format(0.15)),
    Way("sample", f"SELECT kind, count(*) {_FROM} AND {asks(60, 'calm')} GROUP BY kind", SAMPLED.format(0.2)),
    Way("sample", f"SELECT count(*) {_FROM} AND {asks(80, 'clear')} AND {asks(70, 'good')}", SAMPLED.format(0.15)),
)


def said(body: dict[str, Any]) -> Any:
    """The judge's answer: of a row by a hash with the share that the question names, of pairs by their numbers."""
    text, asked = user_text(body), (asked_schema(body) or {}).get("properties", {})
    if "matches" in asked:
        labels, _, own = text.partition("\n\n")
        return json.dumps(
            {"matches": [c for c, label in re.findall(r"^(c\d+): (.*)", labels, re.M) if _same(label, own)]}
        )
    if "pairs" in asked:
        return judged(text, lambda left, right, _: _same(left, right))
    if asked_choices(body) is None:
        return _keys(body)
    item = re.search(r"(?:post|title) \d+", text)
    if item is not None:
        (share,) = re.findall(r"as (\d+) in 100", text)
        return _scores(_chance(text) < int(share) / 100)
    return (
        _scores(judged(text, lambda left, right, _: _same(left, right)) == "Yes")
        if re.search(r"\d", text)
        else _scores(None)
    )


def _keys(body: dict[str, Any]) -> str:
    """Of rows of a join: their numbers."""
    return keys_said(user_text(body), json.dumps(asked_schema(body)), lambda own: re.findall(r"\d{4}", own)) or "{}"


def _scores(yes: bool | None) -> dict[str, float]:
    return (
        {"Yes": -0.7, "No": -0.7} if yes is None else {"Yes": -0.01, "No": -6.0} if yes else {"Yes": -6.0, "No": -0.01}
    )


def _same(left: str, right: str) -> bool:
    document, topic = re.search(r"doc\d+", left + right), re.search(r"topic\d+", left + right)
    if document and topic:
        return _related(document[0], topic[0])
    return re.findall(r"\d{4}", left) == re.findall(r"\d{4}", right)


def _related(document: str, topic: str) -> bool:
    return _chance(f"{document} {topic}") < TOPICS


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48


@contextmanager
def world(posts: int = 1600, sides: int = 160, docs: int = 1200) -> Iterator[tuple[anserdb.Connection, LoopbackServer]]:
    """A connection with its tables, and the server that its model is."""
    profile = Profile("judge", price_in=PRICE_IN, price_out=PRICE_OUT)
    with (
        LoopbackServer(profile, answer=said, keep_bodies=False) as server,
        anserdb.connect(store=":memory:", llm_model="judge", llm_concurrency=64) as con,
    ):
        con.sql(
            f"CREATE MODEL judge USING openai (model 'judge', base_url '{server.base_url}', price_in {PRICE_IN}, "
            f"price_out {PRICE_OUT})"
        )
        for statement in SETUP:
            con.sql(statement.format(posts=posts, sides=sides, docs=docs))
        # Other arms would be tried first.
        con.sql("SET llm_cache = false; SET llm_disabled_rules = 'arms, merged_calls'")
        yield con, server


@contextmanager
def given(con: anserdb.Connection, way: Way) -> Iterator[None]:
    """What a query needs, as long as it is explained and run."""
    if way.given:
        con.sql(way.given)
    try:
        yield
    finally:
        if way.given:
            con.sql(f"RESET {way.given.split()[1]}")

"""``SET llm_online_cascade``: students answer where they have been seen to agree with the call's own model, and nowhere else."""

from __future__ import annotations

import hashlib
import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import BudgetExceeded, ModelError
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Embed, Generate, Request
from anserdb.udfs.models.scripted import Fault, ScriptedModel

KINDS = {
    "bug": ["broken", "crash", "error"],
    "praise": ["lovely", "great", "superb"],
    "question": ["how", "where", "why"],
}
FILLING = [f"word{n}" for n in range(200)]
FILTER = "SELECT i, LLM_FILTER('It is praise', t) AS said FROM texts"
CLASSIFY = "SELECT i, LLM_CLASSIFY(t, ['bug', 'praise', 'question']) AS said FROM texts"
QUALITY = 0.95
ON = f"SET llm_min_quality = {QUALITY}; SET llm_online_cascade = true"
PLAIN = Capabilities(concurrency=32)
"""No embeddings and no probabilities."""


def text(number: int) -> tuple[str, str]:
    """A text that tells its kind by two of its words, and that kind."""
    draw = Random(number)
    kind = draw.choice(list(KINDS))
    return " ".join([*draw.sample(FILLING, 8), *draw.sample(KINDS[kind], 2), f"no{number}"]), kind


def texts(start: int, stop: int) -> pa.Table:
    return pa.table({"i": range(start, stop), "t": [text(number)[0] for number in range(start, stop)]})


def choices_of(request: Request) -> tuple[str, ...]:
    assert isinstance(request, Generate)
    assert isinstance(request.answer, ChoiceAnswer)
    return request.answer.choices


def knows(**more: Any) -> ScriptedModel:
    """A model whose answers follow from words."""

    def answer(request: Request) -> str:
        assert isinstance(request, Generate)
        kind = next((kind for kind in KINDS if any(word in request.user for word in KINDS[kind])), "question")
        yes = "y" if kind == "praise" else "n"
        choices = choices_of(request)
        return kind if kind in choices else next(choice for choice in choices if choice.casefold().startswith(yes))

    return ScriptedModel([("", answer)], capabilities=PLAIN, **more)


def guesses() -> ScriptedModel:
    """A model whose answers follow from nothing that can be learnt."""

    def answer(request: Request) -> str:
        assert isinstance(request, Generate)
        drawn = hashlib.blake2b(request.user.encode(), digest_size=4).digest()
        choices = choices_of(request)
        return choices[int.from_bytes(drawn, "big") % len(choices)]

    return ScriptedModel([("", answer)], capabilities=PLAIN)


@contextmanager
def connected(
    model: ScriptedModel, store: Path | str = ":memory:", *, online: bool = True
) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=store, llm_model="m", llm_embedding_model="m") as con:
        con.register_model("m", model)
        if online:
            con.sql(ON)
        yield con


def asked(model: ScriptedModel) -> int:
    return len(model.calls) - embedded(model)


def embedded(model: ScriptedModel) -> int:
    return sum(isinstance(request, Embed) for request in model.calls)


def said(con: anserdb.Connection, query: str, texts: pa.Table) -> list[Any]:
    assert texts is not None  # the query names it
    result = con.sql(query)
    assert result is not None
    return result.arrow().sort_by("i")["said"].to_pylist()


def explain(con: anserdb.Connection, query: str, texts: pa.Table) -> str:
    assert texts is not None
    return con.explain(query, analyze=True)


@pytest.mark.parametrize("query", [FILTER, CLASSIFY])
def test_what_can_be_learnt_is_answered_by_students(query: str) -> None:
    model, table = knows(), texts(0, 1200)
    right = [kind == "praise" if query == FILTER else kind for kind in (text(number)[1] for number in range(1200))]
    with connected(model) as con:
        given = said(con, query, table)
        agreed = sum(a == b for a, b in zip(given, right, strict=True)) / len(right)
        assert agreed >= QUALITY
        assert asked(model) < 0.6 * len(right)
        explained = explain(con, query, table)
    assert "agreement with m" in explained
    assert "student of words: was sure of" in explained


def test_a_small_model_that_is_not_there_is_asked_no_more(unused_tcp_port: int) -> None:
    made = texts(0, 600)
    assert made.num_rows == 600
    with connected(knows()) as con:
        con.sql("CREATE TABLE texts AS FROM made")
        con.sql(
            f"CREATE MODEL gone USING openai (model 'x', base_url 'http://127.0.0.1:{unused_tcp_port}/v1', price_in 0, price_out 0); "
            "SET llm_candidate_models = 'gone'; SET llm_max_retries = 0"
        )
        result = con.sql(FILTER)
        assert result is not None
        assert None not in result.arrow()["said"].to_pylist()
        assert len([notice for notice in result.notices if "gone does not answer" in notice]) == 1


def test_vectors_are_read_only_where_the_user_wants_them() -> None:
    table = texts(0, 300)
    vectors = ScriptedModel(name="e")
    with connected(knows()) as con:
        con.register_model("e", vectors)
        con.sql("SET llm_embedding_model = 'e'")
        assert "student of embeddings" not in explain(con, FILTER, table)
        assert not embedded(vectors)
        con.sql("SET llm_online_embeddings = true")
        assert "student of embeddings" in explain(con, CLASSIFY, table)
    assert embedded(vectors) == 300


def test_what_cannot_be_learnt_is_asked() -> None:
    model, plain, table = guesses(), guesses(), texts(0, 1500)
    with connected(plain, online=False) as con:
        right = said(con, FILTER, table)
    with connected(model) as con:
        given = said(con, FILTER, table)
    assert sum(a == b for a, b in zip(given, right, strict=True)) >= QUALITY * len(right)
    assert asked(model) > 0.9 * asked(plain)


@settings(max_examples=4)
@given(
    numbers=st.lists(st.none() | st.integers(0, 30), max_size=40),
    more=st.sampled_from(["", " WHERE i % 2 = 0", " WHERE LLM_FILTER('It is a bug', t)", " LIMIT 3"]),
    learns=st.booleans(),
)
def test_few_rows_are_answered_as_without(numbers: list[int | None], more: str, learns: bool) -> None:
    table = pa.table(
        {
            "i": pa.array(range(len(numbers)), pa.int64()),
            "t": pa.array([None if number is None else text(number)[0] for number in numbers], pa.string()),
        }
    )
    found = []
    for online in (False, True):
        model = knows() if learns else guesses()
        with connected(model, online=online) as con:
            found.append((said(con, FILTER + more, table), asked(model)))
    assert found[0][0] == found[1][0]
    assert found[1][1] == found[0][1] or "LIMIT" in more


def test_answers_in_the_store_are_taken_and_a_rerun_asks_nothing() -> None:
    model, table = knows(), texts(0, 500)
    with connected(model, online=False) as con:
        plain = said(con, FILTER, table)
        paid = asked(model)
        con.sql(ON)
        assert said(con, FILTER, table) == plain
        assert said(con, FILTER, table) == plain
    assert asked(model) == paid


def test_what_was_learnt_is_there_for_other_rows_and_connections(tmp_path: Path) -> None:
    calls = []
    for first in (0, 2000, 4000):
        model = knows()
        with connected(model, tmp_path / "s.anser") as con:
            said(con, FILTER, texts(first, first + 600))
        calls.append(asked(model))
    assert calls[1] < 0.6 * calls[0]
    assert calls[2] < 0.5 * calls[0]


def test_a_stream_goes_on_with_what_was_learnt() -> None:
    model, calls = knows(), []
    source = (texts(start, start + 250) for start in itertools.count(0, 250))
    with connected(model) as con:
        stream = con.stream(FILTER, source, name="texts", rows=250)
        seen = 0
        for batch in stream:
            seen += batch.num_rows
            if seen % 250 == 0:
                calls.append(asked(model))
            if seen == 2000:
                break
        stream.close()
        assert con.sql("SELECT 1").fetchall() == [(1,)]
    assert calls[7] - calls[3] < 0.6 * calls[3]


def test_a_row_that_fails_is_null_and_teaches_nothing() -> None:
    broken = {text(number)[0] for number in range(0, 900, 9)}
    fault = Fault(lambda asked: any(text in asked for text in broken), ModelError("no", "m"), times=1000)
    model = knows(faults=[fault])
    with connected(model) as con:
        con.sql("SET llm_max_retries = 0")
        given = said(con, FILTER, texts(0, 900))
        failed = [number for number in range(900) if given[number] is None]
        assert set(failed) <= set(range(0, 900, 9))
        assert len(failed) > 10
        assert con.sql("SELECT count(*) FROM llm_errors()").fetchall() == [(len(failed),)]


def test_a_cap_on_calls_ends_the_query() -> None:
    model = knows()
    with connected(model) as con:
        con.sql("SET llm_max_calls = 100")
        with pytest.raises(BudgetExceeded):
            said(con, FILTER, texts(0, 1000))
        con.sql("RESET llm_max_calls")
        assert len(said(con, FILTER, texts(0, 1000))) == 1000


def test_closing_early_leaves_nothing_behind() -> None:
    model, rows = knows(), texts(0, 1500)
    with connected(model) as con:
        assert rows is not None
        result = con.sql(FILTER.replace("texts", "rows"))
        assert result is not None
        batches = result.batches()
        next(batches)
        batches.close()
        assert model.in_flight == 0
        assert asked(model) < 1000
        assert len(said(con, FILTER, rows)) == 1500


def test_a_small_model_answers_what_students_cannot() -> None:
    model, small = guesses(), guesses()
    with connected(model) as con:
        con.register_model("cheap", small)
        con.sql("SET llm_candidate_models = 'cheap'")
        plan = con.explain(FILTER.replace("texts", "(SELECT 1 AS i, 'x' AS t)"))
        assert "cheap" in plan
        given = said(con, FILTER, texts(0, 1500))
    with connected(plain := guesses(), online=False) as con:
        right = said(con, FILTER, texts(0, 1500))
    assert sum(a == b for a, b in zip(given, right, strict=True)) >= QUALITY * len(right)
    assert asked(model) < 0.7 * asked(plain)


def test_ctrl_c_keeps_what_was_learnt() -> None:
    table, stop = texts(0, 1500), 200

    async def interrupting(request: Request) -> None:
        del request
        if len(model.calls) == stop:
            signal.raise_signal(signal.SIGINT)

    model = knows(delay=interrupting)
    with connected(model) as con:
        with pytest.raises(KeyboardInterrupt):
            said(con, FILTER, table)
        assert model.in_flight == 0
        assert con._session is not None
        assert con._session.store.fetch("SELECT met FROM students")[0][0] > 100
        assert len(said(con, FILTER, table)) == 1500

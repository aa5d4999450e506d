"""Labels say who is good enough, and nothing else: whatever they say, a row has what a model said of it, or NULL where the call's own
model failed; and where answers may not change, the rows and the calls are those of the query without labels."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anserdb
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel

ROWS = 90
LABELS = ("red", "green", "blue")
MODEL = ", model := 'other'"
CALLS = ("LLM_CLASSIFY(body, ['red', 'green', 'blue']{})", "LLM_FILTER('is odd', body{})")


def drawn(*words: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=4).digest(), "big")


def answered(model: str, wrong: int, spoilt: int, request: Request) -> str:
    """What all models say, in so many of a hundred texts something else; of the own model, some answers cannot be used."""
    assert isinstance(request, Generate)
    if not isinstance(request.answer, ChoiceAnswer):  # several rows in a prompt: each is then asked about alone
        return "no answer"
    choices, text = request.answer.choices, request.user
    if drawn(text, model, "spoilt") % 100 < spoilt:
        return "no answer"
    other = drawn(text, model, "wrong") % 100 < wrong
    return choices[(drawn(text) + other) % len(choices)]


def connect(wrong: int, spoilt: int) -> tuple[anserdb.Connection, dict[str, ScriptedModel]]:
    made = {
        name: ScriptedModel([("", partial(answered, name, off, bad))], capabilities=Capabilities(), name=name)
        for name, off, bad in (("own", 20, spoilt), ("other", wrong, 0))
    }
    con = anserdb.connect(store=":memory:", llm_model="own")
    for name, model in made.items():
        con.register_model(name, model)
    con.sql("SET llm_candidate_models = 'other'; SET llm_cache = false; SET llm_max_error_ratio = 1")
    con.sql("SET llm_disabled_rules = 'prefix_order'")
    con.sql(f"CREATE TABLE t AS SELECT i AS id, nullif('text ' || (i % 80), 'text 7') AS body FROM range({ROWS}) r(i)")
    return con, made


def said(con: anserdb.Connection, query: str) -> list[tuple[object, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def query(call: str, options: str = "") -> str:
    return f"SELECT id, {call.format(options)} AS answer FROM t ORDER BY id"


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=6)
@given(
    wrong=st.sampled_from([0, 5, 60]),
    spoilt=st.sampled_from([0, 10]),
    share=st.integers(0, 10),
    quality=st.sampled_from(["NULL", "0.5", "0.8"]),
)
def test_labels_choose_and_never_answer(call: str, wrong: int, spoilt: int, share: int, quality: str) -> None:
    con, models = connect(wrong, spoilt)
    with con:
        own = said(con, query(call))
        calls = len(models["own"].calls)
        con.sql(f"CREATE TABLE other AS {query(call, MODEL)}")
        # Right answers are the other model's; or, of few rows, nobody's.
        label = "answer" if share or "FILTER" in call else "'mauve'"
        labelled = f"SELECT DISTINCT body, {label} AS label FROM other JOIN t USING (id) WHERE id % 10 <= {share}"
        con.sql(f"CREATE TABLE gold AS {labelled}")
        other = said(con, "SELECT id, answer FROM other ORDER BY id")
        con.sql(f"SET llm_min_quality = {quality}")
        before = [len(model.calls) for model in models.values()]
        found = said(con, query(call, ", labels := 'gold'"))
        asked = [len(model.calls) - calls_before for model, calls_before in zip(models.values(), before, strict=True)]
    if quality == "NULL":
        assert (found, asked) == (own, [calls, 0])
    for mine, theirs, answer in zip(own, other, found, strict=True):
        assert answer in (mine, theirs)

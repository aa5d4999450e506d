"""LLM_SPLIT: parts are the text's own words, in its order, from every piece of it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import BindError, InvalidAnswer
from anserdb.udfs.models.base import Generate, JsonAnswer, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.prompts.folding import CHUNK_CHARACTERS
from anserdb.udfs.prompts.spans import consecutive
from tests.support.asking import Asking
from tests.support.function_call import DYNAMIC, Asker, bound, task

LETTER = "The kettle broke.\nIt   was new! Send another."


def parts(*texts: str) -> str:
    return json.dumps({"parts": texts})


def split(unit: Any = "sentences", source: Any = DYNAMIC, **options: Any) -> Any:
    return task("LLM_SPLIT", bound(source, unit, texts=("t.body", "…"), **options))


async def test_parts_are_the_words_of_the_text_whatever_white_space_and_case_the_model_gives() -> None:
    call, kind = split()
    ask = Asker(("", parts("the kettle broke.", "It was new!", " ", "Send another.")))
    assert await call.run([LETTER], ask) == [
        {"part": "The kettle broke.", "ordinal": 1},
        {"part": "It   was new!", "ordinal": 2},
        {"part": "Send another.", "ordinal": 3},
    ]
    assert kind.text == "STRUCT(part VARCHAR, ordinal BIGINT)[]"
    (request,) = ask.generated
    assert isinstance(request.answer, JsonAnswer)
    assert "Split the input into sentences." in request.system
    assert "The kettle" not in request.system


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (parts("The kettle is broken."), "'The kettle is broken.', which does not stand in the text"),
        (parts("It was new!", "The kettle broke."), "'The kettle broke.'.*not after the one before"),
        (parts("The kettle", "kettle broke."), "'kettle broke.'.*not after the one before"),
        (parts("Send another.", "Send another."), "'Send another.'.*not after the one before"),
        ("The kettle broke.", "no list of parts"),
        ('{"parts": "The kettle"}', "no list of parts"),
        ('{"parts": [1]}', "no list of parts"),
        ("[]", "no list of parts"),
    ],
)
async def test_other_answers_are_refused(reply: str, message: str) -> None:
    with pytest.raises(InvalidAnswer, match=message):
        await split()[0].run([LETTER], Asker(("", reply)))


async def test_blank_and_null_texts_are_not_asked() -> None:
    ask = Asker(("", parts("x")))
    assert await split()[0].run([" \n"], ask) == []
    assert await split(source=None)[0].run([], ask) is None
    assert await split(source="x")[0].run([], ask) == [{"part": "x", "ordinal": 1}]
    assert len(ask.generated) == 1
    assert await split()[0].run(["Nothing of the kind."], Asker(("", parts()))) == []


async def test_a_long_text_is_split_piece_by_piece_in_order() -> None:
    words = [f"word{number}" for number in range(2_000)]

    def every_word(request: Generate) -> Reply:
        return Reply(parts(*request.user.removeprefix("Body: ").split()))

    ask = Asking(every_word)
    found = await split("words")[0].run([" ".join(words)], ask)
    assert found == [{"part": word, "ordinal": number} for number, word in enumerate(words, 1)]
    assert len(ask.asked) > 1
    assert all(len(request.user) < CHUNK_CHARACTERS + 10 for request in ask.asked)
    assert list(split("words")[0].requests([" ".join(words)])) == ask.asked


@given(st.text(alphabet="ab .<[|\n", max_size=40), st.lists(st.integers(0, 40), max_size=8))
def test_cut_anywhere_the_parts_are_found_where_they_were(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [piece for lo, hi in pairwise(edges) if (piece := text[lo:hi].strip())]
    found = consecutive(text, [" ".join(piece.split()) for piece in pieces])
    assert not isinstance(found, str)
    assert [text[lo:hi].lower().split() for lo, hi in found] == [piece.lower().split() for piece in pieces]
    assert all(before[1] <= after[0] for before, after in pairwise(found))


async def test_words_that_a_prompt_breaks_up_are_found_whole() -> None:
    call, _ = split()
    (request,) = call.requests(["a <|im_end|> b"])
    shown = request.user.removeprefix("Body: ")
    assert shown == "a < |im_end|> b"
    assert await call.run(["a <|im_end|> b"], Asker(("", parts(shown)))) == [{"part": "a <|im_end|> b", "ordinal": 1}]


@pytest.mark.parametrize("unit", ["", "  ", 7, DYNAMIC])
def test_the_unit_is_text(unit: Any) -> None:
    with pytest.raises(ValueError, match="LLM_SPLIT needs to know into what"):
        split(unit)


def test_an_example_is_a_list_of_parts() -> None:
    call, _ = split()
    assert call.example_answer(["a", "b"]) == '{"parts": ["a", "b"]}'
    with pytest.raises(ValueError, match="must be a list of texts"):
        call.example_answer("a")


def connected(model: ScriptedModel, **settings: Any) -> anserdb.Connection:
    made = anserdb.connect(store=":memory:", llm_model="m", **settings)
    made.register_model("m", model)
    made.sql(
        "CREATE TABLE d AS SELECT * FROM (VALUES (1, 'a b'), (2, NULL), (3, 'boom'), (4, ''), (5, 'c')) AS t(id, body)"
    )
    return made


def words(request: Request) -> str:
    assert isinstance(request, Generate)
    text = request.user.removeprefix("Body: ")
    return "no JSON" if text == "boom" else parts(*text.split())


def test_a_failed_row_has_no_parts_a_line_in_the_ledger_and_a_notice() -> None:
    with connected(ScriptedModel([("", words)])) as connection:
        result = connection.sql("SELECT id, part FROM d, LLM_SPLIT(body, 'words') ORDER BY ALL")
        assert result is not None
        assert result.fetchall() == [(1, "a"), (1, "b"), (5, "c")]
        assert result.notices == ["1 row failed in 1:LLM_SPLIT and is NULL: see llm_errors()"]
        errors = connection.sql("SELECT function, input_preview FROM llm_errors()")
        assert errors is not None
        assert errors.fetchall() == [("LLM_SPLIT", "boom")]
        kept = connection.sql("SELECT id, part FROM d LEFT JOIN LATERAL LLM_SPLIT(body, 'words') ON true ORDER BY ALL")
        assert kept is not None
        assert kept.fetchall() == [(1, "a"), (1, "b"), (2, None), (3, None), (4, None), (5, "c")]
        with pytest.raises(InvalidAnswer, match="LLM_SPLIT failed on input 'boom'"):
            failing = connection.sql("SELECT id, part FROM d, LLM_SPLIT(body, 'words', on_error := 'fail')")
            assert failing is not None
            failing.fetchall()


def test_details_are_for_values_not_for_rows() -> None:
    with connected(ScriptedModel([("", words)]), llm_on_error="details") as connection:
        with pytest.raises(BindError, match="on_error must be 'null' or 'fail' here"):
            connection.sql("SELECT id, part FROM d, LLM_SPLIT(body, 'words')")
        result = connection.sql(
            "SELECT LLM_SPLIT(body, 'words').error IS NULL AS fine FROM d WHERE id IN (1, 3) ORDER BY id"
        )
        assert result is not None
        assert result.fetchall() == [(True,), (False,)]

"""LLM_SPLIT: parts are the text's own words, in its order, from every piece of it."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import BindError, InvalidAnswer
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Generate, JsonAnswer, Reply, Request
from anserdb.udfs.models.hearing import listener
from anserdb.udfs.models.scripted import HEARD_CHARACTERS, ScriptedModel
from anserdb.udfs.prompts.folding import CHUNK_CHARACTERS
from anserdb.udfs.prompts.spans import consecutive
from anserdb.udfs.spec import Streams, with_additions
from tests.support.asking import Asking
from tests.support.function_call import DYNAMIC, Asker, bound, task

LETTER = "The kettle broke.\nIt   was new! Send another."


def parts(*texts: str) -> str:
    return json.dumps({"parts": texts})


def model_ask(model: ScriptedModel) -> Any:
    """An ``Ask`` of this very model."""
    ask = Asker()
    ask.model = model
    return ask


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


async def test_parts_are_emitted_while_the_model_writes_on() -> None:
    said: list[str] = []

    async def pace(before: str) -> None:
        said.append(before)

    emitted: list[tuple[int, list[dict[str, Any]]]] = []
    answer = parts("the kettle broke.", " ", "it was new!", "Send another.")
    model = ScriptedModel([("", answer)], pace=pace)
    result = await split()[0].stream([LETTER], model_ask(model), lambda items: emitted.append((len(said), [*items])))
    assert result == await split()[0].run([LETTER], Asker(("", answer)))
    assert [found for _, found in emitted] == [result[:1], result[:2], result[:3]]
    ends = [answer.index(words) + len(words) for words in ('broke."', 'new!"', 'another."')]
    assert [at for at, _ in emitted] == [-(-end // HEARD_CHARACTERS) for end in ends]  # with the piece that ends it


async def test_nothing_is_emitted_that_the_whole_answer_would_not_hold() -> None:
    emitted: list[Any] = []
    answer = parts("The kettle", "broke.", "kettle", "It was new!")
    with pytest.raises(InvalidAnswer, match="'kettle'"):
        await split()[0].stream([LETTER], Asker(("", answer)), emitted.append)
    assert [item["part"] for item in emitted[-1]] == ["The kettle", "broke."]
    emitted.clear()
    with pytest.raises(InvalidAnswer, match="no list of parts"):
        await split()[0].stream([LETTER], Asker(("", '{"parts": ["The kettle", 7, "broke."]}')), emitted.append)
    assert [[item["part"] for item in found] for found in emitted] == [["The kettle"]]


async def test_parts_of_a_later_piece_are_emitted_when_the_pieces_before_it_are_known() -> None:
    text = " ".join(f"word{number}" for number in range(1_000))
    first_may_go, emitted = asyncio.Event(), list[Any]()

    def every_word(request: Request) -> str:
        assert isinstance(request, Generate)
        return parts(*request.user.removeprefix("Body: ").split())

    async def delay(request: Request) -> None:
        if isinstance(request, Generate) and "word1 " in request.user:
            await first_may_go.wait()

    model = ScriptedModel([("", every_word)], delay=delay)
    call = asyncio.create_task(split("words")[0].stream([text], model_ask(model), emitted.append))
    while len(model.calls) < 2 or model.in_flight > 1:
        await asyncio.sleep(0)
    assert not emitted
    first_may_go.set()
    result = await call
    assert all(found == result[: len(found)] for found in emitted)
    assert len(emitted) > 100


async def test_blank_and_null_texts_emit_nothing() -> None:
    assert await split()[0].stream([" "], Asker(("", parts("x"))), pytest.fail) == []
    assert await split(source=None)[0].stream([], Asker(("", parts("x"))), pytest.fail) is None
    assert await split()[0].stream(["Nothing."], Asker(("", parts())), pytest.fail) == []


async def test_additions_are_streamed_with() -> None:
    function = with_additions(functions()["LLM_SPLIT"])
    call = function.lower(bound(DYNAMIC, "words", texts=("t.body", "…"), seed=7), Capabilities())
    emitted: list[Any] = []
    ask = Asker(("", parts("a", "b")))
    assert isinstance(call, Streams)
    assert await call.stream(["a b"], ask, emitted.append) == emitted[-1]
    assert ask.generated[0].seed == 7
    other = with_additions(functions()["LLM_COMPLETE"])
    assert not isinstance(other.lower(bound("Say it.", seed=7), Capabilities()), Streams)


@given(st.lists(st.sampled_from(["a", "B", "ab", " ", "c", "b a"]), max_size=6), st.integers(1, 9))
async def test_whatever_is_emitted_begins_the_result(found: list[str], size: int) -> None:
    text, emitted = "a b ab\n b a c", list[Any]()

    async def ask(_: Request, parse: Any) -> Any:
        heard = listener()
        assert heard is not None
        answer = parts(*found)
        heard.begin()
        for start in range(0, len(answer), size):
            heard.text(answer[start : start + size])
        return parse(Reply(answer))

    try:
        result = await split()[0].stream([text], ask, emitted.append)
    except InvalidAnswer:
        return
    assert all(items == result[: len(items)] for items in emitted)
    assert [len(items) for items in emitted] == sorted({len(items) for items in emitted})
    assert not result or emitted[-1] == result


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

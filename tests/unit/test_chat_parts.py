"""The pieces of the chat protocol that need no server."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.errors import InvalidAnswer, ModelError, ModelUnavailable, RateLimited
from anserdb.udfs.models.base import ChoiceAnswer, Generate, Usage
from anserdb.udfs.models.chat_format import Dialect
from anserdb.udfs.models.choices import choice_scores, match_choice
from anserdb.udfs.models.http_errors import Endpoint, Refusal, read_refusal, redact, refused, retry_after
from anserdb.udfs.models.json_answer import read_json, server_schema
from anserdb.udfs.models.unavailable import retry_after_of


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes", "Yes"),
        (" yes.\n", "Yes"),
        ('"yes"', "Yes"),
        ('{"answer": "NO"}', "No"),
        ("**No**", "No"),
        ('{"value": "Not sure"}', "Not sure"),
    ],
)
def test_choices_are_matched_tolerantly(answer: str, expected: str) -> None:
    assert match_choice(answer, ("Yes", "No", "Not sure")) == expected


@pytest.mark.parametrize("answer", ["", "maybe", "Yes and No", "Yes, because", "{}", "null", "1"])
def test_what_names_no_choice_is_invalid(answer: str) -> None:
    with pytest.raises(InvalidAnswer):
        match_choice(answer, ("Yes", "No"))


def test_a_match_that_is_not_unique_is_invalid_unless_exact() -> None:
    assert match_choice("a", ("a", "A")) == "a"
    with pytest.raises(InvalidAnswer):
        match_choice("a.", ("a", "A"))


def test_boolean_json_names_true_and_false() -> None:
    assert match_choice('{"answer": true}', ("true", "false")) == "true"


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True), st.data())
@settings(deadline=None)
def test_every_choice_names_itself_also_in_json(choices: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(choices))
    assert match_choice(chosen, choices) == chosen
    assert match_choice(json.dumps({"answer": chosen}), choices) == chosen


def tokens(*parts: tuple[str, dict[str, float]]) -> list[dict[str, Any]]:
    return [
        {"token": word, "top_logprobs": [{"token": name, "logprob": value} for name, value in tops.items()]}
        for word, tops in parts
    ]


def test_spellings_of_one_choice_add_up() -> None:
    found = choice_scores(tokens(("Yes", {"Yes": -1.0, " yes": -1.0, "No": -2.0, "The": -5.0})), ("Yes", "No"))
    assert found == pytest.approx({"Yes": -1.0 + 0.6931, "No": -2.0}, abs=1e-4)


def test_a_choice_not_listed_gets_the_lowest_listed_figure() -> None:
    assert choice_scores(tokens(("Yes", {"Yes": -0.01, "The": -9.0})), ("Yes", "No")) == {"Yes": -0.01, "No": -9.0}


def test_a_longer_token_that_holds_the_whole_choice_counts() -> None:
    assert choice_scores(tokens(('Yes"', {'Yes"': -0.1, 'No"': -2.0})), ("Yes", "No")) == {"Yes": -0.1, "No": -2.0}


@pytest.mark.parametrize(
    "parts",
    [
        (("pos", {"pos": -0.1, "neg": -2.0}),),  # begins two choices
        (("The", {"The": -0.1, "A": -2.0}),),  # begins none
        ((" ", {}),),
        (),
    ],
)
def test_scores_that_would_mean_nothing_are_not_given(parts: tuple[tuple[str, dict[str, float]], ...]) -> None:
    assert choice_scores(tokens(*parts), ("positive", "possible", "negative")) is None


def test_scores_are_found_behind_json_also_when_the_quote_is_in_the_token() -> None:
    plain = tokens(("{", {}), ('"answer": "', {}), ("Yes", {"Yes": -0.2, "No": -1.5}), ('"}', {}))
    merged = tokens(('{"answer":', {}), (' "Yes', {' "Yes': -0.2, ' "No': -1.5, " null": -7.0}), ('"}', {}))
    assert choice_scores(plain, ("Yes", "No")) == choice_scores(merged, ("Yes", "No")) == {"Yes": -0.2, "No": -1.5}


def test_a_code_fence_before_the_json_is_skipped() -> None:
    fence = [("```", {"```": -0.1}), ("json\n", {"json\n": -0.1}), ('{\n "answer" : "', {})]
    assert choice_scores(tokens(*fence, ("No", {"Yes": -2.0, "No": -0.3}), ('"}', {})), ("Yes", "No")) is not None


def test_leading_blanks_are_skipped() -> None:
    assert choice_scores(tokens(("\n", {"\n": -0.1}), ("Yes", {"Yes": -0.2, "No": -1.5})), ("Yes", "No")) is not None


def test_schemas_are_closed_for_strict_servers_and_only_strict_where_everything_is_required() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    sent = server_schema(json.dumps({"type": "array", "items": inner}))
    assert sent.wrapped
    assert sent.strict
    assert sent.schema["properties"]["value"]["items"]["additionalProperties"] is False
    loose = {**inner, "required": []}
    assert not server_schema(json.dumps(loose)).strict
    free = server_schema('{"type": "object", "additionalProperties": {"type": "integer"}}')
    assert (free.wrapped, free.strict) == (False, False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
@settings(deadline=None)
def test_values_survive_the_wrapper(value: Any) -> None:
    assert json.loads(read_json(json.dumps({"value": value}), wrapped=True)) == value


def test_text_around_json_is_invalid_and_quoted_shortly() -> None:
    with pytest.raises(InvalidAnswer) as caught:
        read_json("Sure! " + "x" * 1000, wrapped=False)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "-4"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After-Ms": "nan"}, None),
        ({"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date() -> None:
    seconds = retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    assert seconds is not None
    assert 3500 < seconds <= 3600


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "no", "code": "c"}}',
        b'{"error": "no"}',
        b'{"message": "no"}',
        b"no",
        b'{"detail": "no"}',
    ],
)
def test_refusals_are_read_in_any_shape(body: bytes) -> None:
    assert "no" in read_refusal(400, {}, body).text


def test_redaction_knows_the_key_and_the_usual_shapes() -> None:
    words = redact("a sk-live-12345678 b hf_abcdefgh c Bearer zzz d hunter2", "hunter2")
    assert words == "a [key hidden] b [key hidden] c [key hidden] d [key hidden]"


def test_a_dialect_steps_down_once_per_lesson_and_then_gives_up() -> None:
    dialect = Dialect("m", "structured_outputs")
    no = Refusal(400, "response_format is not supported")
    assert [dialect.learn(no) for _ in range(3)] == [True, True, True]
    assert dialect.form == "none"
    assert not dialect.learn(no)
    assert not Dialect("m").learn(Refusal(500, "response_format"))
    assert not Dialect("m").learn(Refusal(400, "context length exceeded by your max_tokens"))


def test_a_re_ask_varies_the_seed() -> None:
    def seed(request: Generate) -> object:
        return Dialect("m").chat(request).get("seed")

    assert seed(Generate("", "x")) is None
    assert seed(Generate("", "x", seed=5)) == 5
    assert seed(Generate("", "x", seed=5, attempt=2)) == 7


@pytest.mark.parametrize("reply", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}])
def test_a_reply_without_an_answer_is_invalid(reply: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer, match="holds no answer"):
        Dialect("m").read(Generate("", "x", ChoiceAnswer(("a",))), reply, 0.0)


def test_the_json_around_a_choice_does_not_eat_the_caller_s_tokens() -> None:
    request = Generate("", "x", ChoiceAnswer(("yes", "no")), max_tokens=4)
    assert Dialect("m", "json_schema").chat(request)["max_tokens"] > 40
    assert Dialect("m", "structured_outputs").chat(request)["max_tokens"] == 4


def test_an_answer_that_was_cut_behind_its_end_is_whole() -> None:
    def read(content: str) -> str:
        reply = {"choices": [{"message": {"content": content}, "finish_reason": "length"}]}
        return Dialect("m").read(Generate("", "x", ChoiceAnswer(("yes", "no"))), reply, 0.0).text

    assert read('{"answer": "yes"}\n\n') == "yes"
    with pytest.raises(InvalidAnswer, match="raise max_tokens"):
        read("yes")  # it may have become "yes and no"


@pytest.mark.parametrize(
    "usage", [None, [3], "none", {"prompt_tokens": "5", "completion_tokens": None}, {"prompt_tokens": -5}]
)
def test_counts_that_are_none_are_unknown(usage: Any) -> None:
    reply = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    assert Dialect("m").read(Generate("", "x"), reply, 0.0).usage == Usage()


def test_an_answer_in_parts_is_put_together() -> None:
    def read(content: object) -> str:
        return Dialect("m").read(Generate("", "x"), {"choices": [{"message": {"content": content}}]}, 0.0).text

    assert read([{"type": "text", "text": "a"}, {"type": "refusal"}, {"type": "text", "text": "b"}]) == "ab"
    for content in ([{"type": "text"}], {"text": "a"}, 5, [3]):
        with pytest.raises(InvalidAnswer, match="holds no answer"):
            read(content)


@pytest.mark.parametrize("status", [502, 503, 504, 529])
@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_a_server_that_cannot_answer_may_say_until_when(status: int, form: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    headers = {
        "seconds": {"Retry-After": "90"},
        "milliseconds": {"retry-after-ms": "90000"},
        "date": {"Retry-After": date},
    }
    error = refused(read_refusal(status, headers[form], b"{}"), Endpoint("m", "m", "http://127.0.0.1/v1", "KEY"))
    assert isinstance(error, ModelUnavailable)
    assert retry_after_of(error) == pytest.approx(90, abs=30)
    assert retry_after_of(copy.copy(error)) == retry_after_of(error)  # of a call that was not sent: its circuit is open


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (503, ModelUnavailable)])
def test_a_server_that_wants_long_silence_ends_the_query(status: int, kind: type[ModelError]) -> None:
    where = Endpoint("m", "m", "http://127.0.0.1/v1", "KEY")
    soon, late = (refused(Refusal(status, "", retry_after_s=seconds), where) for seconds in (120.0, 3600.0))
    assert isinstance(late, kind)
    assert (soon.hopeless, late.hopeless) == (False, True)
    assert "3,600 s" in str(late)


def test_cached_tokens_are_read() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    reply = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    assert Dialect("m").read(Generate("", "x"), reply, 0.0).usage.tokens_cached == 8

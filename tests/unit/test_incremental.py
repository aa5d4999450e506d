"""The items of a list are known one by one, whatever the list holds and however its answer comes cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.types import read_json
from anserdb.udfs.prompts.incremental import ListItems

SIGNS = st.text(alphabet='ab"\\{}[],: \n\u00e9\U0001f600', max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers(-99, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | SIGNS
)
VALUES = st.recursive(
    SCALARS, lambda child: st.lists(child, max_size=3) | st.dictionaries(SIGNS, child, max_size=3), max_leaves=6
)
CUTS = st.lists(st.integers(0, 300), max_size=30)
AROUND = st.sampled_from(
    [
        ("", ""),
        ("\n ", "\n"),
        ("Here you are:\n", "\nThat is all."),
        ("```json\n", "\n```"),
        ('<think>{"parts": ["no"]} or rather</think>\n', ""),
        ("<b>", "</b>"),
    ]
)


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(at for at in cuts if at < len(text))})
    return [text[lo:hi] for lo, hi in pairwise(edges)]


def heard(pieces: list[str]) -> list[Any]:
    items = ListItems("parts")
    return [item for piece in pieces for item in items.feed(piece)]


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Any], str]:
    """A list of values, and an answer with it: other members before and after, any layout, words around it."""
    values = draw(st.lists(VALUES, max_size=5))
    members = [(name, draw(VALUES)) for name in draw(st.lists(SIGNS, max_size=2, unique=True))]
    members.insert(draw(st.integers(0, len(members))), ("parts", values))
    layout: dict[str, Any] = draw(
        st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"separators": (" ,\n", " : ")}])
    )
    before, after = draw(AROUND)
    return values, before + json.dumps(dict(members), ensure_ascii=draw(st.booleans()), **layout) + after


@given(answers(), CUTS)
def test_the_items_are_those_of_the_whole_answer(answer: tuple[list[Any], str], cuts: list[int]) -> None:
    values, text = answer
    whole = read_json(text)["parts"]
    assert json.loads(json.dumps(whole, default=float)) == values  # the answer is well-formed
    assert heard(cut(text, cuts)) == heard(list(text)) == whole


@given(answers(), st.integers(0, 300))
def test_of_an_answer_that_breaks_off_the_items_are_the_first_of_the_whole(
    answer: tuple[list[Any], str], end: int
) -> None:
    _, text = answer
    whole = read_json(text)["parts"]
    found = heard([text[:end]])
    assert found == whole[: len(found)]


@given(answers(), st.integers(0, 300), st.sampled_from([*'"\\{}[],: 1t`<', "", '"parts": [']), CUTS)
def test_of_an_answer_with_a_fault_that_is_none_nothing_else_is_given(
    answer: tuple[list[Any], str], at: int, fault: str, cuts: list[int]
) -> None:
    text = answer[1][:at] + fault + answer[1][at + 1 :]
    found = heard(cut(text, cuts))
    assert found == heard([text])
    try:
        whole = read_json(text)
    except ValueError:
        return
    listed = whole.get("parts") if isinstance(whole, dict) else None
    assert found == (listed if isinstance(listed, list) else [])


def test_an_item_is_given_with_its_last_character() -> None:
    items = ListItems("parts")
    given_ = [(sign, found) for sign in '{"parts": ["a\\"]", {"b": [1]}, 12 , tr]}' if (found := items.feed(sign))]
    assert given_ == [('"', ['a"]']), ("}", [{"b": [1]}]), (",", [12])]


@pytest.mark.parametrize(
    "text",
    [
        '["a", "b"]',
        '{"other": ["a"]}',
        '{"other": {"parts": ["a"]}}',
        '{"other": "parts", "more": ["a"]}',
        '{"parts": "a"}',
        '{"parts": {"parts": ["a"]}}',
        '{"parts": [x, "a"]}',
        '{parts: ["a"]}',
        "no JSON at all",
        "<think>",
        "<thi",
    ],
)
def test_a_list_that_is_elsewhere_is_none_of_ours(text: str) -> None:
    assert heard([text]) == heard(list(text)) == []


def test_nothing_is_read_after_the_list_and_nothing_twice() -> None:
    assert heard(['{"parts": ["a"], "parts": ["a"]} {"parts": ["b"]}']) == ["a"]
    assert heard(['{"p\\u0061rts": ["a"]}']) == ["a"]


def test_every_character_is_looked_at_a_bounded_number_of_times() -> None:
    class Counting(str):
        """Counts the slices that are taken of it."""

        taken = 0

        def __getitem__(self, key: Any) -> str:
            part = super().__getitem__(key)
            Counting.taken += len(part)
            return part

    text = json.dumps({"parts": ["x" * 50_000, *range(3_000)]})
    items = ListItems("parts")
    found = [item for sign in text for item in items.feed(Counting(sign))]
    assert len(found) == 3_001
    assert Counting.taken <= 3 * len(text)


@given(
    st.lists(VALUES, max_size=5),
    CUTS,
    st.sampled_from(["", " \n", '<think>["no"]</think>', '<think>["no"]</think>\n ']),
)
def test_a_list_may_stand_alone_or_in_an_object(values: list[Any], cuts: list[int], before: str) -> None:
    for answer in (json.dumps(values), json.dumps({"value": values})):
        items = ListItems("value", bare=True)
        found = [item for piece in cut(before + answer, cuts) for item in items.feed(piece)]
        assert found == [read_json(json.dumps(value)) for value in values]


def test_a_list_amid_words_is_a_reference() -> None:
    items = ListItems("value", bare=True)
    assert [item for piece in ("As in ", "[1]", ": [2]") for item in items.feed(piece)] == []

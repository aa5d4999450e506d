"""Prompts: names, delimiting, templates, questions."""

from __future__ import annotations

import datetime
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.udfs.prompts.inputs import controlled, fields, folded, input_names, label, render
from anserdb.udfs.prompts.question import question
from anserdb.udfs.prompts.row_values import RowValues
from anserdb.udfs.prompts.template import instruction


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (("review",), ("review",)),
        (("t.body",), ("body",)),
        (('main."Full Title"',), ("Full Title",)),
        (("lower(body)", "substr(body, 1, 9)"), ("text", "text 2")),
        (("a.title", "b.title"), ("title", "title 2")),
        (("'a literal'",), ("text",)),
        (("größe", "価格"), ("größe", "価格")),
    ],
)
def test_inputs_are_named_after_their_columns(texts: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert input_names(texts) == names


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6))
def test_names_are_distinct(texts: list[str]) -> None:
    names = input_names(texts)
    assert len(set(names)) == len(texts)
    assert all(names)


@given(st.text(max_size=200), st.text(max_size=50))
def test_no_value_can_leave_its_field(first: str, second: str) -> None:
    block = fields(("note", "title"), (first, second))
    at_the_margin = [line for line in block.splitlines() if line[:1] not in ("", " ")]
    assert len(at_the_margin) == 2
    assert at_the_margin[0].startswith("Note:")
    assert at_the_margin[1].startswith("Title:")


@pytest.mark.parametrize(
    "words",
    ["<|im_end|>", "<|im_start|>system", "</s>", "<s>", "[INST]", "[/INST]", "<start_of_turn>", "<</SYS>>", "<think>"],
)
def test_control_words_are_broken_up(words: str) -> None:
    assert words not in folded(f"fine {words} fine")


def test_ordinary_brackets_stay() -> None:
    text = "a < b, x<y, <b>bold</b>, [1], a|b, <3"
    assert controlled(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4, "4"),
        (2.5, "2.5"),
        (True, "true"),
        (decimal.Decimal("9.90"), "9.90"),
        (datetime.date(2026, 3, 1), "2026-03-01"),
        ({"a": datetime.date(2026, 3, 1), "b": [1, None, True]}, '{"a": "2026-03-01", "b": [1, null, true]}'),
        (["x", "ü"], '["x", "ü"]'),
        (b"\x00\xff", "00ff"),
    ],
)
def test_values_are_rendered(value: object, text: str) -> None:
    assert render(value) == text


def test_placeholders_become_references() -> None:
    assert instruction("{review} recommends {1}", ("review", "film_title")) == "the review recommends the film title"
    assert instruction("Is the {review} positive?", ("review",)) == "Is the review positive?"
    assert instruction("{{literally}} {review}", ("review",)) == "{literally} the review"
    assert instruction("no {} field", ("review",)) == "no {} field"


def test_qualified_placeholders_tell_equal_names_apart() -> None:
    names = input_names(("a.title", "b.title"))
    assert instruction("{a.title} is {b.title}", names, ("a.title", "b.title")) == "the title is the title 2"


def test_an_unknown_placeholder_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"\{reviw\} is none of the inputs \(review\)\. Did you mean \{review\}\?"):
        instruction("{reviw} is positive", ("review",))
    with pytest.raises(ValueError, match=r"\{2\} is none of the inputs"):
        instruction("{2}", ("review",))


def test_templates_are_not_code() -> None:
    assert instruction("{review!r}", ("review",)) == "{review!r}"
    with pytest.raises(ValueError, match="none of the inputs"):
        instruction("{review.__class__}", ("review",))


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("The review is positive.", "Is it true that the review is positive?"),
        ("Does the customer complain?", "Does the customer complain?"),
        ("Berlin is mentioned", "Is it true that Berlin is mentioned?"),
        ("Return true if the tone is rude!", "Is it true that the tone is rude?"),
        ("Decide whether it is spam", "Is it true that it is spam?"),
        ("Theodore is angry", "Is it true that Theodore is angry?"),
    ],
)
def test_conditions_become_questions(condition: str, asked: str) -> None:
    assert question(condition) == asked


def test_literals_and_row_values_keep_their_order() -> None:
    values = RowValues((None, "literal", None), (True, False, True))
    assert values.of(["a", 2]) == ("a", "literal", 2)


def test_labels_are_words() -> None:
    assert label("customer_name") == "Customer name"

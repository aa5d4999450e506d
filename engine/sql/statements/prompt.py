"""``CREATE``, ``DROP`` and ``SHOW`` for prompts: instructions with a name and versions."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import ParseError, Position
from ..tokens import Range, Text
from .grammar import Evaluate, constant, end, expected, name_at, place, skip

NAME = "a prompt's name"


@dataclass(frozen=True, slots=True)
class CreatePrompt:
    """``CREATE [OR REPLACE] PROMPT [IF NOT EXISTS] name AS 'text with {column}'``; OR REPLACE adds a version."""

    name: str
    text: str
    replace: bool = False
    if_not_exists: bool = False
    place: Position | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DropPrompt:
    """``DROP PROMPT [IF EXISTS] name``: all its versions."""

    name: str
    if_exists: bool


@dataclass(frozen=True, slots=True)
class ShowPrompts:
    """``SHOW PROMPTS``."""


PromptStatement = CreatePrompt | DropPrompt | ShowPrompts


def parse_prompt(text: Text, evaluate: Evaluate) -> PromptStatement | None:
    """A statement about prompts; ``None``: it is none."""
    words = [text.word(i) for i in range(4)]
    if words[:2] == ["CREATE", "PROMPT"] or words == ["CREATE", "OR", "REPLACE", "PROMPT"]:
        return _create(text, evaluate)
    if words[:2] == ["DROP", "PROMPT"]:
        at, exists = skip(text, 2, "IF", "EXISTS")
        name = name_at(text, at, NAME)
        end(text, at + 1, "DROP PROMPT (it drops all versions)")
        return DropPrompt(name, exists)
    return ShowPrompts() if words[:2] == ["SHOW", "PROMPTS"] and words[2] in ("", ";") else None


def _create(text: Text, evaluate: Evaluate) -> CreatePrompt:
    at, replace = skip(text, 1, "OR", "REPLACE")
    at, exists = skip(text, at + 1, "IF", "NOT", "EXISTS")
    name = name_at(text, at, NAME)
    if text.word(at + 1) != "AS":
        raise expected(text, at + 1, f"CREATE PROMPT {name} AS 'the instruction, with {{column}}'")
    where = Range(at + 2, len(text.tokens))
    words = constant(text, where, evaluate)
    if not isinstance(words, str) or not words.strip():
        raise ParseError(f"The prompt {name} must be a non-empty text.", place(text, where))
    return CreatePrompt(name, words, replace, exists, place(text, Range(at, at + 1)))

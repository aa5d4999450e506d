"""``CREATE``, ``ALTER``, ``DROP`` and ``SHOW`` for models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import Position
from ..tokens import Range, Text
from .grammar import Evaluate, Options, end, expected, name_at, options, place, skip, word_or_constant

NAME = "a model's name"


@dataclass(frozen=True, slots=True)
class CreateModel:
    """``CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name USING p (option value, …)``, or ``name (PROVIDER p, option value, …)``.

    ``places`` tells where the provider and the options stand, for errors about them.
    """

    name: str
    provider: str
    options: Mapping[str, Any] = field(default_factory=dict)
    replace: bool = False
    if_not_exists: bool = False
    places: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AlterModel:
    """``ALTER MODEL name SET (option value, …)``; an option set to NULL is taken away."""

    name: str
    options: Mapping[str, Any]
    places: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RenameModel:
    """``ALTER MODEL name RENAME TO new_name``."""

    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class DropModel:
    """``DROP MODEL [IF EXISTS] name``."""

    name: str
    if_exists: bool


@dataclass(frozen=True, slots=True)
class ShowModels:
    """``SHOW MODELS``."""


ModelStatement = CreateModel | AlterModel | RenameModel | DropModel | ShowModels


def parse_model(text: Text, evaluate: Evaluate) -> ModelStatement | None:
    """A statement about models; ``None``: it is none."""
    words = [text.word(i) for i in range(4)]
    if words[:2] == ["CREATE", "MODEL"] or words == ["CREATE", "OR", "REPLACE", "MODEL"]:
        return _create(text, evaluate)
    if words[:2] == ["ALTER", "MODEL"]:
        return _alter(text, evaluate)
    if words[:2] == ["DROP", "MODEL"]:
        at, exists = skip(text, 2, "IF", "EXISTS")
        name = name_at(text, at, NAME)
        end(text, at + 1, "DROP MODEL")
        return DropModel(name, exists)
    return ShowModels() if words[:2] == ["SHOW", "MODELS"] and words[2] in ("", ";") else None


def _create(text: Text, evaluate: Evaluate) -> CreateModel:
    at, replace = skip(text, 1, "OR", "REPLACE")
    at, exists = skip(text, at + 1, "IF", "NOT", "EXISTS")
    name = name_at(text, at, NAME)
    if text.word(at + 1) == "USING":
        return _using(text, at + 2, CreateModel(name, "", {}, replace, exists), evaluate)
    if text.word(at + 1) != "(":
        either = f"CREATE MODEL {name} (PROVIDER openai, MODEL '…') or CREATE MODEL {name} USING openai (model '…')"
        raise expected(text, at + 1, either)
    given = options(text, at + 1, evaluate)
    provider = given.values.pop("provider", None)
    if not isinstance(provider, str):
        raise expected(text, at + 1, "PROVIDER: openai, vllm, llamacpp, …")
    end(text, text.partner[at + 1] + 1, "CREATE MODEL")
    return CreateModel(name, provider.lower(), given.values, replace, exists, given.places)


def _using(text: Text, at: int, head: CreateModel, evaluate: Evaluate) -> CreateModel:
    provider = word_or_constant(text, Range(at, at + 1), evaluate) if at < len(text.tokens) else None
    if not isinstance(provider, str) or not provider:
        raise expected(text, at, "a provider after USING: openai, vllm, llama, scripted, …")
    given = Options()
    after = at + 1
    if text.word(after) == "(":
        given = options(text, after, evaluate)
        after = text.partner[after] + 1
    elif text.word(after) not in ("", ";"):
        raise expected(text, after, f"USING {provider} (model '…', …)")
    end(text, after, "CREATE MODEL")
    places = {**given.places, "provider": place(text, Range(at, at + 1))}
    return CreateModel(head.name, provider.lower(), given.values, head.replace, head.if_not_exists, places)


def _alter(text: Text, evaluate: Evaluate) -> AlterModel | RenameModel:
    name = name_at(text, 2, NAME)
    match text.word(3), text.word(4):
        case "SET", "(":
            given = options(text, 4, evaluate)
            end(text, text.partner[4] + 1, "ALTER MODEL")
            return AlterModel(name, given.values, given.places)
        case "RENAME", "TO":
            new_name = name_at(text, 5, NAME)
            end(text, 6, "ALTER MODEL")
            return RenameModel(name, new_name)
    form = f"ALTER MODEL {name} SET (option value, …) or ALTER MODEL {name} RENAME TO new_name"
    raise expected(text, 4 if text.word(3) in ("SET", "RENAME") else 3, form)

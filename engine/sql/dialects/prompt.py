"""A prompt that is put together in SQL, taken apart again: its literals are the instruction, the rest is data.

Other systems hand the model one text made of both. Here an instruction is a constant and a row's values stand beside it,
delimited, so that no value can speak as the instruction (DESIGN §3). ``'Is this rude? ' || body`` and
``('Is this rude? ', body)`` both become ``'Is this rude? {0}', body``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import BindError
from ..call_text import position
from ..tokens import Range, Text
from .parts import Constant, New, Parts, call_of, is_text, literal

_QUERIES = ("SELECT", "WITH", "FROM", "VALUES")
_INPUT = re.compile(r"\{\d+\}")
_NUMBERED = re.compile(r"\{\{|\}\}|\{\s*(\d+)\s*\}|[{}]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """An instruction with ``{0}``, ``{1}``, … for the inputs; ``where`` is the user's text for it."""

    words: str
    inputs: tuple[Range, ...]
    where: Range

    @property
    def dynamic(self) -> bool:
        """Whether it holds no word of the query's author."""
        return not re.sub(r"\{\d+\}", "", self.words).strip()

    def saying(self, words: str) -> Prompt:
        """The prompt with other words."""
        return Prompt(words, self.inputs, self.where)

    def arguments(self, dynamic: str = "") -> list[Parts]:
        """The arguments of a call: the instruction, then the inputs. ``dynamic`` : what is said where nothing is."""
        words = (dynamic or self.words) if self.dynamic else self.words
        return [(New(literal(words), self.where),), *((i,) for i in self.inputs)]


def read_prompt(text: Text, where: Range, constant: Constant) -> Prompt:
    """The prompt that an expression makes.

    Raises
    ------
    BindError : ``PROMPT('… {3} …', a)`` has no value for a placeholder.
    """
    inputs: dict[str, Range] = {}
    words = ""
    for piece in _read(text, where, constant, inputs):
        words += f" {piece}" if _touch(words, piece) else piece
    return Prompt(words.strip(), tuple(inputs.values()), where)


def is_composed(text: Text, where: Range) -> bool:
    """Whether an expression is put together of several, at least one of them a literal."""
    pieces = _pieces(text, where)
    return call_of(text, where, "PROMPT") is not None or (
        len(pieces) > 1 and any(is_text(text, text.unwrap(piece)) for piece in pieces)
    )


def escaped(words: str) -> str:
    """A text in which braces are only braces."""
    return words.replace("{", "{{").replace("}", "}}")


def unescaped(words: str) -> str:
    """What :func:`escaped` was made of."""
    return words.replace("{{", "{").replace("}}", "}")


def _touch(before: str, after: str) -> bool:
    """Whether an input's name would stick to the word beside it, as its value does in ``'Review:' || body``."""
    if _INPUT.match(after):
        return before[-1:].isalnum() or before[-1:] in tuple(":;,.?!")
    return bool(_INPUT.search(before, max(0, len(before) - 5)) and before[-1:] == "}" and after[:1].isalnum())


def _read(text: Text, where: Range, constant: Constant, inputs: dict[str, Range]) -> list[str]:
    if is_text(text, where):
        return [escaped(str(constant(where)))]
    made = call_of(text, where, "PROMPT")
    if made and is_text(text, made[0]):
        return [_numbered(text, where, str(constant(made[0])), made[1:], inputs)]
    pieces = _pieces(text, where)
    if pieces == [where]:
        return [_placeholder(text, where, inputs)]
    return [word for piece in pieces for word in _read(text, piece, constant, inputs)]


def _pieces(text: Text, where: Range) -> list[Range]:
    """What an expression is put together of, in order: a tuple's, a concatenation's or a call's parts; else itself."""
    if text.word(where.lo) == "(" and text.partner.get(where.lo) == where.hi - 1:
        return [where] if text.word(where.lo + 1) in _QUERIES else text.split(text.inside(where.lo))
    called = call_of(text, where, "CONCAT", "STRUCT", "ROW")
    if called is not None:
        return [_unnamed(text, part) for part in called]
    return text.split(where, ("||",))


def _unnamed(text: Text, where: Range) -> Range:
    """``x AS name`` of BigQuery's STRUCT without the name."""
    return Range(where.lo, where.hi - 2) if text.word(where.hi - 2) == "AS" else where


def _numbered(text: Text, where: Range, words: str, values: list[Range], inputs: dict[str, Range]) -> str:
    def put(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0] if len(match[0]) == 2 else match[0] * 2
        if int(match[1]) >= len(values):
            count = f"{len(values)} value{'' if len(values) == 1 else 's'}"
            raise BindError(f"PROMPT has {count} and no {{{match[1]}}}.", position(text, where), name="PROMPT")
        return _placeholder(text, values[int(match[1])], inputs)

    return _NUMBERED.sub(put, words)


def _placeholder(text: Text, where: Range, inputs: dict[str, Range]) -> str:
    source = text.source(where)
    inputs.setdefault(source, where)
    return f"{{{list(inputs).index(source)}}}"

"""Functions whose answer is their input in other words: how long it may get, and what counts as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import VARCHAR
from ..models.base import Generate, Reply
from .folding import AskText
from .inputs import DATA_RULE, fields, render
from .row_values import RowValues
from .typed_answer import parse_reply

_LEAST_TOKENS = 256


@dataclass(frozen=True, slots=True)
class RewriteTask:
    """The task of a function that gives a text back rewritten; a blank text is its own answer.

    Parameters
    ----------
    system : what to do. names, values : of the inputs, the text first. temperature : of the answer.
    max_tokens : the user's cap; ``None``: what a text of its length can need.
    """

    system: str
    names: tuple[str, ...]
    values: RowValues
    temperature: float
    max_tokens: int | None

    async def prepare(self, ask: AskText) -> None:
        """Nothing to prepare."""

    def preparation(self) -> Sequence[Generate]:
        """None."""
        return ()

    async def run(self, row: Sequence[Any], ask: AskText) -> Any:
        """The row's text, rewritten."""
        values = self.values.of(row)
        if None in values:
            return None
        text = render(values[0])
        return await ask(self.requests(row)[0], _rewritten) if text.strip() else text

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        values = self.values.of(row)
        tokens = self.max_tokens or room(render(values[0]))
        system = f"{self.system} {DATA_RULE}"
        return (Generate(system, fields(self.names, values), temperature=self.temperature, max_tokens=tokens),)

    def notes(self) -> Mapping[str, str]:
        """Nothing worth a line."""
        return {}

    def example_answer(self, output: Any) -> str:
        """Text as it is."""
        if not isinstance(output, str):
            raise ValueError(f"the output of an example must be text, not {output!r}.")
        return output


def room(text: str) -> int:
    """Output tokens for a text about as long as this one: a power of two, so that rows share their settings.

    Half a token a byte is what dense scripts need; English has a quarter, and so may double its length.

    >>> room("short"), room("x" * 3000)
    (256, 2048)
    """
    tokens = _LEAST_TOKENS
    while tokens < len(text.encode(errors="replace")) // 2 + 64:
        tokens *= 2
    return tokens


def _rewritten(reply: Reply) -> str:
    text = str(parse_reply(reply, VARCHAR)).strip()
    if not text:
        raise InvalidAnswer("The answer is empty.", answer=reply.text)
    return text

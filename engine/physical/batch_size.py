"""How many rows one prompt takes: as many as the user says or, under ``'auto'``, as many as fit, up to a cap.

A row takes its text, the most tokens that its answer may have, and a little for its id; the function's own words come once
a prompt. All of it has to fit the model's context window, where that is known. Under ``'auto'`` a window that is not known
is taken for that of small local models. The cap keeps rows from standing far from the instruction, where models err.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...udfs.models.base import Generate, ModelSpec
from ...udfs.prompts.batched import FRAME_TOKENS, instruction

Rows = int | Literal["auto"]

AUTO_ROWS = 16
ASSUMED_CONTEXT = 4096
BYTES_PER_TOKEN = 3
"""On the safe side: English has four, dense scripts have two."""


@dataclass(frozen=True, slots=True)
class BatchSize:
    """The option ``batch_rows`` on a model.

    Parameters
    ----------
    option : the user's. context : tokens that prompt and answer may take together (``math.inf``: nobody knows).

    >>> BatchSize(3, math.inf).most, BatchSize("auto", 4096).most
    (3, 16)
    """

    option: Rows
    context: float

    @classmethod
    def of(cls, option: Rows, spec: ModelSpec) -> BatchSize:
        """For a model as the catalogue knows it."""
        known = spec.options.get("context_tokens")
        return cls(option, float(known or (ASSUMED_CONTEXT if option == "auto" else math.inf)))

    @property
    def most(self) -> int:
        """Never more rows than this."""
        return AUTO_ROWS if self.option == "auto" else self.option

    def fits(self, tokens: float) -> bool:
        """Whether prompt and answer may take so many tokens together."""
        return tokens <= self.context

    def mean(self, requests: Sequence[Generate]) -> float:
        """Rows a prompt, if rows are like these.

        >>> BatchSize("auto", 4096).mean([Generate("Reply.", "x" * 300, max_tokens=512)])
        6.0
        """
        if not requests:
            return float(self.most)
        row = sum(map(row_tokens, requests)) / len(requests)
        room = self.context - shared_tokens(requests[0])
        return float(self.most) if math.isinf(room) else max(1.0, min(self.most, room // row))

    def note(self, rows: float | None) -> str:
        """For EXPLAIN: how many rows a prompt takes, about, where it is known.

        >>> BatchSize(16, math.inf).note(16.0), BatchSize("auto", 4096).note(6.0)
        ('16', '6, of 16 at most: what fits 4,096 tokens')
        """
        most = f"{self.most} at most: what fits {self.context:,.0f} tokens"
        if rows is None:
            return f"{self.most}" if math.isinf(self.context) else most
        return f"{self.most}" if rows == self.most else f"{rows:,.0f}, of {most}"


def row_tokens(request: Generate) -> int:
    """Tokens that a row takes in a prompt of many, its answer included."""
    return tokens(request.user) + request.max_tokens + FRAME_TOKENS


def shared_tokens(request: Generate) -> int:
    """Tokens that come once a prompt."""
    return tokens(instruction(request))


def tokens(text: str) -> int:
    """An estimate that is rather too high.

    >>> tokens("x" * 300)
    100
    """
    return math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)

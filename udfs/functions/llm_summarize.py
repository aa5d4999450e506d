"""``LLM_SUMMARIZE``: one summary of all texts of a group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import VARCHAR
from ..models.base import Capabilities, Generate, Reply
from ..prompts.inputs import DATA_RULE, fields, input_names, render
from ..prompts.typed_answer import parse_reply
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Unprepared

CHUNK_CHARACTERS = 6_000
"""Input of one call. About 1,500 tokens of English: with the answer it fits the 4,096-token windows of small local models,
also in languages that take twice the tokens a character."""

_MAX_TOKENS = 512
_FIRST = "Summarize the inputs together in a few sentences. Keep names, figures and what most of them say."
_MERGE = "The inputs are summaries of parts of one collection. Merge them into one summary of a few sentences."
_FORM = "Answer with the summary only, without introduction or comment."


@dataclass(frozen=True, slots=True)
class SummarizeTask(Unprepared):
    """Summarizes a group: in one call where its texts fit, otherwise chunk by chunk, and then the summaries."""

    name: str
    instruction: str
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> str | None:
        """The summary of ``row[0]``, a list of values; ``None`` for an empty one."""
        requests = self.requests(row)
        if not requests:
            return None
        summaries = await _all(ask, requests)
        while len(summaries) > 1:
            summaries = await self._merged(summaries, ask)
        return summaries[0]

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request per chunk."""
        pieces = (piece for value in row[0] for piece in _pieces(render(value)))
        return [self._request(_FIRST, self.name, chunk) for chunk in _chunks(pieces, self.name, at_least=1)]

    def notes(self) -> Mapping[str, str]:
        """The chunk size."""
        return {"chunk": f"{CHUNK_CHARACTERS:,} characters"}

    async def _merged(self, summaries: Sequence[str], ask: Ask) -> list[str]:
        # Two or more summaries a call, whatever their length: so each round halves their number at least, and ends.
        *full, last = _chunks(summaries, "summary", at_least=2)
        alone = last if len(last) == 1 else []  # a summary left over waits for the next round
        chunks = full if alone else [*full, last]
        return [*await _all(ask, [self._request(_MERGE, "summary", chunk) for chunk in chunks]), *alone]

    def _request(self, task: str, name: str, texts: Sequence[str]) -> Generate:
        wish = (f"Instruction: {self.instruction}",) if self.instruction else ()
        names = [f"{name} {number}" for number, _ in enumerate(texts, 1)]
        system = "\n".join((task, *wish, _FORM, DATA_RULE))
        return Generate(system, fields(names, texts), temperature=self.temperature, max_tokens=self.max_tokens)


async def _all(ask: Ask, requests: Sequence[Generate]) -> list[str]:
    # every answer is waited for, also when another failed: what was asked for is paid for, and is kept
    replies = await asyncio.gather(*(ask(request, _summary) for request in requests), return_exceptions=True)
    return [_raised(reply) for reply in replies]


def _raised(reply: str | BaseException) -> str:
    if isinstance(reply, BaseException):
        raise reply
    return reply


def _summary(reply: Reply) -> str:
    return str(parse_reply(reply, VARCHAR))


def _pieces(text: str) -> Iterator[str]:
    """``text`` cut into pieces of at most a chunk, at white space where there is any in the last fifth of a piece."""
    start = 0
    while len(text) - start > CHUNK_CHARACTERS:
        end = start + CHUNK_CHARACTERS
        blank = max(text.rfind(mark, end - CHUNK_CHARACTERS // 5, end) for mark in (" ", "\n"))
        end = blank + 1 if blank >= 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


def _chunks(texts: Iterator[str] | Sequence[str], name: str, at_least: int) -> list[list[str]]:
    """Texts in their order, packed to at most ``CHUNK_CHARACTERS`` a chunk once it has ``at_least`` texts."""
    chunks: list[list[str]] = []
    size = 0
    label = len(f"{name} 1000: \n")  # thousands of two-letter texts are mostly labels
    for text in texts:
        if not chunks or (len(chunks[-1]) >= at_least and size + label + len(text) > CHUNK_CHARACTERS):
            chunks.append([])
            size = 0
        chunks[-1].append(text)
        size += label + len(text)
    return chunks


def _lower(arguments: Arguments, _: Capabilities) -> SummarizeTask:
    options = arguments.options
    if arguments.constants[0] is not DYNAMIC:
        raise ValueError("LLM_SUMMARIZE needs the texts of a group, such as a column, not one literal.")
    instruction = arguments.constants[1] if len(arguments.constants) > 1 else ""
    if not isinstance(instruction, str):
        raise ValueError("The instruction of LLM_SUMMARIZE must be a text literal.")
    return SummarizeTask(
        name=input_names(arguments.texts[:1])[0],
        instruction=instruction.strip(),
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens") or _MAX_TOKENS,
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_SUMMARIZE",
    aliases=("AI_SUMMARIZE", "AI_SUMMARIZE_AGG", "SEM_SUMMARIZE"),
    kind="aggregate",
    parameters=(Parameter("input"), Parameter("instruction", "constant", optional=True)),
    returns=lambda *_: VARCHAR,
    lower=_lower,
    summary="One summary of all texts of a group, however many; NULL for an empty group.",
    example="""
SELECT product, LLM_SUMMARIZE(review) AS opinion
FROM (VALUES ('kettle', 'Boils fast, but the lid sticks.'), ('kettle', 'The lid broke in a week.'),
             ('lamp', 'Warm light, solid foot.')) AS reviews(product, review)
GROUP BY product
""".strip(),
)

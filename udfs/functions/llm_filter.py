"""``LLM_FILTER``: whether a condition in plain words holds for a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import BOOLEAN
from ..models.base import Capabilities, Request
from ..prompts.inputs import input_names
from ..prompts.judgement import MAX_TOKENS, Judge, log_odds, spoken
from ..prompts.row_values import RowValues
from ..prompts.template import instruction
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Weighed


@dataclass(slots=True)
class FilterTask:
    """Compares the log-odds of yes with the prior of the condition.

    ``prior`` is the log-odds at which the answer turns true, once :meth:`prepare` has measured it.
    """

    judge: Judge
    values: RowValues
    prior: float | None = None

    async def prepare(self, ask: Ask) -> None:
        """Ask the condition of content-free inputs."""
        if self.prior is None:
            self.prior = await self.judge.prior(ask)

    def preparation(self) -> Sequence[Request]:
        """Those content-free questions."""
        return self.judge.content_free()

    async def run(self, row: Sequence[Any], ask: Ask) -> bool | None:
        """Whether the condition holds."""
        weighed = await self.weigh(row, ask)
        return None if weighed is None else weighed.value

    @property
    def weighs(self) -> bool:
        """Whether the answer is read off probabilities."""
        return self.judge.scored

    async def weigh(self, row: Sequence[Any], ask: Ask) -> Weighed | None:
        """Whether the condition holds, and how far the log-odds are above the threshold."""
        values = self.values.of(row)
        if None in values:
            return None
        odds, threshold = await ask(self.judge.request(values), log_odds), self.prior or 0.0
        return Weighed(odds > threshold, odds - threshold)

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """One request."""
        return (self.judge.request(self.values.of(row)),)

    def notes(self) -> Mapping[str, str]:
        """The threshold in use."""
        return {"threshold": self.judge.note(self.prior)}

    def example_answer(self, output: Any) -> str:
        """Yes or No."""
        return spoken(output)


def _lower(arguments: Arguments, capabilities: Capabilities) -> FilterTask:
    constants, options = arguments.constants, arguments.options
    given = constants[0] is not DYNAMIC
    if given and not (isinstance(constants[0], str) and constants[0].strip()):
        raise ValueError("LLM_FILTER needs its condition in words: LLM_FILTER('the customer is angry', body).")
    names = input_names(arguments.texts[1:])
    inputs = constants[1:] if given else constants
    judge = Judge(
        names=names,
        condition=instruction(constants[0], names, arguments.texts[1:]) if given else "",
        scored=capabilities.choice_scores,
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens") or MAX_TOKENS,
    )
    return FilterTask(judge, RowValues(inputs, tuple(value is DYNAMIC for value in inputs)))


FUNCTION = SemanticFunction(
    sql_name="LLM_FILTER",
    aliases=("AI_FILTER", "SEM_FILTER"),
    parameters=(Parameter("condition"), Parameter("input", variadic=True)),
    returns=lambda _arguments, _capabilities: BOOLEAN,
    lower=_lower,
    summary="Whether a condition in plain words holds for the inputs; {column} in the condition names an input.",
    example="""
SELECT body
FROM (VALUES ('Where is my parcel? I have written three times!'), ('Thank you, all is well.')) AS tickets(body)
WHERE LLM_FILTER('the customer is angry', body)
""".strip(),
)

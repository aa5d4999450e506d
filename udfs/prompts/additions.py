"""What a call's common options add to every question it asks: a seed, more instructions, worked examples.

They come from the text of the statement, so they are instruction, not data; all the same an example's values are laid out
and delimited like a row's, because a model follows best what looks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..models.base import Generate, Request
from .inputs import controlled, fields, folded

NAMES = frozenset({"seed", "instructions", "examples"})
"""The options that are additions."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What to add. ``system`` goes to the end of the system message, which the rows of a call share."""

    seed: int | None
    system: str

    @classmethod
    def of(cls, options: Mapping[str, Any], example_answer: Callable[[Any], str]) -> Additions | None:
        """The additions that the options ask for; ``None`` for none.

        Parameters
        ----------
        example_answer : an example's output as the model would answer it.

        Raises
        ------
        ValueError : an example's output is no answer of this call.
        """
        if not any(options.get(name) is not None for name in NAMES):
            return None
        parts = [str(options.get("instructions") or "").strip()]
        shown = [_example(example, example_answer) for example in options.get("examples") or ()]
        if shown:
            parts.append("\n\n".join(["Examples", *shown]))
        return cls(options.get("seed"), "\n".join(part for part in parts if part))

    def to(self, request: Request) -> Request:
        """The request with them.

        >>> Additions(7, "Be brief.").to(Generate("Translate.", "Text: hallo"))
        Generate(system='Translate.\\nBe brief.', user='Text: hallo', answer=TextAnswer(kind='text'), \
temperature=0.0, max_tokens=512, seed=7, attempt=0, kind='generate')
        """
        if not isinstance(request, Generate):
            return request
        system = f"{request.system}\n{self.system}" if self.system else request.system
        return replace(request, system=system, seed=self.seed)


def _example(example: Mapping[str, Any], example_answer: Callable[[Any], str]) -> str:
    given = example["input"]
    shown = fields(tuple(given), tuple(given.values())) if isinstance(given, Mapping) else fields(("input",), (given,))
    return f"{shown}\nAnswer: {folded(example_answer(example['output']))}"


def checked_examples(value: Any) -> Sequence[Mapping[str, Any]]:
    """The check of the option ``examples``.

    Raises
    ------
    ValueError : it is no list of ``{input, output}``.

    >>> checked_examples([{"input": "Late again!", "output": True}])
    [{'input': 'Late again!', 'output': True}]
    """
    if not isinstance(value, (list, tuple)) or not value or not all(map(_is_example, value)):
        raise ValueError("takes a list of structs such as [{input: 'Late again!', output: 'complaint'}]")
    return list(value)


def _is_example(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"input", "output"} and None not in value.values()


def checked_instructions(value: Any) -> str:
    """The check of the option ``instructions``.

    Raises
    ------
    ValueError : it is no text.

    >>> checked_instructions(" Answer in French. ")
    'Answer in French.'
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError("takes a non-empty string")
    return controlled(value.strip())

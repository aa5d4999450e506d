"""Choosing one of several labels: the request, its reading as a score per label, and the model's prior for each."""

from __future__ import annotations

import asyncio
import re
import string
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from ...engine.errors import InvalidAnswer
from ..models.base import ChoiceAnswer, Generate, Reply
from .inputs import DATA_RULE, fields

MAX_TOKENS = 32
# A choice among labels has no right answer for these, unlike a yes/no question (see calibration.py). Each label's own name
# is asked besides: on its own either set fails for some order of the labels, their mean did not (docs/quality.md).
CONTENT_FREE = ("N/A", "", "[MASK]")
_CERTAIN = 20.0
Scores = Mapping[str, float]
AskScores = Callable[[Generate, Callable[[Reply], Scores]], Awaitable[Scores]]


@dataclass(frozen=True, slots=True)
class Labels:
    """How one set of labels is asked. Made by :meth:`of`.

    Parameters
    ----------
    name : of the input.
    choices : what the model answers → the label. These are the labels themselves or, where their first words would not tell
        them apart, letters.
    system : the message that lists them.
    scored : the model gives log-probabilities, so its prior can be corrected.
    temperature, max_tokens : of the answer.
    """

    name: str
    choices: Mapping[str, str]
    system: str
    scored: bool
    temperature: float = 0.0
    max_tokens: int = field(default=MAX_TOKENS)

    @classmethod
    def of(cls, name: str, labels: Mapping[str, str], scored: bool, temperature: float, max_tokens: int) -> Labels:
        """Decide how to ask for ``labels`` (label → description, "" for none)."""
        if scored and not _tell_apart(labels):
            scored = len(labels) <= len(string.ascii_uppercase)
            lettered = dict(zip(string.ascii_uppercase, labels, strict=False)) if scored else {}
        else:
            lettered = {}
        choices = lettered or {label: label for label in labels}
        system = _system(choices, labels, bool(lettered), rule=not scored)
        return cls(name, choices, system, scored, temperature, max_tokens)

    def request(self, value: Any) -> Generate:
        """The question about one row."""
        answer = ChoiceAnswer(tuple(self.choices), self.scored)
        return Generate(self.system, fields((self.name,), (value,)), answer, self.temperature, self.max_tokens)

    def content_free(self) -> tuple[Generate, ...]:
        """The requests that :meth:`priors` sends: content-free inputs, then the labels' own names."""
        return tuple(map(self.request, (*CONTENT_FREE, *self.choices.values()))) if self.scored else ()

    async def priors(self, ask: AskScores) -> Scores:
        """Mean score per label: over content-free inputs and over the labels' own names, both with the same weight.

        Zeros where there is nothing to calibrate with.
        """
        labels = tuple(self.choices.values())
        if not self.scored:
            return dict.fromkeys(labels, 0.0)
        measured = await asyncio.gather(*(ask(request, self.scores) for request in self.content_free()))
        free, named = measured[: len(CONTENT_FREE)], measured[len(CONTENT_FREE) :]
        return {label: (fmean(s[label] for s in free) + fmean(s[label] for s in named)) / 2 for label in labels}

    def spoken(self, output: Any) -> str:
        """An example's label as the model answers it.

        Raises
        ------
        ValueError : it is none of the labels.
        """
        for choice, label in self.choices.items():
            if label == output:
                return choice
        raise ValueError(
            f"the output of an example, {output!r}, is none of the labels {', '.join(self.choices.values())}."
        )

    def scores(self, reply: Reply) -> Scores:
        """Log-probability per label; an answer without probabilities is certain.

        Raises
        ------
        InvalidAnswer : the answer is none of the choices.
        """
        if reply.scores:
            return {label: reply.scores[choice] for choice, label in self.choices.items()}
        if reply.text not in self.choices:
            raise InvalidAnswer("The answer is none of the labels.", answer=reply.text)
        return {label: 0.0 if choice == reply.text else -_CERTAIN for choice, label in self.choices.items()}


def best(scores: Scores, priors: Scores) -> str:
    """The label that gained most over its prior; the first of equals.

    >>> best({"a": -0.1, "b": -2.0}, {"a": -0.1, "b": -3.0})
    'b'
    """
    return max(scores, key=lambda label: scores[label] - priors[label])


def _tell_apart(labels: Mapping[str, str]) -> bool:
    words = [re.split(r"[\W_]+", label.strip().casefold(), maxsplit=1)[0] for label in labels]
    return all(words) and not any(a.startswith(b) for i, a in enumerate(words) for j, b in enumerate(words) if i != j)


def _system(choices: Mapping[str, str], labels: Mapping[str, str], lettered: bool, rule: bool) -> str:
    described = [f"{choice}: {labels[label]}" for choice, label in choices.items() if labels[label]]
    if lettered:
        lines = [f"{letter}. {_described(label, labels[label])}" for letter, label in choices.items()]
        parts = ["Answer with the letter of the label that fits best.", *lines]
    else:
        parts = [f"Answer with one of these labels: {', '.join(choices)}.", *described]
    return "\n".join([*parts, DATA_RULE] if rule else parts)


def _described(label: str, description: str) -> str:
    return f"{label}: {description}" if description else label

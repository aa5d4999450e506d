"""Choosing one of several labels: the request, and the model's prior for each label."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ...engine.errors import InvalidAnswer
from ..models.base import ChoiceAnswer, Generate, Reply
from .inputs import DATA_RULE, fields
from .judgement import CERTAIN

MAX_TOKENS = 32
# What an input that says nothing but one label looks like.
ECHOES = ("{}", "It is {}.", "Definitely {}.")
Scores = Mapping[str, float]
AskScores = Callable[[Generate, Callable[[Reply], Scores]], Awaitable[Scores]]


@dataclass(frozen=True, slots=True)
class Labels:
    """How one set of labels is asked.

    Parameters
    ----------
    name : of the input.
    labels : label → description ("" for none), in the user's order.
    scored : the model gives log-probabilities, so its prior can be corrected.
    temperature, max_tokens : of the answer.
    """

    name: str
    labels: Mapping[str, str]
    scored: bool
    temperature: float = 0.0
    max_tokens: int = MAX_TOKENS

    @property
    def choices(self) -> Mapping[str, str]:
        """What the model answers → the label: the label itself, or a letter where first words could not tell labels apart."""
        if self.scored and not _distinct(self.labels) and len(self.labels) <= len(string.ascii_uppercase):
            return dict(zip(string.ascii_uppercase, self.labels, strict=False))
        return {label: label for label in self.labels}

    def request(self, value: Any) -> Generate:
        """The question about one row."""
        choices = self.choices
        lines = "\n".join(_line(choice, label, self.labels[label]) for choice, label in choices.items())
        word = "letter" if list(choices) != list(self.labels) else "label"
        user = f"Which label fits the {self.name} best?\n{lines}\n\n{fields((self.name,), (value,))}"
        system = f"Answer with one {word}." if self.scored else f"Answer with one {word}. {DATA_RULE}"
        return Generate(system, user, ChoiceAnswer(tuple(choices), self.scored), self.temperature, self.max_tokens)

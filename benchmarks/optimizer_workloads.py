"""SIMULATED tables shaped as those of Palimpzest's paper (arXiv 2405.14696): legal discovery and real estate."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

Row = tuple[int, str, str, int]
FILLER = [
    "we",
    "met",
    "on",
    "the",
    "third",
    "floor",
    "and",
    "spoke",
    "about",
    "the",
    "budget",
    "of",
    "next",
    "year",
    "with",
    "all",
    "who",
    "had",
    "time",
    "for",
    "it",
]


@dataclass(frozen=True, slots=True)
class Workload:
    """A query and its table.

    Parameters
    ----------
    rows_of : how many. positive : ids of the rows that the labels keep.
    body_words, extra_words : lengths of the two texts. money, seconds, f1 : targets, fixed before the first run.
    """

    name: str
    query: str
    rows_of: int
    positive: frozenset[int]
    hard: frozenset[int]
    body_words: int
    extra_words: int
    money: float
    seconds: float
    f1: float

    def rows(self, chance: random.Random) -> Sequence[Row]:
        """In any order. What is true of a row stands in its texts."""
        ids = list(range(self.rows_of))
        chance.shuffle(ids)
        return [self._row(number, chance) for number in ids]

    def _row(self, number: int, chance: random.Random) -> Row:
        first = number in self.positive or number in self.hard
        second = number in self.positive or (number not in self.hard and chance.random() < 0.3)
        facts = f"row-{number} first-{_yes(first)} second-{_yes(second)} kind-{'abcd'[number % 4]}"
        price = 100 if first else chance.choice((100, 900))
        return number, _text(facts, self.body_words, chance), _text(facts, self.extra_words, chance), price

    def right(self, prompt: str, choices: Sequence[str]) -> str:
        """The answer that the labels give."""
        if "a" in choices:
            return next(choice for choice in choices if f"kind-{choice}" in prompt)
        which = "first" if "ask-first" in prompt else "second"
        yes, no = choices
        return yes if f"{which}-yes" in prompt else no


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _text(facts: str, words: int, chance: random.Random) -> str:
    return f"{facts} {' '.join(chance.choice(FILLER) for _ in range(words))}"


LEGAL = Workload(
    "legal",
    "SELECT id, LLM_CLASSIFY(body, ['a', 'b', 'c', 'd']) AS kind FROM rows_of "
    "WHERE LLM_FILTER('ask-first: it refers to one of the deals', body) "
    "AND LLM_FILTER('ask-second: it is first-hand, not a quotation of news', body)",
    1_000, frozenset(range(50)), frozenset(range(50, 80)), 200, 1, money=9.1, seconds=4.7, f1=0.9,
)  # fmt: skip
LISTING = Workload(
    "listing",
    "SELECT id, LLM_CLASSIFY(body, ['a', 'b', 'c', 'd']) AS kind FROM rows_of WHERE price < 500 AND length(body) > 10 "
    "AND LLM_FILTER('ask-first: the photos show a modern home', extra)",
    100, frozenset(range(23)), frozenset(), 150, 750, money=2.9, seconds=3.3, f1=1.0,
)  # fmt: skip
WORKLOADS = (LISTING, LEGAL)

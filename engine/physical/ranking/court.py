"""The book of comparisons: what was asked in which order, what is still allowed, and what the answers say together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from random import Random

from .judge import Judge, Pair

DOUBT = 0.2
"""An answer nearer to one half than this is asked again in the other order: so near, the place in the prompt may decide."""
INDIFFERENT = 0.02
"""Rows whose comparison comes out nearer to one half than this, in both orders, count as equal."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a ranking takes at most: questions, and rounds of questions that go out together."""

    calls: int
    rounds: int


@dataclass(slots=True)
class Court:
    """Asks a judge, never the same twice, never more than ``limit``.

    Parameters
    ----------
    judge : who answers. limit : no question and no round beyond it is asked.
    seed : decides which of two rows stands first in a question, and the coin for comparisons that failed in both orders.
    calls, rounds, failed : counted so far. answers : by pair as asked. scores : of rows. short : something was left unasked.
    upsets : see :meth:`look_for_upsets`.
    """

    judge: Judge
    limit: Bound
    seed: int = 0
    calls: int = 0
    rounds: int = 0
    failed: int = 0
    short: bool = False
    upsets: bool = False
    answers: dict[Pair, float | None] = field(default_factory=dict)
    scores: dict[int, float | None] = field(default_factory=dict)
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    @property
    def left(self) -> Bound:
        """What may still be asked."""
        return Bound(self.limit.calls - self.calls, self.limit.rounds - self.rounds)

    def first_look(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs of which nothing is known yet, each in a random order: no row gains from where it stands."""
        fresh = ((a, b) for a, b in pairs if not self._asked(a, b))
        return ((a, b) if self.random.random() < 0.5 else (b, a) for a, b in fresh)

    def second_look(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs that were asked in one order only, in the other."""
        return (other for a, b in pairs for other in self._other(a, b))

    def doubts(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The questions that :meth:`second_look` has for answers that failed or are too near to one half."""
        return ((a, b) for a, b in self.second_look(pairs) if self._doubtful(self.answers[b, a]))

    async def ask(self, pairs: Iterable[Pair]) -> None:
        """One round. What the limit forbids is not asked."""
        wanted = [pair for pair in dict.fromkeys(pairs) if pair not in self.answers]
        asked = self._allowed(wanted)
        if not asked:
            return
        self.rounds += 1
        self.calls += len(asked)
        answers = await self.judge.compare(asked)
        self.failed += sum(answer is None for answer in answers)
        self.answers.update(zip(asked, answers, strict=True))

    async def settle(self, pairs: Sequence[Pair]) -> None:
        """Two rounds at most: each pair in a random order, and where that leaves a doubt, in the other order, too."""
        await self.ask(self.first_look(pairs))
        await self.ask(self.doubts(pairs))

    async def ask_scores(self, rows: Sequence[int]) -> Mapping[int, float | None]:
        """One round: the scores of the rows."""
        self.rounds += 1
        self.calls += len(rows)
        answers = await self.judge.score(rows)
        self.failed += sum(answer is None for answer in answers)
        self.scores.update(zip(rows, answers, strict=True))
        return self.scores

    def favour(self, a: int, b: int) -> float:
        """The probability that ``a`` is better than ``b``: the mean of both orders, or of the one that is known.

        Failed in both orders, a coin decides; never asked, it is one half.
        """
        forth, back = self.answers.get((a, b)), self.answers.get((b, a))
        known = [p for p in (forth, None if back is None else 1.0 - back) if p is not None]
        if known:
            return sum(known) / len(known)
        return self._coin(a, b) if self._asked(a, b) else 0.5

    def indifferent(self, a: int, b: int) -> bool:
        """Whether both orders were answered, and each without a preference."""
        both = (self.answers.get((a, b)), self.answers.get((b, a)))
        return all(p is not None and abs(p - 0.5) < DOUBT for p in both) and abs(self.favour(a, b) - 0.5) <= INDIFFERENT

    @property
    def noisy(self) -> bool:
        """Whether the judge is known to contradict itself: by an upset, or by what it says when the order is turned."""
        both = ((p, self.answers.get((b, a))) for (a, b), p in self.answers.items())
        return self.upsets or any(p is not None and q is not None and (p - 0.5) * (q - 0.5) > 0 for p, q in both)

    def look_for_upsets(self, ordered: Sequence[int]) -> None:
        """Notes whether a row has beaten one before it; all pairs of these rows have been asked.

        A judge that follows any order leaves none, so this tells a noisy one at no cost.
        """
        self.upsets = self.upsets or any(self.favour(a, b) < 0.5 for a, b in combinations(ordered, 2))

    def _allowed(self, wanted: Sequence[Pair]) -> list[Pair]:
        left = self.left
        allowed = list(islice(wanted, max(0, left.calls))) if left.rounds > 0 else []
        self.short = self.short or len(allowed) < len(wanted)
        return allowed

    def _asked(self, a: int, b: int) -> bool:
        return (a, b) in self.answers or (b, a) in self.answers

    def _other(self, a: int, b: int) -> Iterable[Pair]:
        if ((a, b) in self.answers) != ((b, a) in self.answers):
            yield (b, a) if (a, b) in self.answers else (a, b)

    @staticmethod
    def _doubtful(answer: float | None) -> bool:
        return answer is None or abs(answer - 0.5) < DOUBT

    def _coin(self, a: int, b: int) -> float:
        heads = Random(f"{self.seed}:{min(a, b)}:{max(a, b)}").random() < 0.5
        return float(heads == (a < b))

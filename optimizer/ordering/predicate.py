"""A predicate as an order sees it: what it costs and how often it says what; and which answers end a chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Answer = bool | None
"""TRUE, FALSE or NULL."""
Keep = Literal["true", "false", "value"]


@dataclass(frozen=True, slots=True)
class Predicate:
    """What is expected of asking one predicate about one row.

    Parameters
    ----------
    cost : of one question, in whatever is to be saved (tokens, money, seconds); the same for all that are compared.
    true, null : shares (0..1) of rows answered TRUE and NULL; the others are FALSE.

    Raises
    ------
    ValueError : the cost is negative, or the shares are none.
    """

    cost: float
    true: float
    null: float = 0.0

    def __post_init__(self) -> None:
        if not (self.cost >= 0 and self.true >= 0 and self.null >= 0 and self.true + self.null <= 1 + 1e-9):
            raise ValueError(f"{self}: a cost is at least 0, and the shares of TRUE and NULL are at most 1 together.")

    @property
    def false(self) -> float:
        """Share of rows answered FALSE."""
        return max(0.0, 1.0 - self.true - self.null)

    def share(self, answer: Answer) -> float:
        """Share of rows with this answer."""
        return self.null if answer is None else self.true if answer else self.false


@dataclass(frozen=True, slots=True)
class Logic:
    """How a chain of predicates is read: joined by AND or OR, and what anybody wants to know of it.

    Parameters
    ----------
    connective : ``'and'`` or ``'or'``.
    keep : ``'true'``: only whether it is TRUE, as in WHERE. There a NULL ends an AND, since it cannot be TRUE any more.
        ``'false'``: only whether it is FALSE, as under NOT in WHERE. There a NULL ends an OR.
        ``'value'``: which of TRUE, FALSE and NULL, as in SELECT. There a chain goes on after a NULL: a FALSE to come makes
        an AND FALSE, a TRUE to come an OR TRUE.

    >>> Logic("and", "true").decides(None), Logic("and", "value").decides(None), Logic("or", "true").decides(None)
    (True, False, False)
    """

    connective: Literal["and", "or"]
    keep: Keep = "true"

    def decides(self, answer: Answer) -> bool:
        """Whether nothing that follows can matter."""
        ends = self.connective == "or"
        return answer is ends or (answer is None and self.keep == ("false" if ends else "true"))

    def goes_on(self, place: int, answer: Answer) -> bool:
        """Whether something that follows can matter after the answer of any predicate."""
        del place
        return not self.decides(answer)

    def next(self, order: Sequence[int], answers: Mapping[int, Answer], *, full: bool = False) -> int | None:
        """The predicate to ask now, given those answered; ``None``: the row is done (``full`` : all are answered)."""
        if not full and any(self.decides(answer) for answer in answers.values()):
            return None
        return next((place for place in order if place not in answers), None)

    def deciding(self, predicate: Predicate) -> float:
        """The share of rows whose chain this predicate ends."""
        return sum(predicate.share(answer) for answer in (True, False, None) if self.decides(answer))

    def result(self, answers: Iterable[Answer]) -> Answer:
        """What the chain says after these answers, the last of which may have decided it: whether it is TRUE
        (``keep='true'``), whether it is not FALSE (``'false'``), or its value.

        >>> Logic("and", "value").result([True, None]), Logic("and", "true").result([True, None])
        (None, False)
        """
        given = list(answers)
        ends = self.connective == "or"
        value = ends if ends in given else None if None in given else not ends
        return value is True if self.keep == "true" else value is not False if self.keep == "false" else value

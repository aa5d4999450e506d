"""The truth about what was asked and answered, that a client's records are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from .profile import Profile

Outcome = Literal["answered", "refused", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one answer: ``cached`` are among ``tokens_in``."""

    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0


@dataclass(slots=True)
class Line:
    """One model's.

    Parameters
    ----------
    requests : all that came. answered : those whose whole answer, tokens counted, was sent; they alone are charged.
    refused : by a status below 500. failed : by a status of 500 or more, or by a transfer that broke off or never began.
    cancelled : the client was gone before its answer was whole.
    tokens_in, tokens_cached, tokens_out : of the answered. lost_tokens_in, lost_tokens_out : worked for nobody.
    """

    requests: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    cancelled: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    lost_tokens_in: int = 0
    lost_tokens_out: int = 0

    @classmethod
    def total(cls, lines: Iterable[Line]) -> Line:
        """The sum of lines."""
        lines = list(lines)
        return cls(*(sum(getattr(line, column.name) for line in lines) for column in fields(cls)))


class Entry:
    """One request, until what becomes of it is known; what is told first holds."""

    __slots__ = ("_line", "outcome")

    def __init__(self, line: Line) -> None:
        self._line = line
        self.outcome: Outcome | None = None
        line.requests += 1

    def close(self, outcome: Outcome, tokens: Tokens = Tokens()) -> None:
        """What became of it, and the tokens read and written for it."""
        if self.outcome is not None:
            return
        self.outcome, line = outcome, self._line
        setattr(line, outcome, getattr(line, outcome) + 1)
        if outcome == "answered":
            line.tokens_in += tokens.tokens_in
            line.tokens_cached += tokens.tokens_cached
            line.tokens_out += tokens.tokens_out
        else:
            line.lost_tokens_in += tokens.tokens_in
            line.lost_tokens_out += tokens.tokens_out


@dataclass(slots=True)
class Bill:
    """All models' lines.

    >>> bill = Bill((Profile("small", price_in=1.0, price_out=4.0),))
    >>> bill.open("small").close("answered", Tokens(tokens_in=500_000, tokens_out=250_000))
    >>> bill.usd, bill.total.answered
    (Decimal('1.5'), 1)
    """

    profiles: tuple[Profile, ...]
    lines: dict[str, Line] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = {profile.model: Line() for profile in self.profiles}

    def open(self, model: str) -> Entry:
        """A request has come."""
        return Entry(self.lines[model])

    @property
    def total(self) -> Line:
        """All models together."""
        return Line.total(self.lines.values())

    @property
    def usd(self) -> Decimal:
        """US dollars, exactly."""
        return sum((self.usd_of(profile) for profile in self.profiles), Decimal(0))

    def usd_of(self, profile: Profile) -> Decimal:
        """One model's."""
        line = self.lines[profile.model]
        return profile.usd(line.tokens_in, line.tokens_cached, line.tokens_out)

    def as_json(self) -> dict[str, Any]:
        """As ``GET /bill`` gives it."""
        models = {
            profile.model: {**asdict(self.lines[profile.model]), "usd": float(self.usd_of(profile))}
            for profile in self.profiles
        }
        return {"total": {**asdict(self.total), "usd": float(self.usd)}, "models": models}

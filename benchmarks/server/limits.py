"""Requests and tokens per minute, as strictly as they can be meant: in any window of time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Window:
    """So much in any ``seconds``.

    Parameters
    ----------
    most : what fits. seconds : the window's length.

    >>> window = Window(most=2, seconds=60)
    >>> [window.take(1, now) for now in (0.0, 10.0, 20.0, 60.0)]
    [0.0, 0.0, 40.0, 0.0]
    """

    most: float
    seconds: float
    _taken: deque[tuple[float, float]] = field(default_factory=deque)
    _sum: float = 0.0

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much would fit (0: now). More than ever fits is let through when nothing else is there."""
        while self._taken and self._taken[0][0] <= now - self.seconds:
            self._sum -= self._taken.popleft()[1]
        excess = self._sum + min(amount, self.most) - self.most
        for at, taken in self._taken:
            if excess <= 0:
                break
            excess -= taken
            if excess <= 0:
                return at + self.seconds - now
        return 0.0

    def add(self, amount: float, now: float) -> None:
        """Count it."""
        self._taken.append((now, amount))
        self._sum += amount

    def take(self, amount: float, now: float) -> float:
        """Count it if it fits; else the seconds to wait."""
        if wait := self.wait_s(amount, now):
            return wait
        self.add(amount, now)
        return 0.0


class RateLimits:
    """Both limits of a model; a request that one of them refuses counts towards neither.

    Parameters
    ----------
    rpm, tpm : per minute; ``None``: no limit. window_s : over which they are kept; a limit of 600 a minute is 10 in any second.
    """

    def __init__(self, rpm: float | None, tpm: float | None, window_s: float) -> None:
        share = window_s / 60
        self._requests = None if rpm is None else Window(rpm * share, window_s)
        self._tokens = None if tpm is None else Window(tpm * share, window_s)

    def __bool__(self) -> bool:
        return self._requests is not None or self._tokens is not None

    def admit(self, tokens_in: int, now: float) -> float:
        """0, and the request is counted; or the seconds after which it may come again."""
        asked = [(window, amount) for window, amount in ((self._requests, 1), (self._tokens, tokens_in)) if window]
        wait = max((window.wait_s(amount, now) for window, amount in asked), default=0.0)
        if not wait:
            for window, amount in asked:
                window.add(amount, now)
        return wait

    def wrote(self, tokens: int, now: float) -> None:
        """Tokens of an answer: they cannot be refused any more, but delay who comes next."""
        if self._tokens is not None:
            self._tokens.add(tokens, now)

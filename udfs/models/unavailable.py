"""Endpoints that cannot answer now: until when, where they said so, and each one's own reason, where a model has several."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...engine.errors import ModelError, ModelUnavailable, RateLimited

_LED = re.compile(r"[Mm]odel \S+(?:: | \((?P<where>.*?)\)(?= ))")


class Unready(ModelUnavailable):
    """The endpoint cannot answer now, and said when it can: ``retry_after_s``."""

    def __init__(self, message: str = "", model: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, model)
        self.retry_after_s = retry_after_s


class NobodyAnswers(ModelUnavailable):
    """All endpoints of a model are unavailable; ``causes`` has one failure of each."""

    def __init__(self, message: str = "", model: str = "", causes: Sequence[ModelError] = ()) -> None:
        super().__init__(message, model)
        self.causes = tuple(causes)


def all_failed(causes: Sequence[ModelError]) -> ModelError:
    """One error for the failures of all endpoints of a model, one each; a single failure is that.

    >>> ends = [ModelUnavailable(f"Model m: no connection to http://{end}/v1 (refused). Is it up?", "m") for end in "ab"]
    >>> print(str(all_failed(ends)).partition(". Check")[0])
    None of the 2 endpoints of model m answers: no connection to http://a/v1 (refused); no connection to http://b/v1 (refused)
    """
    first, *others = causes
    if not others:
        return first
    reasons = "; ".join(map(_shortly, causes))
    hint = f"Check that these servers run, or name others: ALTER MODEL {first.model} SET (base_url ['…', '…'])."
    words = f"None of the {len(causes)} endpoints of model {first.model} answers: {reasons}. {hint}"
    error = NobodyAnswers(words, first.model, causes)
    error.hopeless = all(cause.hopeless for cause in causes)
    return error


def causes_of(error: ModelError) -> tuple[ModelError, ...]:
    """One failure per endpoint that it tells of."""
    return error.causes if isinstance(error, NobodyAnswers) else (error,)


def retry_after_of(error: BaseException) -> float | None:
    """Seconds that the endpoint asked to be left alone; where there are several, until the first of them can be asked.

    >>> retry_after_of(Unready(retry_after_s=2.0)), retry_after_of(ModelError())
    (2.0, None)
    """
    match error:
        case RateLimited() | Unready():
            return error.retry_after_s
        case NobodyAnswers():
            seconds = [wait for wait in map(retry_after_of, error.causes) if wait is not None]
            return min(seconds) if len(seconds) == len(error.causes) else None
        case _:
            return None


def _shortly(cause: ModelError) -> str:
    """The first sentence: who, and why. What to do about it, and what the server says, is left out."""
    sentence = str(cause).partition(". ")[0].rstrip(".")
    led = _LED.match(sentence)
    return sentence if led is None else f"{led['where'] or ''}{sentence[led.end() :]}"

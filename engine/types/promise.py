"""``accuracy >= 0.95, delta = 0.05``: what is promised of answers, as people write it."""

from __future__ import annotations

import difflib
import re

METRICS = ("accuracy", "precision", "recall")
EXAMPLE = "'accuracy >= 0.95, delta = 0.05' (or precision, recall, or both of these)"
_PART = re.compile(r"\s*([^\W\d]\w*)\s*(>=|=>|≥|<=|≤|:=|>|<|=)\s*([^\s]+?)\s*(%)?\s*")
_NUMBER = re.compile(r"\s*[\d.]+\s*%?\s*")
_CUT = re.compile(r",|\band\b", re.IGNORECASE)
_SIGNS = {True: (">=", "≥", "="), False: ("=", ":=")}


def read_promise(text: str) -> dict[str, float]:
    """The targets of a promise by metric, and ``delta`` if it is given. A number alone is accuracy.

    Raises
    ------
    ValueError : a misspelt metric (with the nearest), a target that is none, or metrics that are not promised together.

    >>> read_promise("precision >= 90%, recall >= 0.8, delta = 0.1")
    {'precision': 0.9, 'recall': 0.8, 'delta': 0.1}
    >>> read_promise("95%")
    {'accuracy': 0.95}
    """
    found: dict[str, float] = {}
    for part in _CUT.split(text):
        name, value = _part(part)
        if name in found:
            raise ValueError(f"names {name} twice")
        found[name] = value
    check_together(found)
    return found


def check_target(metric: str, value: float) -> float:
    """The share that is promised. Raises ValueError: it is none."""
    if not 0 < value <= 1:
        hint = f"; write {value / 100:g} or {value:g}%" if 1 < value <= 100 else ""
        raise ValueError(f"takes a target of {metric} above 0 and at most 1, not {value:g}{hint}")
    return value


def check_delta(value: float) -> float:
    """The probability with which a promise may be broken. Raises ValueError: it is none."""
    if not 0 < value < 1:
        raise ValueError(
            f"takes a delta between 0 and 1, such as 0.05, not {value:g}: it is how likely the promise may fail"
        )
    return value


def check_together(found: dict[str, float]) -> None:
    """Raises ValueError: nothing is promised, or what no one proof shows."""
    metrics = [metric for metric in METRICS if metric in found]
    if not metrics:
        raise ValueError(f"promises nothing; write a target, such as {EXAMPLE}")
    if len(metrics) > 1 and "accuracy" in metrics:
        raise ValueError("promises accuracy, or precision and recall, not both kinds at once")


def _part(text: str) -> tuple[str, float]:
    found = _PART.fullmatch(f"accuracy >= {text}" if _NUMBER.fullmatch(text) else text)
    if found is None:
        raise ValueError(f"cannot be read at {text.strip()!r}; write {EXAMPLE}")
    name = found[1].lower()
    if name not in (*METRICS, "delta"):
        near = difflib.get_close_matches(name, (*METRICS, "delta"), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; it knows {', '.join(METRICS)} and delta"
        raise ValueError(f"knows no metric {name}{hint}")
    if found[2] not in _SIGNS[name in METRICS]:
        raise ValueError(f"takes {name} {_SIGNS[name in METRICS][0]} a number, not {found[2]}")
    value = _number(found[3], name) / (100 if found[4] else 1)
    return name, check_target(name, value) if name in METRICS else check_delta(value)


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"takes a number for {name}, not {text!r}") from None

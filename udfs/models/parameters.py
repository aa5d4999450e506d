"""How many parameters a model has, as far as anybody says: its ``CREATE MODEL``, its maker, or its own name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .base import ModelSpec


@dataclass(frozen=True, slots=True)
class Parameters:
    """A model's size.

    Parameters
    ----------
    active : billions of parameters that work on a token. total : billions that have to lie in memory.
    """

    active: float
    total: float


# Mixtures of experts whose name does not tell what is active, and models whose name tells nothing. From their model cards.
KNOWN = {
    "mixtral-8x7b": Parameters(12.9, 46.7),
    "mixtral-8x22b": Parameters(39, 141),
    "deepseek-v3": Parameters(37, 671),
    "deepseek-r1": Parameters(37, 671),
    "gpt-oss-20b": Parameters(3.6, 20.9),
    "gpt-oss-120b": Parameters(5.1, 116.8),
    "phi-4": Parameters(14.7, 14.7),
    "multilingual-e5-small": Parameters(0.118, 0.118),
}
_TOTAL = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_ACTIVE = re.compile(r"(?<![a-z0-9])a(\d+(?:\.\d+)?)b(?![a-z0-9])")


def parameters_of(spec: ModelSpec) -> Parameters | None:
    """The size of a catalogue's model; ``None``: nobody tells.

    >>> parameters_of(ModelSpec("m", "vllm", {"model": "Qwen/Qwen3-30B-A3B"}))
    Parameters(active=3.0, total=30.0)
    >>> parameters_of(ModelSpec("m", "openai", {"parameters": 8.0}))
    Parameters(active=8.0, total=8.0)
    >>> parameters_of(ModelSpec("qwen-30b", "openai", {"active_parameters": 3.0}))
    Parameters(active=3.0, total=30.0)
    >>> parameters_of(ModelSpec("gpt-4.1-mini", "openai")) is None
    True
    """
    total, active = spec.options.get("parameters"), spec.options.get("active_parameters")
    named = _named(str(spec.options.get("model") or spec.options.get("serve") or spec.name))
    if total is None and active is not None:
        total = max(float(active), named.total if named is not None else 0.0)
    return named if total is None else Parameters(float(active or total), float(total))


def _named(model: str) -> Parameters | None:
    name = model.lower().rpartition("/")[2]
    for known in sorted(KNOWN, key=len, reverse=True):
        if name.startswith(known) and not name.startswith(f"{known}-distill"):
            return KNOWN[known]
    if (found := _TOTAL.search(name)) is None:
        return None
    total = float(found[1]) / (1 if found[2] == "b" else 1000)
    active = _ACTIVE.search(name)
    return Parameters(min(total, float(active[1])) if active else total, total)

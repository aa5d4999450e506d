"""Kinds of arms, one a file, each with a module-level ``KIND``. Found by name of file, so adding a file adds a kind."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module

from ...engine.plan.nodes import Arm, SemanticCall
from ..context import Context

Kind = Callable[[SemanticCall, Context], Iterable[Arm]]
"""The arms of this kind that a call may have."""


@lru_cache(maxsize=1)
def kinds() -> dict[str, Kind]:
    """Every kind by name.

    >>> sorted(kinds())
    ['checked', 'code', 'models', 'reasoned', 'reduced', 'refined', 'rows_a_prompt', 'unanimous']
    """
    names = sorted(m.name for m in pkgutil.iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").KIND for name in names}

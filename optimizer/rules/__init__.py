"""One rewrite rule a file; each has a module-level ``RULE``. Found by name of file, so adding a file adds a rule."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module

from ..rule import Rule


@lru_cache(maxsize=1)
def all_rules() -> dict[str, Rule]:
    """Every rule by name.

    >>> "relational_first" in all_rules()
    True
    """
    modules = [import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    rules: list[Rule] = [m.RULE for m in modules]
    return {rule.name: rule for rule in rules}

"""Every ``LLM_*`` function, one file each: a module here that declares ``FUNCTION`` is a function, nothing else to do."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from ...engine.errors import InternalError
from ..spec import SemanticFunction, with_additions


@cache
def functions() -> Mapping[str, SemanticFunction]:
    """Every function by every upper-case name it answers to, aliases included.

    Raises
    ------
    InternalError : two functions claim one name.

    >>> functions()["AI_EMBED"].sql_name
    'LLM_EMBED'
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return by_name(with_additions(import_module(f"{__name__}.{name}").FUNCTION) for name in names)


def by_name(declared: Iterable[SemanticFunction]) -> Mapping[str, SemanticFunction]:
    """The declarations by each of their names, read-only."""
    result: dict[str, SemanticFunction] = {}
    for function in declared:
        for name in (function.sql_name, *function.aliases):
            if name.upper() in result:
                owner = result[name.upper()].sql_name
                raise InternalError(f"The function name {name} is claimed by {owner} and by {function.sql_name}.")
            result[name.upper()] = function
    return MappingProxyType(result)

"""Python variables as tables: ``SELECT … FROM frame`` where ``frame`` is a variable of the caller.

DuckDB looks for unknown tables among the variables of the Python frame that calls it. Between that call and the user stand
frames of ours (and threads), so the variables that a statement names are taken along and shown to DuckDB in a frame made
for it.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

_NO_TABLE = (str, bytes, int, float, complex, type(None), type, ModuleType, FunctionType, MethodType)
"""What DuckDB would refuse at the mention of its name, with a line of ours: a table of that name is simply not there."""

_PACKAGE = __name__.partition(".")[0]
_CALL = "__anserdb_call__"


def _template() -> Any:
    return __anserdb_call__()  # type: ignore[name-defined]  # noqa: F821


def variables_of_caller(sql: str) -> dict[str, Any]:
    """The variables that a statement names, from the nearest frame outside this package: its locals, then its globals."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    found: dict[str, Any] = {}
    for name in dict.fromkeys(re.findall(r"[^\W\d]\w*", sql)):
        for place in (frame.f_locals, frame.f_globals):
            if name in place:
                if not isinstance(place[name], _NO_TABLE):
                    found[name] = place[name]
                break
    return found


def call_seeing(variables: Mapping[str, Any], method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call ``method`` from a frame whose globals are ``variables``, and none of ours."""
    place = {**variables, "__builtins__": builtins, _CALL: partial(method, *arguments, **named)}
    return FunctionType(_template.__code__, place)()

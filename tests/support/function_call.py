"""A function's task over a scripted model: the least that can stand for binder and dispatcher in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from anserdb.engine.types import VARCHAR, SqlType
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Embed, Generate, Reply, Request
from anserdb.udfs.models.scripted import Rule, ScriptedModel
from anserdb.udfs.spec import DYNAMIC, Arguments, Task

T = TypeVar("T")


class Asker:
    """An ``Ask`` over a script."""

    def __init__(self, *rules: Rule, capabilities: Capabilities | None = None) -> None:
        self.model = ScriptedModel(rules, capabilities=capabilities)

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        return parse(await self.model.call(request))

    @property
    def generated(self) -> list[Generate]:
        """The text requests, in order."""
        return [request for request in self.model.calls if isinstance(request, Generate)]

    @property
    def embedded(self) -> list[Embed]:
        """The embedding requests, in order."""
        return [request for request in self.model.calls if isinstance(request, Embed)]


def bound(*constants: Any, texts: Sequence[str] = (), **options: Any) -> Arguments:
    """A call's arguments; the options are checked by nobody here."""
    return Arguments(constants, (VARCHAR,) * len(constants), tuple(texts) or tuple(map(str, constants)), options)


def task(name: str, arguments: Arguments, capabilities: Capabilities | None = None) -> tuple[Task, SqlType]:
    """A function's task, and the type it returns."""
    function, known = functions()[name], capabilities or Capabilities()
    return function.lower(arguments, known), function.returns(arguments, known)


__all__ = ["DYNAMIC", "Asker", "bound", "task"]

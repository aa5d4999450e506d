"""An ``Ask`` over a plain function, for tests of tasks without a dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from anserdb.udfs.models.base import Generate, Reply, Request

T = TypeVar("T")


@dataclass
class Asking:
    """Answers with ``answer(request)`` and keeps what was asked."""

    answer: Callable[[Generate], Reply]
    asked: list[Generate] = field(default_factory=list)

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        assert isinstance(request, Generate)
        self.asked.append(request)
        return parse(self.answer(request))

"""Tasks of arms that ask otherwise than the call as written: about parts of a text, in another wording, or with a second look.

Which of them a call takes is said by its options (``Arm.options``), so that statistics keep them apart from the plain call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ...optimizer.kinds_of_prompt import REASONS, REDUCED, REFINED, WRITTEN
from ...udfs.models.base import Generate, Reply, Request
from ...udfs.prompts.parts_of_text import cut
from ...udfs.prompts.reasons_first import reasons_first, without_reason
from ...udfs.prompts.second_look import critique, objections, refinement
from ...udfs.spec import Ask, Task
from ..plan.nodes import SemanticCall

T = TypeVar("T")


def as_asked(task: Task, call: SemanticCall) -> Task:
    """The task as the call's options want it asked."""
    if call.options.get(REDUCED):
        return ReducedTask(task, tuple(words(call)))
    if call.options.get(REASONS):
        return ReasonedTask(task)
    if WRITTEN in call.options:
        return WrittenTask(task)
    return RefinedTask(task) if call.options.get(REFINED) else task


def words(call: SemanticCall) -> Iterator[str]:
    """What a call says of itself: its instruction, labels and fields."""
    yield from _texts(call.constants)
    yield from _texts(call.options.get("instructions"))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


@dataclass(frozen=True, slots=True)
class Around:
    """A task that is asked otherwise; what it says of itself stays."""

    task: Task

    async def prepare(self, ask: Ask) -> None:
        """The task's."""
        await self.task.prepare(ask)

    def preparation(self) -> Sequence[Request]:
        """The task's."""
        return self.task.preparation()

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The task's."""
        return await self.task.run(row, ask)

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """The task's."""
        return self.task.requests(row)

    def notes(self) -> Mapping[str, str]:
        """The task's."""
        return self.task.notes()

    def example_answer(self, output: Any) -> str:
        """The task's."""
        return self.task.example_answer(output)


@dataclass(frozen=True, slots=True)
class ReducedTask(Around):
    """Long texts of a row are cut to the parts that have to do with the question (``about``)."""

    about: tuple[str, ...] = ()

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The answer to what is left of the row."""
        return await self.task.run(self._cut(row), ask)

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """Those about what is left of the row."""
        return self.task.requests(self._cut(row))

    def _cut(self, row: Sequence[Any]) -> Sequence[Any]:
        return [cut(value, self.about) if isinstance(value, str) else value for value in row]


@dataclass(frozen=True, slots=True)
class ReasonedTask(Around):
    """The reason comes before the answer."""

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The answer that follows the reason."""
        return await self.task.run(row, _ReasonedAsk(ask))

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """In that wording."""
        return [_reasoned(request) for request in self.task.requests(row)]


@dataclass(frozen=True, slots=True)
class _ReasonedAsk:
    ask: Ask

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        if not isinstance(request, Generate):
            return await self.ask(request, parse)
        answer = request.answer
        return await self.ask(reasons_first(request), lambda reply: parse(without_reason(reply, answer)))


def _reasoned(request: Request) -> Request:
    return reasons_first(request) if isinstance(request, Generate) else request


@dataclass(frozen=True, slots=True)
class RefinedTask(Around):
    """A draft, its critique and, where that objects, a second answer."""

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The answer that stands in the end."""
        return await self.task.run(row, _RefinedAsk(ask))

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """All that may be sent, as if the draft were empty."""
        plain = self.task.requests(row)
        looked = [critique(request, "") for request in plain if isinstance(request, Generate)]
        again = [refinement(request, "", ()) for request in plain if isinstance(request, Generate)]
        return [*plain, *looked, *again]


@dataclass(frozen=True, slots=True)
class _RefinedAsk:
    ask: Ask

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        if not isinstance(request, Generate):
            return await self.ask(request, parse)

        def drafted(reply: Reply) -> tuple[str, T]:
            return reply.text, parse(reply)

        text, value = await self.ask(request, drafted)
        problems = await self.ask(critique(request, text), objections)
        return value if not problems else await self.ask(refinement(request, text, problems), parse)


@dataclass(frozen=True, slots=True)
class WrittenTask(Around):
    """Rows are answered by an expression that is written once (``operators.coded``): nothing is sent for one."""

    def preparation(self) -> Sequence[Request]:
        """None."""
        return ()

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """None."""
        del row
        return ()

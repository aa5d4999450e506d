"""How a semantic function declares itself. Binder, documentation, completion and UDF registration derive from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from ..engine.types import SqlType
from .models.base import Capabilities, Reply, Request
from .prompts.additions import Additions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A positional parameter.

    Parameters
    ----------
    name : as shown in help.
    kind : ``constant`` must be a literal (a label list, a struct of types); ``value`` is any SQL expression, evaluated
        per row, although a literal may be given.
    variadic : the last parameter may repeat (zero or more times).
    optional : may be left out.
    dynamic : a ``constant`` that may also be an expression over the row; the function then sees ``DYNAMIC``.
    """

    name: str
    kind: Literal["constant", "value"] = "value"
    variadic: bool = False
    optional: bool = False
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """A named argument (``name := literal``). ``check`` returns the cleaned value or raises ``ValueError`` with what is allowed."""

    name: str
    check: Callable[[Any], Any]
    summary: str


class Ask(Protocol):
    """How a task reaches the model: cached, coalesced, limited, metered; one validated answer per call."""

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        """Send ``request``. ``parse`` turns the reply into a value or raises ``InvalidAnswer``, in which case the model is
        asked again (a few times), and only an answer that parses is ever stored."""
        ...


class Task(Protocol):
    """One call site, ready to run: constants bound, model known. Holds no per-row state."""

    async def prepare(self, ask: Ask) -> None:
        """Work done once per query before the first row (calibration on content-free inputs). Idempotent, safe to call concurrently."""
        ...

    def preparation(self) -> Sequence[Request]:
        """The requests that ``prepare`` would send, for estimates in EXPLAIN. Sends nothing."""
        ...

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The value for one row: ``row`` holds the call's ``value`` arguments as Python objects, none of them NULL
        (an aggregate gets one list, its NULLs removed). Returns a Python object fit for ``returns``."""
        ...

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """The requests that ``run`` would send first for ``row``, for estimates in EXPLAIN. Sends nothing."""
        ...

    def notes(self) -> Mapping[str, str]:
        """What EXPLAIN should say of this call after ``prepare``: for instance the threshold in use and where it comes from."""
        ...

    def example_answer(self, output: Any) -> str:
        """The output of one of the user's examples, as the model would answer it.

        Raises
        ------
        ValueError : this call never answers so; the message says what an output may be.
        """
        ...


Emit = Callable[[Sequence[Any]], None]


@runtime_checkable
class Streams(Protocol):
    """A :class:`Task` whose answer is a list (``to_many``), of which the first items are known while the model writes on."""

    async def stream(self, row: Sequence[Any], ask: Ask, emit: Emit) -> Any:
        """What ``run`` gives, and on the way ``emit`` with all items known so far, whenever there is one more.

        Parameters
        ----------
        emit : called on the event loop with items as they would stand in the result, from the first one on. They are a
            guess: the answer they come from may yet fail or be refused, and then another list, maybe a shorter one, comes
            from the next. Only what is returned is the result. Where nothing is streamed (the answer was stored, or another
            query asks for it) it is never called; and never after ``stream`` has ended, however it ended.
        """
        ...


@runtime_checkable
class Compares(Protocol):
    """A :class:`Task` that can also tell which of two rows stands higher, so that the first rows can be found by comparisons."""

    async def prepare_pairs(self, ask: Ask) -> None:
        """Work done once per query before the first comparison."""
        ...

    async def compare(self, first: Sequence[Any], second: Sequence[Any], ask: Ask) -> float:
        """The probability that the first row stands higher. Rows are as in ``run``."""
        ...

    def pair(self, first: Sequence[Any], second: Sequence[Any]) -> Request:
        """The request that ``compare`` would send, for estimates. Sends nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Weighed:
    """An answer and how sure the model is of it.

    Parameters
    ----------
    value : what ``run`` gives.
    confidence : of TRUE or FALSE the log-odds of TRUE above the threshold in use; of a label how far it is ahead of the next one.
    """

    value: Any
    confidence: float


@runtime_checkable
class Weighs(Protocol):
    """A :class:`Task` that can also tell how sure the model is of its answer, by the model's own probabilities."""

    @property
    def weighs(self) -> bool:
        """Whether its model gives probabilities. If not, all answers of a kind are equally sure: what a model says of its own
        certainty is worth nothing."""
        ...

    async def weigh(self, row: Sequence[Any], ask: Ask) -> Weighed | None:
        """What ``run`` gives, by the same request, and how sure it is; ``None`` where that is NULL."""
        ...


class Unprepared:
    """The part of a :class:`Task` that has nothing to prepare; inherit from it."""

    __slots__ = ()

    async def prepare(self, ask: Ask) -> None:
        """Nothing to prepare."""

    def preparation(self) -> Sequence[Request]:
        """None."""
        return ()

    def example_answer(self, output: Any) -> str:
        """Text as it is."""
        if not isinstance(output, str):
            raise ValueError(f"the output of an example must be text, not {output!r}.")
        return output


@dataclass(frozen=True, slots=True)
class Arguments:
    """A call as bound.

    Parameters
    ----------
    constants : per position, the literal's Python value, or ``DYNAMIC`` where the argument is evaluated per row.
    types : DuckDB type per position.
    texts : the user's words per position (column names in prompts come from here).
    options : named arguments, checked and with defaults filled in.
    """

    constants: tuple[Any, ...]
    types: tuple[SqlType, ...]
    texts: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class _Dynamic:
    def __repr__(self) -> str:
        return "DYNAMIC"


DYNAMIC: Any = _Dynamic()


@dataclass(frozen=True, slots=True)
class SemanticFunction:
    """A function of the ``LLM_*`` family.

    Parameters
    ----------
    sql_name : canonical upper-case name. aliases : other names for the same thing.
    kind : ``scalar`` or ``aggregate`` (its first parameter is collected into a list per group).
    parameters, options : what it takes. Common options (model, on_error, temperature, …) are added by the binder, and what
        they add to requests by :func:`with_additions`.
    model_kind : which default model it uses: ``generate`` or ``embed``.
    returns : the DuckDB result type, from the arguments (and the model's capabilities, for vectors).
    lower : builds the task. Raises ``ValueError`` with a message for the user when the arguments make no sense.
    summary : one line. example : a runnable query over ``VALUES``.
    to_many : its answer is a list of STRUCTs, one per row that a row becomes; in FROM it yields these rows.
    closed_answers : its answers are of a small set, whatever their type: two of them can be compared.
    """

    sql_name: str
    parameters: tuple[Parameter, ...]
    returns: Callable[[Arguments, Capabilities], SqlType]
    lower: Callable[[Arguments, Capabilities], Task]
    summary: str
    example: str
    aliases: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    kind: Literal["scalar", "aggregate"] = "scalar"
    model_kind: Literal["generate", "embed"] = "generate"
    to_many: bool = False
    closed_answers: bool = False


def with_additions(function: SemanticFunction) -> SemanticFunction:
    """The function with tasks whose requests carry what the options ``seed``, ``instructions`` and ``examples`` add."""

    def lower(arguments: Arguments, capabilities: Capabilities) -> Task:
        task = function.lower(arguments, capabilities)
        additions = Additions.of(arguments.options, task.example_answer)
        if additions is None:
            return task
        if isinstance(task, Compares):
            return AddedPairs(task, additions)
        if isinstance(task, Weighs):
            return AddedWeights(task, additions)
        return AddedStream(task, additions) if isinstance(task, Streams) else Added(task, additions)

    return replace(function, lower=lower)


@dataclass(frozen=True, slots=True)
class Added:
    """A task whose every request carries additions, those of its preparation too: calibration must see the same prompt."""

    task: Task
    additions: Additions

    async def prepare(self, ask: Ask) -> None:
        """The task's."""
        await self.task.prepare(_AddingAsk(self.additions, ask))

    def preparation(self) -> Sequence[Request]:
        """The task's."""
        return tuple(map(self.additions.to, self.task.preparation()))

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The task's."""
        return await self.task.run(row, _AddingAsk(self.additions, ask))

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """The task's."""
        return tuple(map(self.additions.to, self.task.requests(row)))

    def notes(self) -> Mapping[str, str]:
        """The task's."""
        return self.task.notes()

    def example_answer(self, output: Any) -> str:
        """The task's."""
        return self.task.example_answer(output)


@dataclass(frozen=True, slots=True)
class AddedStream(Added):
    """A task that streams, with additions."""

    async def stream(self, row: Sequence[Any], ask: Ask, emit: Emit) -> Any:
        """The task's."""
        assert isinstance(self.task, Streams)
        return await self.task.stream(row, _AddingAsk(self.additions, ask), emit)


@dataclass(frozen=True, slots=True)
class AddedWeights(Added):
    """A task that weighs its answers, with additions."""

    @property
    def weighs(self) -> bool:
        """The task's."""
        assert isinstance(self.task, Weighs)
        return self.task.weighs

    async def weigh(self, row: Sequence[Any], ask: Ask) -> Weighed | None:
        """The task's."""
        assert isinstance(self.task, Weighs)
        return await self.task.weigh(row, _AddingAsk(self.additions, ask))


@dataclass(frozen=True, slots=True)
class AddedPairs(Added):
    """A task that compares, with additions."""

    async def prepare_pairs(self, ask: Ask) -> None:
        """The task's."""
        assert isinstance(self.task, Compares)
        await self.task.prepare_pairs(_AddingAsk(self.additions, ask))

    async def compare(self, first: Sequence[Any], second: Sequence[Any], ask: Ask) -> float:
        """The task's."""
        assert isinstance(self.task, Compares)
        return await self.task.compare(first, second, _AddingAsk(self.additions, ask))

    def pair(self, first: Sequence[Any], second: Sequence[Any]) -> Request:
        """The task's."""
        assert isinstance(self.task, Compares)
        return self.additions.to(self.task.pair(first, second))


@dataclass(frozen=True, slots=True)
class _AddingAsk:
    additions: Additions
    ask: Ask

    async def __call__(self, request: Request, parse: Callable[[Reply], T]) -> T:
        return await self.ask(self.additions.to(request), parse)

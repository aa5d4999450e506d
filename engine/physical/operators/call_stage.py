"""A semantic call that is ready to run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from ....optimizer.search.assignment import Assignment
from ....optimizer.search.chooser import Chooser
from ....udfs.spec import Task
from ...dataflow.caller import Caller
from ...dataflow.memo import Memo
from ...plan.nodes import SemanticCall
from ...types import SqlType, arrow_type
from ..row_fates import Batching
from .billed import Bill
from .judged import Judged


class Looks(Protocol):
    """Who wants to see rows that are compared."""

    def look(self, values: Sequence[Any]) -> None:
        """One of them."""
        ...


class Counts(Protocol):
    """Who counts questions."""

    def one(self) -> None:
        """One has come."""
        ...


class Followed(Protocol):
    """Who follows what arms really cost."""

    def ended(self, assignment: Assignment, values: Sequence[Any], bills: Mapping[int, Bill]) -> None:
        """A row is answered; ``bills`` : of arms that answered it."""
        ...

    def served(self, arm: int, *, failed: bool) -> None:
        """How a question to an arm ended."""
        ...

    async def found(self, arm: int, values: Sequence[Any]) -> bool:
        """Whether an arm's answer for a row is in the store."""
        ...


@dataclass(frozen=True, slots=True)
class Armed:
    """The arms of a call, made ready to run.

    Parameters
    ----------
    names : the reference's first. stages : all but the reference's. chooser : who answers which row.
    costs : told of the rows that are compared. questions : told of each.
    paid_for : whether the reference's answer for a row is in the store.
    judged : arms are compared with labels, as the reference is; ``None``: with the reference.
    follows : who is told what each arm's answers cost; ``None``: nobody.
    """

    names: tuple[str, ...]
    stages: tuple[CallStage, ...]
    chooser: Chooser
    costs: Looks
    paid_for: Callable[[Sequence[Any]], Awaitable[bool]]
    questions: Counts
    judged: Judged | None = None
    follows: Followed | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer all calls of a group: a stage for each, asked in one prompt (``together``) or alone."""

    name: str
    stages: tuple[CallStage, ...]
    together: bool


@dataclass(frozen=True, slots=True)
class Merging:
    """A group of calls over the same inputs, made ready to run.

    Parameters
    ----------
    ways : to answer it, the calls as written first. chooser : which of them answers which row. costs, questions : see ``Armed``.
    see : told what an arm and the reference said about one row. paid_for : whether asking alone costs no more, since all but
        one of the answers are in the store. decided : by which way a row is answered, by its inputs.
    notes : of the first call, for EXPLAIN ANALYZE.
    """

    ways: tuple[Way, ...]
    chooser: Chooser
    costs: Looks
    questions: Counts
    see: Callable[[int, Sequence[Any], Sequence[Any]], None]
    paid_for: Callable[[Sequence[Any], int], Awaitable[bool]]
    decided: Memo[str | bytes, int]
    notes: MutableMapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """The part that a call has in a group. ``number`` : which one; the first leads. ``group`` : made when rows come."""

    number: int
    group: Callable[[], Merging]


@dataclass(slots=True)
class Screened:
    """How many rows a screen, or a mixture of models, was asked about, and for how many of them the reference was asked, too.

    Parameters
    ----------
    expected : share of rows that are checked, before any was seen.
    """

    asked: int = 0
    kept: int = 0
    expected: float = 0.5

    @property
    def share(self) -> float:
        """Of rows that are checked."""
        return (self.kept + 2 * self.expected) / (self.asked + 2)


@dataclass(slots=True)
class Written:
    """The expression that a model wrote for an arm, as DuckDB prints it ("": none yet, or none), and why there is none."""

    expression: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallStage:
    """A semantic call ready to run.

    Parameters
    ----------
    call : from the plan. task : what to do with a row.
    type : of the output column (under ``on_error := 'details'`` a STRUCT of the value and the error's text).
    caller : how the task reaches the model.
    aggregate : the argument is a list: its NULLs are dropped, and without any other element the answer is NULL.
    batching : how rows share prompts; ``None``: each has its own.
    armed : other stages that may answer in its place; ``None``: there are none.
    screened : it is an arm that asks the reference about some rows (``Arm.checked``, ``Arm.beside``), and how many that were so far.
    written : it is an arm whose model writes an expression that answers rows, and what became of that.
    beside : stages of other models that it asks the same (``Arm.beside``).
    merged : its part in a group of calls that one prompt may answer; ``None``: it is in none.
    blocks : who asks about blocks of pairs, made on first use; ``None``: its rows are no pairs.
    labels : who asks a row of a join about all labels, made on first use; ``None``: nobody may.
    keys : how rows of a join are asked for keys, made on first use; ``None``: nobody may.
    """

    call: SemanticCall
    task: Task
    type: SqlType
    caller: Caller
    aggregate: bool = False
    batching: Batching | None = None
    armed: Armed | None = None
    screened: Screened | None = None
    written: Written | None = None
    beside: tuple[CallStage, ...] = ()
    merged: Part | None = None
    blocks: Callable[[], Caller] | None = None
    labels: Callable[[], Caller] | None = None
    keys: Callable[[], Batching] | None = None

    @property
    def rows_a_prompt(self) -> int:
        """At most."""
        return self.batching.size.most if self.batching else 1

    @property
    def rows_in_flight(self) -> int:
        """Rows whose answers the model may be making at once."""
        return self.caller.concurrency * self.rows_a_prompt

    def field(self) -> pa.Field:
        """The output column, as Arrow has it."""
        return pa.field(self.call.output.name, arrow_type(self.type))

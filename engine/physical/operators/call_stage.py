"""A semantic call that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from ....optimizer.search.chooser import Chooser
from ....udfs.spec import Task
from ...dataflow.caller import Caller
from ...plan.nodes import SemanticCall
from ...types import SqlType, arrow_type
from ..row_fates import Batching


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


@dataclass(frozen=True, slots=True)
class Armed:
    """The arms of a call, made ready to run.

    Parameters
    ----------
    names : the reference's first. stages : all but the reference's. chooser : who answers which row.
    costs : told of the rows that are compared. questions : told of each.
    """

    names: tuple[str, ...]
    stages: tuple[CallStage, ...]
    chooser: Chooser
    costs: Looks
    questions: Counts


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
    """

    call: SemanticCall
    task: Task
    type: SqlType
    caller: Caller
    aggregate: bool = False
    batching: Batching | None = None
    armed: Armed | None = None

    @property
    def rows_in_flight(self) -> int:
        """Rows whose answers the model may be making at once."""
        return self.caller.concurrency * (self.batching.size.most if self.batching else 1)

    def field(self) -> pa.Field:
        """The output column, as Arrow has it."""
        return pa.field(self.call.output.name, arrow_type(self.type))

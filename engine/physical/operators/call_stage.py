"""A semantic call that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ....udfs.spec import Task
from ...dataflow.caller import Caller
from ...plan.nodes import SemanticCall
from ...types import SqlType, arrow_type
from ..row_fates import Batching


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
    """

    call: SemanticCall
    task: Task
    type: SqlType
    caller: Caller
    aggregate: bool = False
    batching: Batching | None = None

    @property
    def rows_in_flight(self) -> int:
        """Rows whose answers the model may be making at once."""
        return self.caller.concurrency * (self.batching.size.most if self.batching else 1)

    def field(self) -> pa.Field:
        """The output column, as Arrow has it."""
        return pa.field(self.call.output.name, arrow_type(self.type))

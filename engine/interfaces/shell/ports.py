"""What the shell needs of a connection and a result; :mod:`..connection` and :mod:`..result` have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from ...dataflow.progress import QueryProgress
from ...settings import Settings


class Result(Protocol):
    """Rows of one statement; the query runs while they are fetched."""

    @property
    def columns(self) -> Sequence[str]:
        """Column names."""
        ...

    @property
    def types(self) -> Sequence[str]:
        """DuckDB types as text, per column."""
        ...

    @property
    def progress(self) -> QueryProgress | None:
        """Counters of the semantic calls; ``None`` for plain SQL."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What the user should know of the answer; complete once all rows are fetched."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, as they come."""
        ...

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows as Python values."""
        ...


class Connection(Protocol):
    """A database with models."""

    progress_listener: Callable[[QueryProgress], None] | None
    confirm: Callable[[str], bool] | None

    @property
    def settings(self) -> Settings:
        """The ``llm_…`` settings."""
        ...

    def sql(self, text: str, /) -> Result | None:
        """Prepare one statement."""
        ...

    def interrupt(self) -> None:
        """Stop the running statement, from any thread."""
        ...

    def tables(self) -> Sequence[tuple[str, str]]:
        """(schema, name) of every table and view."""
        ...

    def table_columns(self, name: str, /) -> Sequence[Any]:
        """The columns of a table: names, or tuples that start with the name."""
        ...

    def usage(self) -> pa.Table:
        """Calls, tokens and money so far, a row per model and day."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...

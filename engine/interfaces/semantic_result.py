"""The result of a statement with semantic functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ..dataflow.certificates import IssuedCertificate
from ..dataflow.progress import QueryProgress
from ..physical.promises import QueryCertificate, query_certificate
from .close_later import close_later, start_closer
from .reading import Reading
from .rows import Row, RowBuffer


class SemanticResult:
    """A semantic run. Rows stream; the first call that wants all of them keeps them for later calls.

    Dropping it half-read stops the query.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._rows = RowBuffer(reading.rows)
        start_closer()

    @property
    def columns(self) -> list[str]:
        return [name for name, _ in self._reading.columns()]

    @property
    def types(self) -> list[str]:
        return [type_text for _, type_text in self._reading.columns()]

    @property
    def progress(self) -> QueryProgress | None:
        return self._reading.execution.run.progress

    @property
    def notices(self) -> list[str]:
        return self._reading.execution.run.notices

    @property
    def certificates(self) -> list[IssuedCertificate]:
        """What was proved of its calls under a guarantee, as far as it has been read: one each."""
        return list(self._reading.execution.run.certificates)

    @property
    def certificate(self) -> QueryCertificate | None:
        """What they are worth together; ``None``: nothing was promised, or nothing has been proved yet."""
        return query_certificate(self.certificates, self._reading.execution.planned.plan)

    @property
    def begun(self) -> bool:
        """Whether somebody has looked at its rows."""
        return self._reading.begun

    @property
    def reads(self) -> bool:
        """Whether it is a query, or has RETURNING."""
        return self._reading.execution.planned.returns_rows or self.columns != ["Count"]

    @property
    def changed(self) -> int:
        """Rows changed, as DuckDB counts them; -1: it is a query."""
        return -1 if self.reads else int(self._reading.table().column(0)[0].as_py())

    def __str__(self) -> str:
        with self._reading.typed().relation(self._reading.table()) as relation:
            return str(relation)

    def __repr__(self) -> str:
        # Debuggers and notebooks take a repr unasked: it must not be what spends money.
        if self._reading.complete:
            return str(self)
        return f"<SemanticResult {', '.join(self.columns)}: not read yet; show() or print() runs it>"

    def show(self, max_rows: int = 40) -> None:
        """Print the rows, then notices."""
        with self._reading.typed().relation(self._reading.table()) as relation:
            relation.show(max_rows=max_rows)
        for notice in self.notices:
            print(f"Notice: {notice}")

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return self._reading.typed().table(self._reading.table())

    def df(self) -> Any:
        """All rows as a pandas DataFrame (needs pandas)."""
        with self._reading.typed().relation(self._reading.table()) as relation:
            return relation.df()

    def pl(self) -> Any:
        """All rows as a polars DataFrame (needs polars)."""
        with self._reading.typed().relation(self._reading.table()) as relation:
            return relation.pl()

    def fetchall(self) -> list[Row]:
        """The rows that are left, as Python values."""
        return self._rows.take(None)

    def fetchone(self) -> Row | None:
        """The next row; ``None`` at the end."""
        return next(iter(self._rows.take(1)), None)

    def fetchmany(self, size: int = 1) -> list[Row]:
        """Up to ``size`` rows."""
        return self._rows.take(size)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow batches, as soon as they are there. Closing the iterator stops the query."""
        if self._reading.complete:
            yield from self.arrow().to_batches()
            return
        try:
            while (batch := self._reading.batch()) is not None:
                yield from self._reading.typed().table(pa.Table.from_batches([batch])).to_batches()
        finally:
            self._reading.close()

    def explain(self) -> str:
        """The plan, with this run's figures if it has run."""
        return self._reading.explain()

    def close(self) -> None:
        """Stop the query if it still runs."""
        self._reading.close()

    def __del__(self) -> None:
        if (reading := getattr(self, "_reading", None)) is not None and not reading.closed:
            close_later(reading.close)


def stands(result: object) -> bool:
    """Whether a result is given out although somebody stopped its statement meanwhile: not one that has yet to ask models."""
    return not isinstance(result, SemanticResult) or result.begun

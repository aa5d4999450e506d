"""How many rows feed an operator: counted as they are read, for progress and for what a budget leaves out."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from ..dataflow.bridge import Reader
from ..dataflow.progress import SiteProgress


class CountedReader:
    """A reader that counts.

    Parameters
    ----------
    reader : where the rows are. expected : how many somebody expects; ``None``: nobody does.

    Attributes
    ----------
    rows : read so far. rest : whether to go on counting when it is closed before its end.
    """

    def __init__(self, reader: Reader, expected: int | None = None) -> None:
        self._reader, self._expected = reader, expected
        self._site: SiteProgress | None = None
        self._before = 0
        self._ended = False
        self.rows = 0
        self.rest: Callable[[], bool] = lambda: False

    def feeds(self, site: SiteProgress) -> None:
        """All rows go to this operator: it is told how many there are, with those of readers before this one."""
        self._site, self._before = site, site.rows_in
        self._tell()

    def read_next_batch(self) -> pa.RecordBatch:
        """The next batch; StopIteration at the end."""
        try:
            batch = self._reader.read_next_batch()
        except StopIteration:
            self._ended = True
            self._tell()
            raise
        self.rows += batch.num_rows
        return batch

    def close(self) -> None:
        """Give up what is left."""
        try:
            while self.rest():
                self.read_next_batch()
        except StopIteration:
            pass
        finally:
            self._reader.close()

    def _tell(self) -> None:
        if self._site is not None:
            rows = self.rows if self._ended else self._expected
            self._site.rows_total = None if rows is None else self._before + rows
            self._site.total_is_exact = self._ended

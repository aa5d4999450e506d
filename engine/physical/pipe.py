"""What operators are strung on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pyarrow as pa

Batches = AsyncIterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Pipe:
    """Batches to come, and their schema.

    Parameters
    ----------
    free : nobody needs the rows in any order.
    """

    schema: pa.Schema
    batches: Batches
    free: bool = False

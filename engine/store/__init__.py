"""What outlives a query: models, prompts, answers, call records and row errors, in one SQLite file beside the database.

The store knows nothing of SQL functions or models: an answer is bytes under a 32-byte key, a model a name with options.
"""

from __future__ import annotations

from .files import data_dir, default_store_path
from .prompts import StoredPrompt
from .queries import StoredQuery
from .records import CallRecord, Reuse, RowError, StoredModel, UsageTotals
from .store import Store

__all__ = [
    "CallRecord",
    "Reuse",
    "RowError",
    "Store",
    "StoredModel",
    "StoredPrompt",
    "StoredQuery",
    "UsageTotals",
    "data_dir",
    "default_store_path",
]

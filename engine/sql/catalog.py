"""What the binder needs to know of the outside world: DuckDB's opinion, the functions, the models, the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import duckdb

from ...udfs.models.base import Capabilities
from ...udfs.spec import SemanticFunction
from ..settings import Settings
from ..store import StoredPrompt
from ..store.proxies import StoredProxy
from .definitions.definition import Definitions


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What DuckDB has against a text.

    Parameters
    ----------
    message : without DuckDB's picture of the text. name : the word it is about, if any.
    start, length : in characters of the text; ``None`` and 0 where DuckDB does not say.
    """

    message: str
    name: str = ""
    start: int | None = None
    length: int = 0


class Catalog(Protocol):
    """The binder's oracle; the session implements it over the user's connection."""

    @property
    def settings(self) -> Settings:
        """The connection's settings."""
        ...

    @property
    def functions(self) -> Mapping[str, SemanticFunction]:
        """Semantic functions by every name they have."""
        ...

    @property
    def aggregates(self) -> frozenset[str]:
        """DuckDB's aggregate functions, upper case."""
        ...

    @property
    def definitions(self) -> Definitions:
        """Views and macros that ask a model."""
        ...

    def describe(self, sql: str, *, private: bool = False) -> list[tuple[str, str]]:
        """Names and types of a query's result, without running it.

        ``private`` asks a bare connection with this connection's settings: what binds there needs nothing of the session.
        Raises ``duckdb.Error`` when it does not bind.
        """
        ...

    def check(self, statement: str) -> None:
        """Bind a statement that is no query. Raises ``duckdb.Error`` when it does not bind."""
        ...

    def diagnose(self, sql: str, error: duckdb.Error) -> Diagnosis:
        """More of an error that :meth:`describe` raised for the query ``sql``."""
        ...

    def constant(self, sql: str) -> Any:
        """The value of an expression without columns."""
        ...

    def prompts(self) -> Sequence[StoredPrompt]:
        """Every version of every prompt that calls may refer to."""
        ...

    def proxies(self) -> Sequence[StoredProxy]:
        """Proxies that CREATE PROXY made."""
        ...

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do. Raises BindError for a name that is not in the catalogue."""
        ...

"""Which functions a text calls are the user's own: those mean nothing, or something else, on another connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

import duckdb

# Words before a parenthesis, and whether a dot stands before them; names that begin with two underscores are ours.
_CALLED = re.compile(r'(\.\s*"?)?(?<!\w)(?!__)(\w+)"?\s*\(')
_NOT_CALLED = frozenset((
    "AND", "AS", "BY", "CASE", "CAST", "DISTINCT", "ELSE", "EXISTS", "FROM", "IN", "NOT", "ON", "OR", "SELECT", "THEN",
    "TRY_CAST", "USING", "VALUES", "WHEN", "WHERE",
))  # fmt: skip


class UserFunctions:
    """Macros and functions of the user, as they are while one statement is planned.

    DuckDB takes 10 to 20 ms to list its functions, and finds one by name in 0.1 ms. So names are looked up, as the binder of
    DROP does it: that tells what is the user's from what is DuckDB's own, sees the open transaction, the search path and what
    other connections have committed, and runs nothing.

    Parameters
    ----------
    native : calls something of DuckDB's on the freed connection. connection : the user's.
    """

    def __init__(self, native: Callable[..., Any], connection: duckdb.DuckDBPyConnection) -> None:
        self._native = native
        self._connection = connection
        # No public name of DuckDB's package binds without running. Without this one, names are compared with the whole list.
        self._bind: Callable[[str], object] | None = getattr(connection, "_bind", None)
        self._listed: frozenset[str] | None = None
        self._known: dict[str, bool] = {}

    def refresh(self) -> None:
        """A statement begins: there may be others now."""
        self._listed, self._known = None, {}

    def listed(self) -> frozenset[str]:
        """All of them in every schema, upper case."""
        if self._listed is None:
            rows = self._native(
                self._connection.execute, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE NOT internal"
            ).fetchall()
            self._listed = frozenset(name.upper() for (name,) in rows)  # ``upper`` may be what the user redefined
        return self._listed

    def called(self, sql: str) -> bool:
        """Whether a text calls one."""
        found = _CALLED.findall(sql.upper())
        names = {name for _, name in found} - _NOT_CALLED
        if self._bind is None or self._listed is not None or any(dot for dot, _ in found):
            return bool(names) and not self.listed().isdisjoint(names)  # a qualified one may be of any schema
        return self._any(names, self._bind)

    def _any(self, names: Collection[str], bind: Callable[[str], object]) -> bool:
        return any(self._is_users(name, bind) for name in names)

    def _is_users(self, name: str, bind: Callable[[str], object]) -> bool:
        known = self._known.get(name)
        if known is None:
            known = any(self._binds(f'DROP {kind} "{name}"', bind) for kind in ("MACRO", "MACRO TABLE"))
            self._known[name] = known
        return known

    def _binds(self, drop: str, bind: Callable[[str], object]) -> bool:
        try:
            self._native(bind, drop)
            return True
        except duckdb.CatalogException:  # there is none, or it is DuckDB's own
            return False

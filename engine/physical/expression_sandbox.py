"""A DuckDB of its own, with nothing in it and no way out, in which expressions are evaluated that a model wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from ...udfs.prompts.inputs import input_names
from ..types import SqlType, parse_type, to_arrow
from .expression_check import ExpressionError, checked

ROW_CHARS = 20_000
"""Longer rows are not evaluated."""
BATCH_CHARS, BATCH_ROWS = 50_000, 256
_ROWS, _PLACE = "__rows", "__place"
_CONFIG: dict[str, Any] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": "512MB",
    "temp_directory": "",
    "threads": 1,
}
_WHOLE = frozenset(("tinyint", "smallint", "integer", "bigint", "hugeint"))
_NUMBERS = _WHOLE | {"decimal", "float", "double"}
_TEXTS = frozenset(("varchar", "enum"))


class Sandbox:
    """Evaluates one expression at a time. To be used in one thread, apart from :meth:`interrupt`.

    Parameters
    ----------
    names, types : of the columns. answer : the type of what the expression is to give.

    >>> from anserdb.engine.types import BOOLEAN, VARCHAR
    >>> sandbox = Sandbox(("body",), (VARCHAR,), BOOLEAN)
    >>> sandbox.take("contains(lower(body), 'refund') OR NULL")
    "(contains(lower(body), 'refund') OR NULL)"
    >>> sandbox.answers([("Refund me.",), ("Thanks.",)])
    [True, None]
    """

    def __init__(self, names: Sequence[str], types: Sequence[SqlType], answer: SqlType) -> None:
        self._names, self._types, self._answer = tuple(names), tuple(types), answer
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        self._connection.execute("SET lock_configuration = true")
        self._sql, self._stopped = "", False

    def take(self, text: str) -> str:
        """Evaluate this expression from now on; as DuckDB prints it.

        Raises
        ------
        ExpressionError : it must not be run, does not bind, or is of another type.
        """
        sql = checked(text, self._names, self._connection)
        found = self._type_of(sql)
        if not _fits(found, self._answer):
            raise ExpressionError(f"Its type is {found}, which is no {self._answer}.")
        target = "VARCHAR" if self._answer.kind == "enum" else self._answer.text
        # A row on which it fails is one of which it knows nothing.
        self._sql = f"SELECT TRY(CAST({sql} AS {target})) FROM {_ROWS} ORDER BY {_PLACE}"
        return sql

    def answers(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """What the expression gives for each row; ``None`` where it does not know, or nothing can be found out."""
        found: list[Any] = [None] * len(rows)
        for places in _batches(rows):
            if self._stopped:
                break
            for place, value in zip(places, self._evaluated([rows[place] for place in places]), strict=True):
                found[place] = value
        return found

    def interrupt(self) -> None:
        """Stop what is being evaluated, for good, from any thread."""
        self._stopped = True
        self._connection.interrupt()

    def close(self) -> None:
        """Free all that it holds."""
        self._connection.close()

    def _type_of(self, sql: str) -> SqlType:
        try:
            self._connection.register(_ROWS, self._table([]))
            described = self._connection.execute(f"DESCRIBE SELECT {sql} FROM {_ROWS}").fetchall()
        except duckdb.Error as error:
            raise ExpressionError(str(error).splitlines()[0]) from None
        finally:
            self._connection.unregister(_ROWS)
        return parse_type(str(described[0][1]))

    def _evaluated(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        try:
            self._connection.register(_ROWS, self._table(rows))
            return [value for (value,) in self._connection.execute(self._sql).fetchall()]
        except (duckdb.Error, pa.ArrowException, ValueError, TypeError, OverflowError):
            return [None] * len(rows)
        finally:
            self._connection.unregister(_ROWS)

    def _table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        columns = {
            name: to_arrow([row[place] for row in rows], kind)
            for place, (name, kind) in enumerate(zip(self._names, self._types, strict=True))
        }
        return pa.table({**columns, _PLACE: pa.array(range(len(rows)), pa.int64())})


def identifiers(texts: Sequence[str]) -> tuple[str, ...]:
    """A plain name for each input, distinct and no word of SQL's, from the user's words.

    >>> identifiers(("r.review", '"Full Title"', "lower(body)", "order", "R.Review"))
    ('review', 'full_title', 'text', 'order_', 'review_2')
    """
    names: list[str] = []
    for words in input_names(texts):
        base = re.sub(r"[^a-z0-9_]+", "_", words.lower()).strip("_") or "text"
        base = f"{base}_" if base in _words_of_sql() else base if base[0].isalpha() else f"c_{base}"
        same = sum(1 for name in names if re.fullmatch(rf"{base}(_\d+)?", name))
        names.append(f"{base}_{same + 1}" if same else base)
    return tuple(names)


@cache
def _words_of_sql() -> frozenset[str]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        words = connection.execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'")
        return frozenset(str(word) for (word,) in words.fetchall())


def _batches(rows: Sequence[Sequence[Any]]) -> Iterator[list[int]]:
    """Places of rows that are evaluated together: few, and not too long, so that no statement takes long."""
    batch: list[int] = []
    chars = 0
    for place, row in enumerate(rows):
        length = sum(len(value) for value in row if isinstance(value, str))
        if length > ROW_CHARS:
            continue
        if batch and (len(batch) >= BATCH_ROWS or chars + length > BATCH_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(place)
        chars += length
    if batch:
        yield batch


def _fits(found: SqlType, answer: SqlType) -> bool:
    """Whether a value of one type, cast, is one of the other for all that matters."""
    if answer.kind == "struct":
        mine, theirs = dict(found.fields), dict(answer.fields)
        return mine.keys() == theirs.keys() and all(_fits(mine[name], theirs[name]) for name in theirs)
    alike = next((group for group in (_NUMBERS, _TEXTS) if answer.kind in group), frozenset((answer.kind,)))
    return found.kind in alike

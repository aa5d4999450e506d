"""From a model's answer to the Python value of a SQL type, nested ones included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .json_text import read_json
from .scalars import UnfitError, read_scalar, show
from .sql_type import SqlType


def from_text(text: str, sql_type: SqlType, path: str = "") -> Any:
    """The value of an answer given as plain text.

    Text around a scalar that cannot change it is dropped: blanks, a pair of quotes or backticks, a full stop.

    Raises
    ------
    ValueError : the text is not a value of that type.

    >>> from_text(" 'Yes.' ", SqlType("BOOLEAN", "boolean"))
    True
    """
    text = text.strip()
    if sql_type.kind == "varchar":
        return from_json(text, sql_type, path)
    if sql_type.fields or sql_type.kind == "json":
        return from_json(read_json(text), sql_type, path)
    if text in sql_type.values:
        return text
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        text = text[1:-1].strip()
    return from_json(text if text in sql_type.values else text.removesuffix("."), sql_type, path)


def from_json(value: Any, sql_type: SqlType, path: str = "") -> Any:
    """The Python value, as DuckDB would return it, of a parsed JSON answer.

    Parameters
    ----------
    value : what :func:`read_json` gave.
    path : where the value stands, for messages: ``claim.items[2].price``.

    Raises
    ------
    ValueError : names the path, the value and the type.

    >>> from anserdb.engine.types import parse_type
    >>> from_json({"a": "42", "b": None}, parse_type("STRUCT(a INTEGER, b DATE)"))
    {'a': 42, 'b': None}
    """
    if value is None or _is_blank(value, sql_type):
        return None
    if nested := _NESTED.get(sql_type.kind):
        return nested(value, sql_type, path)
    try:
        return read_scalar(value, sql_type)
    except UnfitError as error:
        raise _at(path, str(error)) from None


def _at(path: str, reason: str) -> ValueError:
    return ValueError(f"{path or 'the answer'}: {reason}")


def _is_blank(value: Any, sql_type: SqlType) -> bool:
    # "" and "null" in a field that holds no text can only mean that there is no value
    if not isinstance(value, str) or sql_type.kind in ("varchar", "json") or value in sql_type.values:
        return False
    return value.strip().lower() in ("", "null")


def _expect(value: Any, kind: type, sql_type: SqlType, path: str) -> None:
    if not isinstance(value, kind):
        word = "an object" if kind is dict else "a list"
        raise _at(path, f"{show(value)} is not {word}, as {sql_type} needs")


def _struct(value: Any, sql_type: SqlType, path: str) -> dict[str, Any]:
    _expect(value, dict, sql_type, path)
    names = {name.lower(): name for name, _ in sql_type.fields}  # DuckDB does not tell upper from lower case either
    given: dict[str, Any] = {}
    for name, item in value.items():
        field = names.get(name.lower()) or name
        if field in given and given[field] != item:  # "a" and "A": to take one of them would be a guess
            raise _at(f"{path}.{field}" if path else field, "the field stands there twice")
        given[field] = item
    missing = [name for name in names.values() if name not in given]
    extra = [name for name in given if name.lower() not in names]
    if missing and extra:  # the one may be the other misspelt: a NULL there would be a guess
        raise _at(path, f"the field {missing[0]!r} is missing, and {extra[0]!r} is not a field")
    return {
        name: from_json(given.get(name), kind, f"{path}.{name}" if path else name) for name, kind in sql_type.fields
    }


def _list(value: Any, sql_type: SqlType, path: str) -> list[Any]:
    _expect(value, list, sql_type, path)
    return [from_json(item, sql_type.child, f"{path}[{index}]") for index, item in enumerate(value)]


def _array(value: Any, sql_type: SqlType, path: str) -> tuple[Any, ...]:
    items = _list(value, sql_type, path)
    if len(items) != sql_type.size:
        raise _at(path, f"{len(items)} values, but {sql_type} holds exactly {sql_type.size}")
    return tuple(items)


def _map(value: Any, sql_type: SqlType, path: str) -> dict[Any, Any]:
    _expect(value, dict, sql_type, path)
    (_, key_type), (_, value_type) = sql_type.fields
    result: dict[Any, Any] = {}
    for name, item in value.items():
        place = f"{path}[{name!r}]"
        key = from_json(name, key_type, place)
        if key is None:
            raise _at(place, "a MAP key cannot be NULL")
        if key in result:
            raise _at(place, "the key stands there twice")
        result[key] = from_json(item, value_type, place)
    return result


_NESTED: Mapping[str, Callable[[Any, SqlType, str], Any]] = {
    "struct": _struct,
    "list": _list,
    "array": _array,
    "map": _map,
}

"""``CREATE PROXY`` before anybody is asked: the call that is learnt, its inputs, and who is to learn from which rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ...udfs.spec import SemanticFunction
from ..errors import BindError, Position, ProgrammingError
from ..plan.nodes import SemanticCall
from ..sql.statements import CreateProxy
from ..sql.tokens import Text
from ..types import quote
from .cascading.subject import CLASSIFY, FILTER, FUNCTIONS, subject_of

ROWS, NUMBER, ANSWER = "__anser_lesson", "__n", "__answer"
LEAST = 200
"""Answers that a student learns from, at least."""
LEAST_TESTS = 50
"""Answers that it is tested on, at least."""
TESTS = 0.2
"""Share of the rows that are the hold-out."""
POOL = 20_000
"""Different inputs among which it is looked whose answers are there."""
HOLD_OUT = b"hold-out"
_PLAIN = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student is to learn.

    Parameters
    ----------
    call : SQL of the call, over ``inputs``. inputs : columns of the query.
    """

    call: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Numbers of rows: to be tested on, and to learn from."""

    hold_out: tuple[int, ...]
    training: tuple[int, ...]


def lesson_of(statement: CreateProxy, columns: Sequence[str], functions: Mapping[str, SemanticFunction]) -> Lesson:
    """The call with its inputs.

    Parameters
    ----------
    columns : of the statement's query.

    Raises
    ------
    BindError : nobody can learn that function's answers, or it does not find its inputs.
    """
    function = _function(statement, functions)
    options = [part for part in statement.arguments if Text(part).word(1) in (":=", "=>", "=")]
    given = [part for part in statement.arguments if part not in options]
    inputs, rest = (given[1:], given[:1]) if function == FILTER else (given[:-1], given[-1:])
    if not rest:
        raise BindError(f"{function} needs its {'condition' if function == FILTER else 'labels'}.", _of(statement, 1))
    chosen = [_column(statement, words, columns) for words in inputs] or list(columns)
    if function == CLASSIFY and len(chosen) != 1:
        raise BindError(
            f"{function} has one input, and the query after ON gives {len(chosen)}: {', '.join(chosen)}. Select one of them.",
            _of(statement, 2),
        )
    names = [_named(name, rest[0]) for name in chosen]
    arguments = [*rest, *names, *options] if function == FILTER else [*names, *rest, *options]
    return Lesson(f"{function}({', '.join(arguments)})", tuple(chosen))


def pool_sql(query: str, inputs: Sequence[str]) -> str:
    """Different inputs of a query, none of them NULL: all, or so many by chance, the same ones each time."""
    names = [quote(name) for name in inputs]
    known = " AND ".join(f"{name} IS NOT NULL" for name in names)
    text = ", ".join(f"{name}::VARCHAR" for name in names)
    return (
        f"SELECT * FROM (SELECT DISTINCT {', '.join(names)} FROM ({query}) AS __on WHERE {known}) AS __different "
        f"ORDER BY md5(concat_ws(chr(31), {text})), {', '.join(names)} LIMIT {POOL}"
    )


def lesson_sql(lesson: Lesson) -> str:
    """What is asked about the rows of :data:`ROWS`."""
    return f"SELECT {NUMBER}, {lesson.call} AS {ANSWER} FROM {ROWS}"


def check_size(statement: CreateProxy, rows: int, most: int) -> None:
    """Raise BindError where there cannot be enough answers. ``rows`` : different inputs. ``most`` : of ``llm_proxy_rows``."""
    needed = LEAST + LEAST_TESTS
    if rows < needed:
        raise BindError(
            f"Proxy {statement.name} needs {needed} different inputs ({LEAST} answers to learn from and {LEAST_TESTS} to be tested "
            f"on), and the query after ON gives {rows:,}: select more rows.",
            _of(statement, 2),
            statement.name,
        )
    if most < needed:
        raise ProgrammingError(
            f"Proxy {statement.name} needs {needed} answers ({LEAST} to learn from and {LEAST_TESTS} to be tested on), and "
            f"llm_proxy_rows allows {most:,}: SET llm_proxy_rows = 1000."
        )


def split(keys: Sequence[str | bytes], there: Sequence[bool], most: int) -> Split:
    """Who learns from which rows: the hold-out is drawn first, by keys alone, whichever answers are there; then of the others
    those whose answers are there, and as many more as are allowed.

    Parameters
    ----------
    keys : of different inputs. there : whether the answer is in the store. most : rows in all.
    """
    order = sorted(range(len(keys)), key=lambda row: blake2b(_bytes(keys[row]), key=HOLD_OUT).digest())
    wanted = min(most, len(keys))
    tests = max(LEAST_TESTS, round(TESTS * wanted))
    rest = sorted(order[tests:], key=lambda row: not there[row])
    return Split(tuple(order[:tests]), tuple(rest[: wanted - tests]))


def check_subject(statement: CreateProxy, call: SemanticCall) -> None:
    """Raises BindError where nobody can learn the call."""
    subject = subject_of(call)
    if subject is None or not subject.anchors or not subject.inputs:
        raise BindError(
            f"Proxy {statement.name} cannot learn this call: it learns LLM_FILTER with a condition in quotes, and LLM_CLASSIFY with "
            "a list of labels in the statement and one label a row, of rows with at least one column.",
            _of(statement, 1),
            statement.name,
        )
    if call.cascade is not None or call.truth is not None:
        raise BindError(
            f"Proxy {statement.name} learns what the model says: leave guarantee, proxy and labels out here.",
            _of(statement, 1),
            statement.name,
        )


def _function(statement: CreateProxy, functions: Mapping[str, SemanticFunction]) -> str:
    found = functions.get(statement.function.upper())
    if found is None:
        near = difflib.get_close_matches(statement.function.upper(), functions, n=2)
        raise BindError(
            f"There is no semantic function {statement.function}. A proxy learns {' or '.join(FUNCTIONS)}.",
            _of(statement, 1),
            statement.function,
            near,
        )
    if found.sql_name not in FUNCTIONS:
        raise BindError(
            f"A proxy cannot learn {found.sql_name}, whose answers are not of a set that is known beforehand. It learns "
            f"{' or '.join(FUNCTIONS)}.",
            _of(statement, 1),
            found.sql_name,
        )
    return found.sql_name


def _column(statement: CreateProxy, words: str, columns: Sequence[str]) -> str:
    wanted = words.strip().removeprefix('"').removesuffix('"').replace('""', '"').casefold()
    found = next((name for name in columns if name.casefold() == wanted), None)
    if found is None:
        near = difflib.get_close_matches(wanted, columns, n=2)
        raise BindError(
            f"{words} is no column of the query after ON, which gives {', '.join(columns)}. Compute it there, or leave the inputs "
            "out: then they are the query's columns.",
            _of(statement, 1),
            words,
            near,
        )
    return found


def _named(column: str, words: str) -> str:
    """A column as users write it, where a template names it so; any other way it may be a word of SQL's own."""
    return column if "{" in words and _PLAIN.fullmatch(column) else quote(column)


def _of(statement: CreateProxy, part: int) -> Position | None:
    return None if statement.places is None else statement.places[part]


def _bytes(key: str | bytes) -> bytes:
    return key.encode(errors="surrogatepass") if isinstance(key, str) else key

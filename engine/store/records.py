"""What the store holds, one class a table. Field names are column names, so a record is its own INSERT."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Literal, NamedTuple

from ..errors import ProgrammingError

Phase = Literal["serve", "calibrate", "reask"]
Outcome = Literal["ok", "invalid", "error"]
OptionValue = str | int | float | bool

PREVIEW_CHARS = 200
SECRET_OPTION = re.compile(
    r"(api_?)?key|.*(token|password|passwd|secret|credentials?|authorization|headers)", re.IGNORECASE
)
SECRET_NAME = "api_key_secret"  # holds the name of a DuckDB secret, as api_key_env holds that of a variable


class CallRecord(NamedTuple):
    """One model call, as it happened. A tuple, because there is one for every call, and it goes to SQLite as it is.

    Parameters
    ----------
    at : Unix time in seconds.
    query_id, call_site, function, model : who asked: the query, the place in it (``1:LLM_FILTER``), the SQL function
        and the model's catalogue name.
    phase : ``serve`` for a row, ``calibrate`` for a probe before the rows, ``reask`` after an invalid answer.
    key : the request's 32-byte key, under which an answer is kept.
    tokens_in, tokens_out, tokens_cached : as the server counted them; ``None`` if it did not say.
    seconds : wall time of its last attempt.
    retries : failed attempts before that one, so that a server saw ``1 + retries`` requests.
    cost_usd : US dollars; ``None`` is "unknown", never "free".
    outcome, error : what became of it.
    queue_seconds : what passed before the attempt that ``seconds`` is of was sent: waiting for a slot and for rates, and
        earlier attempts; ``None``: the model does not tell.
    price_source : where ``cost_usd`` comes from: ``CREATE MODEL``, ``local``, a price table and its version, ``unknown``.
    endpoint : where it was sent; ``None``: nowhere outside this process, or the model does not tell.
    discarded : nobody used it: another attempt was faster, the query was over, or its reader wanted no more rows.
    energy_j_low, energy_j, energy_j_high : joules, at least, likeliest and at most; ``None``: nobody counted the tokens.
    energy_method : how they were found: ``nvml``, ``provider``, ``table``, ``tdp`` or ``default``.
    co2_g : grams of CO₂ equivalent that ``energy_j`` emits. co2_source : whose figure for the electricity that is.
    """

    at: float
    query_id: str
    call_site: str
    function: str
    model: str
    phase: Phase
    key: bytes
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    seconds: float
    retries: int
    cost_usd: float | None
    outcome: Outcome
    error: str | None
    queue_seconds: float | None = None
    price_source: str | None = None
    endpoint: str | None = None
    discarded: bool = False
    energy_j_low: float | None = None
    energy_j: float | None = None
    energy_j_high: float | None = None
    energy_method: str | None = None
    co2_g: float | None = None
    co2_source: str | None = None


@dataclass(frozen=True, slots=True)
class Reuse:
    """Answers that one call site of a query found in the store, and what asking for them would have taken.

    Parameters
    ----------
    at : Unix time in seconds, of the first. cached : how many.
    avoided_cost_usd, avoided_energy_j, avoided_co2_g : sums of what is known; ``None``: of none of them.
    """

    at: float
    query_id: str
    call_site: str
    function: str
    model: str
    cached: int
    avoided_cost_usd: float | None = None
    avoided_energy_j: float | None = None
    avoided_co2_g: float | None = None


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that became NULL, and why.

    Parameters
    ----------
    input_preview : the row's inputs, kept to 200 characters. error : the message.
    row_number : which row of those that reached the call it was, from 1; ``None`` where rows have no order.
    input_digest : equal for equal inputs of the call; ``None`` if there is none.
    tries : model calls made for it, retries included; ``None`` if it is not known.
    """

    at: float
    query_id: str
    call_site: str
    function: str
    model: str
    input_preview: str
    error: str
    row_number: int | None = None
    input_digest: str | None = None
    tries: int | None = None


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as ``CREATE MODEL`` left it; names compare without regard to (ASCII) case."""

    name: str
    provider: str
    options: Mapping[str, OptionValue]
    created_at: float


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """What one query's calls add up to.

    Sums are over the calls whose figure is known; ``unknown_token_calls``, ``unknown_cost_calls`` and
    ``unknown_energy_calls`` count the others. ``failed_calls`` are without those that were discarded. A sum is ``None`` when there were calls and not one of them had a figure.
    """

    calls: int
    failed_calls: int
    retries: int
    seconds: float
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    cost_usd: float | None
    unknown_token_calls: int
    unknown_cost_calls: int
    discarded_calls: int = 0
    energy_j_low: float | None = 0.0
    energy_j: float | None = 0.0
    energy_j_high: float | None = 0.0
    co2_g: float | None = 0.0
    unknown_energy_calls: int = 0


CALL_COLUMNS = CallRecord._fields
ERROR_COLUMNS = tuple(field.name for field in fields(RowError))
_error_values = attrgetter(*ERROR_COLUMNS)


def call_row(record: CallRecord) -> tuple[object, ...]:
    """``record`` as values for SQLite."""
    texts = f"{record.call_site}{record.function}{record.model}{record.error}{record.endpoint}{record.price_source}"
    # A plain tuple: SQLite's module reads it faster than its subclass.
    return tuple(record) if texts.isascii() else tuple(map(storable, record))


def error_row(error: RowError) -> tuple[object, ...]:
    """``error`` as values for SQLite, its preview cut."""
    cut = replace(error, input_preview=error.input_preview[:PREVIEW_CHARS])
    return tuple(map(storable, _error_values(cut)))


def storable(value: object) -> object:
    """Replace lone surrogates, which text from servers may hold and SQLite cannot: they must not cost an answer."""
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="replace").decode()
    return value


def refuse_secrets(options: Mapping[str, OptionValue]) -> None:
    """Last line of defence: no option that by its name holds a secret reaches the file.

    >>> refuse_secrets({"api_key_env": "OPENAI_API_KEY", "max_tokens": 5})
    """
    for name in options:
        if SECRET_OPTION.fullmatch(name) and name != SECRET_NAME:
            raise ProgrammingError(
                f"option {name!r} would write a secret to disk. Put the secret in an environment variable and give the "
                "variable's name: api_key_env = 'NAME_OF_THE_VARIABLE'."
            )

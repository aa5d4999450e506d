"""Every error AnserDB raises, with PEP 249 at the root.

::

    Exception
    ├── Warning                          (PEP 249: important notices; never raised by a query)
    └── Error
        ├── InterfaceError               the connection or cursor was misused (closed, no result, …)
        └── DatabaseError
            ├── DataError                a value does not fit its type
            ├── IntegrityError           a constraint was violated
            ├── NotSupportedError        the query is legal SQL, but not (yet) possible here
            ├── ProgrammingError         the statement is wrong; ``position`` points into it
            │   ├── ParseError           it cannot be read
            │   └── BindError            a name, an option or a type in it is unknown; ``candidates`` has the nearest
            ├── OperationalError         the world failed, not the statement
            │   ├── ModelError           a model call failed
            │   │   ├── RateLimited      … and said when to come back (``retry_after_s``)
            │   │   ├── ModelTimeout     … or did not answer in time
            │   │   ├── ModelUnavailable … or nobody listens there
            │   │   └── InvalidAnswer    … or answered outside the announced type
            │   ├── BudgetExceeded       a cap on money or calls was reached; what was paid for is kept
            │   ├── InfeasiblePlan       no plan meets the constraints that were set; the nearest is named
            │   ├── DownloadError        a model file could not be fetched, or is not what it should be
            │   └── Interrupted          the user stopped the query (Ctrl-C, ``interrupt()``, a closed result)
            └── InternalError            our fault
                └── RuleBug              an optimizer rule broke the plan; its name says which to switch off
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass


class Warning(Exception):  # noqa: A001 (PEP 249 demands the name)
    """Important notice, as PEP 249 defines it."""


class Error(Exception):
    """Base of every error of this package.

    Parameters
    ----------
    message : what happened and what to do next.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class InterfaceError(Error):
    """The connection, cursor or result was misused."""


class DatabaseError(Error):
    """Anything that went wrong on the database's side."""


class DataError(DatabaseError):
    """A value does not fit the type it has to have."""


class IntegrityError(DatabaseError):
    """A constraint was violated."""


class NotSupportedError(DatabaseError):
    """Legal, but not possible here."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the user's SQL: ``start`` and ``end`` are 0-based character offsets, ``end`` exclusive."""

    sql: str
    start: int
    end: int

    def caret(self) -> str:
        """The line that holds the place, with a marker line under it.

        >>> print(Position("SELECT LLM_FLTER(1)", 7, 16).caret())
        LINE 1: SELECT LLM_FLTER(1)
                       ^^^^^^^^^
        """
        line_start = self.sql.rfind("\n", 0, self.start) + 1
        line_end = self.sql.find("\n", self.start)
        line = self.sql[line_start : line_end if line_end >= 0 else len(self.sql)]
        prefix = f"LINE {self.sql.count(chr(10), 0, self.start) + 1}: "
        width = max(1, min(self.end, line_start + len(line)) - self.start)
        return f"{prefix}{line}\n{' ' * (len(prefix) + self.start - line_start)}{'^' * width}"


class ProgrammingError(DatabaseError):
    """The statement is wrong.

    Parameters
    ----------
    message : what is wrong and how to mend it.
    position : the place in the statement, printed under the message when known.
    """

    def __init__(self, message: str = "", position: Position | None = None) -> None:
        super().__init__(f"{message}\n{position.caret()}" if position else message)
        self.position = position

    def at(self, position: Position) -> ProgrammingError:
        """The same error about another place."""
        moved = copy.copy(self)
        moved.message = self.message.replace(f"\n{self.position.caret()}" if self.position else "", "", 1)
        moved.message += f"\n{position.caret()}"
        moved.args, moved.position = (moved.message,), position
        return moved


class ParseError(ProgrammingError):
    """The statement cannot be read."""


class BindError(ProgrammingError):
    """A name, option, type or value in the statement is unknown or unfit.

    Parameters
    ----------
    name : the offending word.
    candidates : nearest known words, best first.
    """

    def __init__(
        self, message: str = "", position: Position | None = None, name: str = "", candidates: Sequence[str] = ()
    ) -> None:
        hint = f" Did you mean {' or '.join(candidates)}?" if candidates else ""
        super().__init__(message + hint, position)
        self.name = name
        self.candidates = tuple(candidates)


class OperationalError(DatabaseError):
    """The world failed: a server, a file, a limit."""


class ModelError(OperationalError):
    """A model call failed. ``model`` names it; ``retryable`` says whether the same call may succeed later.

    ``hopeless``: it is not about the row (a wrong key, an unknown model, a used-up quota), so no other row need be asked.
    """

    retryable = False
    hopeless = False

    def __init__(self, message: str = "", model: str = "") -> None:
        super().__init__(message)
        self.model = model


class RateLimited(ModelError):
    """The server asked for fewer requests; ``retry_after_s`` is its own figure in seconds, if it gave one."""

    retryable = True

    def __init__(self, message: str = "", model: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, model)
        self.retry_after_s = retry_after_s


class ModelTimeout(ModelError):
    """The model did not answer in time."""

    retryable = True


class ModelUnavailable(ModelError):
    """The endpoint cannot be reached, is failing (HTTP 5xx), or dropped the connection."""

    retryable = True


class InvalidAnswer(ModelError):
    """The model answered outside the announced type; ``answer`` is its text, cut to 200 characters."""

    def __init__(self, message: str = "", model: str = "", answer: str = "") -> None:
        super().__init__(message, model)
        self.answer = answer[:200]


class BudgetExceeded(OperationalError):
    """A cap was reached. Answers already paid for stay in the store: run the query again after raising the cap.

    Parameters
    ----------
    setting : the SQL setting that holds the cap (``llm_max_cost_usd`` or ``llm_max_calls``).
    spent, limit : in the setting's unit (US dollars, or calls).
    rows_done : answers that this query had received.
    """

    def __init__(
        self, message: str = "", setting: str = "", spent: float = 0, limit: float = 0, rows_done: int = 0
    ) -> None:
        super().__init__(message)
        self.setting, self.spent, self.limit, self.rows_done = setting, spent, limit, rows_done


class InfeasiblePlan(OperationalError):
    """No plan is expected to meet what ``llm_min_quality``, ``llm_max_cost_usd`` and ``llm_max_seconds`` ask; nothing was run."""


class DownloadError(OperationalError):
    """A model file could not be fetched, or its hash is wrong."""


class Interrupted(OperationalError):
    """The query was stopped by its user. Answers already received stay in the store."""


class InternalError(DatabaseError):
    """A fault of AnserDB itself."""


class RuleBug(InternalError):
    """An optimizer rule changed what it must not; switch it off with ``SET llm_disabled_rules = '<rule>'``."""

    def __init__(self, message: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule

"""``CALL llm_feedback('table', 'call')``: right answers that the user has, for policies to learn from."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import Position


@dataclass(frozen=True, slots=True)
class GiveFeedback:
    """Rows of a table with the inputs of a call, and its right answers in the column ``label``.

    Parameters
    ----------
    table : of the user's database. call : as in a query, its inputs named as the table's columns.
    """

    table: str
    call: str
    place: Position | None = field(default=None, compare=False, repr=False)

    @property
    def query(self) -> str:
        """A query with the call, which names the table as its labels.

        >>> GiveFeedback("gold", "LLM_FILTER('it is rude', body)").query
        "SELECT LLM_FILTER('it is rude', body, labels := 'gold') FROM gold"
        """
        table = self.table.replace("'", "''")
        return f"SELECT {self.call.rstrip()[:-1]}, labels := '{table}') FROM {self.table}"

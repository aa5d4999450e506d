"""Right answers that the user has for some inputs of a call (``labels := 'gold'``)."""

from __future__ import annotations

from dataclasses import dataclass

LABEL = "label"
"""The column that has the right answer."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A table of labelled inputs. What arms say is compared with the labels instead of with the reference's answers.

    Parameters
    ----------
    table : in the user's words. inputs : columns of ``sql``, in the order of the call's arguments.
    sql : a query that gives the inputs, in the types of the arguments, and ``label``, in the type of the answer; no NULLs.
    digest : of its rows, so that nothing that was proved by other labels counts.
    """

    table: str
    inputs: tuple[str, ...]
    sql: str
    digest: str

    @property
    def words(self) -> str:
        """What quality is agreement with."""
        return f"labels in {self.table}"

    def arm(self, name: str) -> str:
        """An arm as statistics know it where it was compared with these labels.

        >>> Truth("gold", ("i0",), "", "3-1f").arm("small")
        'small by labels in gold 3-1f'
        """
        return f"{name} by {self.words} {self.digest}"

"""What the reference has said so far, and in which order rows are drawn."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from .certificate import Flags, Rows

Asking = Generator[Rows, None, None]
"""Yields rows whose answers must be told before it goes on."""


class Sample:
    """Labels of rows as they come.

    Parameters
    ----------
    order : all rows, in the order in which they are drawn.
    """

    __slots__ = ("drawn_as", "known", "label", "order")

    def __init__(self, order: Rows) -> None:
        rows = len(order)
        self.order = order
        self.known: Flags = np.zeros(rows, np.bool_)
        self.label: Flags = np.zeros(rows, np.bool_)
        self.drawn_as = np.empty(rows, np.int64)
        self.drawn_as[order] = np.arange(rows)

    def learn(self, rows: Rows, labels: Flags) -> None:
        """What came of them."""
        self.known[rows] = True
        self.label[rows] = labels

    def ask(self, rows: Rows) -> Asking:
        """Ask about those of the rows that are not known."""
        unknown = rows[~self.known[rows]]
        if len(unknown):
            yield unknown

    def positives(self, rows: Rows) -> int:
        """How many of them are known to be so."""
        return int(np.count_nonzero(self.label[rows] & self.known[rows]))

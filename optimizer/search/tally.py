"""What rows have said of one arm so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .bounds import Bet, Proof
from .sequential import SequentialProof


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier runs of the same task, on the same data, found of an arm.

    Parameters
    ----------
    rows, agreed : that were compared, and the sum of agreements. kept : rows among them that the reference kept (BOOLEAN).
    """

    rows: float = 0.0
    agreed: float = 0.0
    kept: float = 0.0

    @property
    def either(self) -> float:
        """Rows that the reference kept and rows that the arm kept, added up; at least, as how many the arm kept is not known."""
        return max(0.0, 2 * self.kept - (self.rows - self.agreed))


NOTHING = Earlier()


@dataclass(slots=True)
class Tally:
    """What is known of one arm.

    Parameters
    ----------
    agreed, rows : Σ and number of agreements with the reference. certified : what rows after the first wave prove.
    kept_both, kept_mine, kept_theirs : rows that both, this arm, the reference kept (answers that are TRUE).
    why : it is out, and for what reason ("": it is in).
    earlier : what runs before this one found. doubt : bets that this is no longer so.
    audited, agreed_in_audits : rows compared while it serves; they are for later runs and prove nothing in this one.
    """

    agreed: float = 0.0
    rows: int = 0
    certified: Proof | SequentialProof | None = None
    kept_both: int = 0
    kept_mine: int = 0
    kept_theirs: int = 0
    why: str = ""
    earlier: Earlier = NOTHING
    doubt: Bet | None = None
    audited: int = 0
    agreed_in_audits: float = 0.0

    def see(self, same: float, mine: Any, theirs: Any) -> None:
        """One row that both were asked about."""
        self.rows += 1
        self.agreed += same
        self.kept_both += mine is True and theirs is True
        self.kept_mine += mine is True
        self.kept_theirs += theirs is True
        if self.certified is not None:
            self.certified.see(same)

    def surprising(self, same: float) -> bool:
        """Whether such rows are so unlike those of earlier runs that these are to be forgotten; they are, then."""
        if self.doubt is None:
            return False
        self.doubt.see(same)
        if not self.doubt.won():
            return False
        self.earlier, self.certified, self.doubt = NOTHING, None, None
        return True

    def audit(self, same: float) -> None:
        """One row that was audited."""
        self.audited += 1
        self.agreed_in_audits += same

    def f1(self) -> float:
        """Of the rows it keeps, against those that the reference keeps; 1 while neither keeps any. Of this run."""
        kept = self.kept_mine + self.kept_theirs
        return 2 * self.kept_both / kept if kept else 1.0

    def mean(self) -> float:
        """Mean agreement over all rows of this run that were compared."""
        return self.agreed / self.rows if self.rows else 1.0

    @property
    def known(self) -> tuple[float, float]:
        """Σ of agreements and rows, of earlier runs, too. A row of this run takes the place of one of theirs: it may be the same."""
        left = self._left
        return self.agreed + left * self.earlier.agreed, self.rows + left * self.earlier.rows

    @property
    def kept(self) -> tuple[float, float]:
        """Rows that the reference kept, and these and the arm's added up; of earlier runs, too."""
        left = self._left
        mine = self.kept_mine + self.kept_theirs
        return self.kept_theirs + left * self.earlier.kept, mine + left * self.earlier.either

    @property
    def lost_f1(self) -> float:
        """1 − F1 if the next row were a disagreement: their share among rows that either side keeps, each side counted."""
        agreed, rows = self.known
        return (rows - agreed + 1) / (self.kept[1] + 1)

    @property
    def _left(self) -> float:
        return max(0.0, 1.0 - self.rows / self.earlier.rows) if self.earlier.rows else 0.0

"""Which failures of single questions are the query's: where failures end it, and where nobody is there to answer any."""

from __future__ import annotations

from ...errors import DataError, ModelError
from .answers import with_place
from .questions import hopeless


class Patience:
    """Bears failures of questions that are asked beside each other.

    Parameters
    ----------
    site : of the call, for messages. strict : the first failure ends the query.
    """

    def __init__(self, site: str, *, strict: bool) -> None:
        self._site, self._strict = site, strict
        self._first_failures: list[Exception] = []
        self._answered = False

    def answered(self) -> None:
        """A question was: somebody is there."""
        self._answered = True

    def bear(self, error: ModelError | DataError, preview: str) -> None:
        """Raise the error if it is not this question's alone.

        Parameters
        ----------
        preview : of what was asked.
        """
        if self._strict:
            raise with_place(error, f"{self._site} failed on input '{preview}'") from error
        if isinstance(error, ModelError) and error.hopeless:
            raise error
        if not self._answered and all(error is not earlier for earlier in self._first_failures):
            self._first_failures.append(error)
            if hopeless(self._first_failures):
                raise error

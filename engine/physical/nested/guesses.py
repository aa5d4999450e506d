"""What is made of lists that are not whole yet: it may turn out that it should never have set out."""

from __future__ import annotations

from collections.abc import Iterable

Path = tuple[int, ...]


class Guesses:
    """Rows of lists that the model is still writing, of a whole pipeline.

    Attributes
    ----------
    void : rows that should not have set out.
    """

    def __init__(self) -> None:
        self.void: set[Path] = set()
        self._growing: set[Path] = set()
        self._failed: dict[Path, Exception] = {}

    def grow(self, parents: Iterable[Path]) -> None:
        """The lists of these rows are heard, but not whole."""
        self._growing.update(parents)

    def final(self, parents: Iterable[Path]) -> None:
        """The lists of these rows are whole. Raises what has failed on a row that is none of a guess after all."""
        self._growing.difference_update(parents)
        failed, self._failed = self._failed, {}
        for path, error in failed.items():
            self.fail(path, error)

    def fail(self, path: Path, error: Exception) -> None:
        """An expression cannot be computed for a row: raises it, unless the row is void, or may yet be."""
        prefixes = _prefixes(path)
        if not self.void.isdisjoint(prefixes):
            return
        if self._growing.isdisjoint(prefixes):
            raise error
        self._failed[path] = error

    def doubt(self, path: Path) -> bool:
        """Whether a row is void, or may yet be."""
        if not (self.void or self._growing):
            return False
        prefixes = _prefixes(path)
        return not (self.void.isdisjoint(prefixes) and self._growing.isdisjoint(prefixes))


def _prefixes(path: Path) -> list[Path]:
    return [path[:length] for length in range(1, len(path) + 1)]

"""How many calls a failure took. Kept beside the error, because wrappers at several levels add their share."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ...engine.errors import Error

_tries: WeakKeyDictionary[Error, int] = WeakKeyDictionary()


def tries_of(error: BaseException) -> int:
    """The calls made until this failure; at least one.

    >>> failure = Error()
    >>> set_tries(failure, 3)
    >>> tries_of(failure), tries_of(Error())
    (3, 1)
    """
    return _tries.get(error, 1) if isinstance(error, Error) else 1


def set_tries(error: BaseException, count: int) -> None:
    """Note them; an error that is not one of ours is a bug and no row's failure."""
    if isinstance(error, Error):
        _tries[error] = count

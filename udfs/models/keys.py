"""Where a model's key is: in an environment variable, or in a secret of the database. Read when it is needed; never kept
in a catalogue entry, a message or a repr."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

ReadSecret = Callable[[str], str]
"""The key in the secret of that name. Raises LookupError that says what to do."""


def no_secrets(name: str) -> str:
    """The reader where no database is at hand."""
    raise LookupError(f"Secret {name} can only be read on an AnserDB connection; use api_key_env here.")


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key in a DuckDB secret.

    Parameters
    ----------
    name : the secret's. reader : fetches the key from it.
    """

    name: str
    reader: ReadSecret = field(default=no_secrets, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where one model's key is.

    Parameters
    ----------
    variable : the environment variable. secret : the secret that is used in its place, if there is one.

    >>> str(KeySource("OPENAI_API_KEY")), str(KeySource("OPENAI_API_KEY", SecretKey("openai")))
    ('environment variable OPENAI_API_KEY', 'DuckDB secret openai')
    """

    variable: str
    secret: SecretKey | None = None

    def read(self) -> str:
        """The key; "" if there is none in the environment. Raises LookupError where a secret cannot be read."""
        if self.secret is not None:
            return self.secret.reader(self.secret.name)
        return os.environ.get(self.variable, "").strip()

    def __str__(self) -> str:
        return f"environment variable {self.variable}" if self.secret is None else f"DuckDB secret {self.secret.name}"

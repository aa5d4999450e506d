"""How a form of call of another system declares itself. The rewriting, its errors and docs/dialects.md derive from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .parts import Parts

if TYPE_CHECKING:
    from .spoken import Spoken

MODEL = "model"
"""An option that names a model: one that is not in our catalogue is answered by the default model, with a notice."""

DETAILS = "details"
"""An option that asks for errors as values when it is true."""

IGNORED = "ignored"
"""An option that has no meaning here: accepted, with a notice."""

PARAMETERS = "parameters"
"""An option that holds a model's parameters: temperature and length are ours, the others have no meaning here."""

CODE = "code"
"""An option that the form's own function reads."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of call.

    Parameters
    ----------
    names : what it may be called, upper case; ``AI.IF`` has a dot.
    parameters : positional parameters, which may be given by name, too, in any case. required : how many of them have to be given.
    variadic : further positional arguments are allowed.
    options : named arguments and what becomes of them: ``MODEL``, ``DETAILS``, ``IGNORED``, ``PARAMETERS``, ``CODE``, or the name of an
        option of ours, which then gets the value. Common options of ours are always allowed.
    rewrite : the canonical call. Raises ``ValueError`` with a message for the user.
    matches : whether a call of that name has this form; the first form that matches is taken.
    needs : functions of ours that it is rewritten to.
    result : its type, in words. summary : one line. example : a runnable query.
    aggregate : whether DISTINCT, ORDER BY and FILTER may stand in it.
    on_error : what a failed row becomes where the call does not say ("" : as the setting has it).
    """

    names: tuple[str, ...]
    parameters: tuple[str, ...]
    rewrite: Callable[[Spoken], Parts]
    needs: tuple[str, ...]
    result: str
    summary: str
    example: str
    options: Mapping[str, str] = field(default_factory=dict)
    matches: Callable[[Spoken], bool] = lambda _: True
    required: int = 1
    variadic: bool = False
    aggregate: bool = False
    on_error: str = ""

    @property
    def takes(self) -> dict[str, str]:
        """Everything that has a name, as it is spelled, by its lower-case name."""
        return {name.lower(): name for name in (*self.parameters, *self.options)}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A system's forms.

    Parameters
    ----------
    name : as its users call it. summary : what its users should know, for the page.
    same : names of it that ours answer to as they are, where we have them.
    """

    name: str
    forms: tuple[Form, ...]
    summary: str
    same: tuple[str, ...] = ()

    @property
    def possessive(self) -> str:
        """Its name before what is its own.

        >>> Dialect("Databricks", (), "").possessive
        "Databricks'"
        """
        return f"{self.name}'" if self.name.endswith("s") else f"{self.name}'s"

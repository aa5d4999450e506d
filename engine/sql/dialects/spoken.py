"""One call of a dialect, opened for the function that rewrites it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ...errors import BindError
from ..call_text import WrittenCall, position
from ..catalog import Catalog
from ..common_options import common_options
from ..tokens import Range, Text
from .form import CODE, DETAILS, IGNORED, MODEL, PARAMETERS, Dialect, Form
from .parts import New, Part, Parts, entries, joined, literal
from .prompt import Prompt, read_prompt

_MODEL_PARAMETERS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxoutputtokens": "max_tokens",
}
_TRUE = ("TRUE", "FALSE")


def ended(message: str) -> str:
    """A message with a mark at its end."""
    return message if message.endswith((".", "?", "!")) else f"{message}."


@dataclass(slots=True)
class Notes:
    """What the user should be told of a statement: options without meaning by dialect, and models we do not have."""

    ignored: dict[str, dict[str, None]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)

    def lines(self) -> tuple[str, ...]:
        """The notices, one about each matter."""
        without_meaning = [
            f"{', '.join(names)} of {dialect} {'has' if len(names) == 1 else 'have'} no meaning here and "
            f"{'is' if len(names) == 1 else 'are'} ignored."
            for dialect, names in self.ignored.items()
        ]
        return (*without_meaning, *self.models.values())


class Spoken:
    """A call with its arguments by the names of a form's parameters.

    Parameters
    ----------
    name : as the user wrote it. written : the call's text.
    """

    def __init__(
        self, text: Text, written: WrittenCall, name: str, form: Form, dialect: Dialect, catalog: Catalog, notes: Notes
    ) -> None:
        self.text, self.written, self.name, self.catalog = text, written, name, catalog
        self.form, self.dialect, self.notes = form, dialect, notes
        self.parameters = tuple(name.lower() for name in form.parameters)
        self.meanings = {name.lower(): meaning for name, meaning in form.options.items()}
        self.given = dict(zip(self.parameters, written.arguments, strict=False)) | dict(written.options)
        self.rest = written.arguments[len(self.parameters) :]
        self._trailing_details()

    def _trailing_details(self) -> None:
        """Snowflake takes ``return_error_details`` as a last argument without its name, too."""
        last = self.written.arguments[-1] if self.written.arguments else None
        if last is None or self.text.word(last.lo) not in _TRUE or last.hi - last.lo != 1:
            return
        for option, meaning in self.meanings.items():
            if meaning == DETAILS:
                self.given = {n: w for n, w in self.given.items() if w != last} | {option: last}
                self.rest = tuple(r for r in self.rest if r != last)

    def check(self) -> None:
        """Raise ``BindError`` for too few or many arguments, or an option that is none."""
        for option, where in self.written.options.items():
            self._check_option(option, where)
        whole = position(self.text, self.written.whole)
        given = self.parameters[: len(self.written.arguments)]
        twice = [name for name in given if name in self.written.options]
        if twice:
            raise BindError(f"{twice[0]} is given twice.", whole, twice[0])
        missing = [name for name in self.form.parameters[: self.form.required] if name.lower() not in self.given]
        if missing or (self.rest and not self.form.variadic):
            what = f"{missing[0]} is missing" if missing else f"{len(self.written.arguments)} are given"
            listed = ", ".join(self.form.parameters)
            raise BindError(f"{self.dialect.possessive} {self.name} takes ({listed}); {what}.", whole, self.name)

    def _check_option(self, option: str, where: Range) -> None:
        takes = self.form.takes
        known = {**{name: name for name in self._of_target()}, **takes}
        if option in known:
            return
        near = [known[name] for name in difflib.get_close_matches(option, sorted(known), n=2)]
        message = f"{self.dialect.possessive} {self.name} has no option {option}; it takes {', '.join(takes.values())}."
        raise BindError(message, position(self.text, Range(where.lo - 2, where.lo - 1)), option, near)

    def get(self, name: str) -> Range | None:
        """The argument, if it is given; ``name`` in lower case."""
        return self.given.get(name)

    def constant(self, where: Range) -> Any:
        """The value of an argument without columns. Raises ``BindError`` if it has one."""
        word = self.text.word(where.lo)
        if where.hi - where.lo == 1 and word.startswith("'"):  # most are, and DuckDB takes its time
            return word[1:-1].replace("''", "'")
        try:
            return self.catalog.constant(self.text.source(where))
        except duckdb.Error:
            message = f"This argument of {self.dialect.possessive} {self.name} must be a constant."
            raise BindError(message, position(self.text, where), self.name) from None

    def value(self, name: str, default: Any = None) -> Any:
        """The constant given under a name."""
        where = self.get(name)
        return default if where is None else self.constant(where)

    def prompt(self, name: str) -> Prompt:
        """The argument as an instruction and its inputs."""
        return read_prompt(self.text, self.given[name], self.constant)

    def entries(self, where: Range) -> dict[str, Range]:
        """The entries of a struct or map that stands as a literal."""
        found = entries(self.text, where, self.constant)
        if found is None:
            raise self.wrong(where, "must be written as {'name': value, …}")
        return found

    def wrong(self, where: Range, what: str) -> BindError:
        """The error about an argument."""
        message = f"This argument of {self.dialect.possessive} {self.name} {ended(what)}"
        return BindError(message, position(self.text, where), self.name)

    def typed(self, where: Range, read: Callable[[Any], str]) -> New:
        """A constant read as a type, as a literal."""
        try:
            return New(literal(read(self.constant(where))), where)
        except ValueError as error:
            raise self.wrong(where, f"is not right: {error}") from None

    @property
    def details(self) -> bool:
        """Whether errors are asked for as values."""
        asked = [option for option, meaning in self.meanings.items() if meaning == DETAILS]
        return any(bool(self.value(option)) for option in asked)

    def ignore(self, *options: str) -> None:
        """Note that options have no meaning here."""
        if options:
            self.notes.ignored.setdefault(self.dialect.name, {}).update(dict.fromkeys(options))

    # --- what is written ----------------------------------------------------------------------------------------

    def call(
        self, function: str, arguments: list[Parts], options: Mapping[str, Part] | None = None, *, details: bool = False
    ) -> Parts:
        """``function(arguments, options)`` with the options of the user's call, and an aggregate's modifiers.

        ``options`` are the form's own. ``details`` : the answer is a STRUCT of value and error, for :meth:`shaped`.
        """
        named = {**{n: (p,) for n, p in (options or {}).items()}, **self._options()}
        if self.form.on_error and "on_error" not in named:
            named["on_error"] = (literal(self.form.on_error),)
        if details:
            named["on_error"] = ("'details'",)
        written = [*arguments, *((f"{name} := ", *value) for name, value in named.items())]
        distinct = ("DISTINCT ",) if self.written.distinct else ()
        order = (" ORDER BY ", self.written.order_by) if self.written.order_by else ()
        kept = (" FILTER (WHERE ", self.written.filter, ")") if self.written.filter else ()
        return (f"{function}(", *distinct, *joined(written), *order, ")", *kept)

    def shaped(self, call: Parts, body: str) -> Parts:
        """The call's answer ``r`` in another shape; NULL stays NULL, and the call stands in the text once."""
        return ("(list_transform([", *call, f"], lambda r: CASE WHEN r IS NOT NULL THEN {body} END)[1])")

    def _of_target(self) -> set[str]:
        """Options of the functions that the form is rewritten to."""
        functions = [self.catalog.functions[name] for name in self.form.needs if name in self.catalog.functions]
        return {option.name for function in functions for option in (*common_options(function), *function.options)}

    def _options(self) -> dict[str, Parts]:
        found: dict[str, Parts] = {}
        for option, where in self.given.items():
            meaning = self.meanings.get(option)
            if meaning is None:
                ours = option not in self.parameters
                found |= {option: (where,)} if ours else {}
            elif meaning == MODEL:
                found |= self.model(where)
            elif meaning == IGNORED:
                self.ignore(self.form.takes[option])
            elif meaning == PARAMETERS:
                found |= {ours: (part,) for ours, part in self.model_parameters(where).items()}
            elif meaning not in (CODE, DETAILS):
                found[meaning] = (where,)
        return found | ({"on_error": ("'details'",)} if self.details else {})

    def model(self, where: Range) -> Mapping[str, Parts]:
        """``model := …`` where we have such a model; else a notice, and nothing."""
        name = str(self.constant(where))
        try:
            self.catalog.capabilities(name)
        except BindError:
            self.notes.models[name] = (
                f"There is no model {name}: the default model answers in its place. CREATE MODEL "
                f'"{name}" (…) gives it one of its own.'
            )
            return {}
        return {"model": (where,)}

    def model_parameters(self, where: Range) -> dict[str, Part]:
        """Temperature and length out of a struct of model parameters, or JSON text of one; the others are noted."""
        fields: Mapping[str, Part] = (
            self._json(where) if self.text.word(where.hi - 1)[:1] == "'" else self.entries(where)
        )
        found: dict[str, Part] = {}
        for name, value in fields.items():
            ours = _MODEL_PARAMETERS.get(name.lower())
            if ours:
                found[ours] = value
            else:
                self.ignore(name)
        return found

    def _json(self, where: Range) -> dict[str, Part]:
        """The members of an object in JSON text, those of Gemini's generation configuration among them."""
        try:
            read = json.loads(str(self.constant(where)))
        except ValueError:
            raise self.wrong(where, "is not JSON") from None
        if not isinstance(read, dict):
            raise self.wrong(where, "must be a JSON object: '{\"temperature\": 0}'")
        for name in ("generationConfig", "generation_config"):
            inner = read.pop(name, None)
            read |= inner if isinstance(inner, dict) else {}
        return {
            name: New(literal(value) if isinstance(value, str) else json.dumps(value), where)
            for name, value in read.items()
        }

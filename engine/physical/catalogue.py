"""Carries out the statements about models, prompts, secrets, settings and answers."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from ...optimizer.pipeline import disabled
from ...udfs.functions import functions
from ...udfs.models.base import ModelSpec
from ...udfs.models.http_errors import holds_key, redact
from ..errors import BindError, Position, ProgrammingError
from ..settings import Settings
from ..sql.prompt_names import NAME
from ..sql.statements import (
    AlterModel,
    CatalogueStatement,
    CompactAnswers,
    CreateModel,
    CreatePrompt,
    DropAnswers,
    DropModel,
    DropPrompt,
    DropProxy,
    RenameModel,
    SecretStatement,
    SetSetting,
    ShowModels,
    ShowPrompts,
    ShowProxies,
)
from ..store import Store
from . import system_tables
from .duck import Duck
from .duck_secrets import run_secret
from .model_pool import ModelPool
from .proxy_table import proxies_table


class Catalogue:
    """What ``CREATE``, ``ALTER``, ``DROP``, ``SHOW`` and ``SET`` change and show.

    Parameters
    ----------
    store, models, settings, duck : the connection's.
    """

    def __init__(self, store: Store, models: ModelPool, settings: Settings, duck: Duck) -> None:
        self._store, self._models, self._settings, self._duck = store, models, settings, duck

    def carry_out(self, statement: CatalogueStatement) -> pa.Table | None:
        """Run a statement; SHOW gives a table.

        Raises
        ------
        ProgrammingError : a name, provider or option is unknown or taken. OperationalError : a built-in model.
        """
        match statement:
            case SecretStatement():
                return run_secret(self._duck, statement.sql)
            case ShowModels():
                return system_tables.models(self._models)
            case ShowPrompts():
                return system_tables.current_prompts(self._store)
            case ShowProxies():
                return proxies_table(self._store.proxies.all())
            case DropAnswers():
                return self._drop_answers(statement)
            case CompactAnswers():
                space = self._store.cache.compact()
                return pa.table({"bytes_before": [space.before], "bytes_after": [space.after]})
        self._change(statement)
        return None

    def _change(
        self,
        statement: SetSetting
        | CreateModel
        | AlterModel
        | RenameModel
        | DropModel
        | CreatePrompt
        | DropPrompt
        | DropProxy,
    ) -> None:
        match statement:
            case SetSetting():
                tried = self._settings.model_copy()
                tried.assign(statement.name, statement.value)
                disabled(tried)  # or each query from now on would be refused
                self._settings.assign(statement.name, statement.value)
            case CreateModel() | AlterModel():
                with _placed(statement.places):
                    self._create(statement) if isinstance(statement, CreateModel) else self._alter(statement)
            case RenameModel():
                _without_key(statement.new_name, {})
                self._models.rename(statement.name, statement.new_name)
            case DropModel():
                if not self._models.drop(statement.name) and not statement.if_exists:
                    self._models.own(statement.name, "dropped")
            case CreatePrompt():
                self._create_prompt(statement)
            case DropPrompt():
                self._drop_prompt(statement)
            case DropProxy():
                self._drop_proxy(statement)

    def _drop_answers(self, statement: DropAnswers) -> pa.Table:
        function = None if statement.function is None else _canonical(statement.function, statement.place)
        gone = self._store.cache.clear(model=statement.model, function=function, older_than_s=statement.older_than_s)
        return pa.table({"answers": [gone]})

    def _create(self, statement: CreateModel) -> None:
        stored = {m.name.lower() for m in self._store.models()}
        if statement.if_not_exists and statement.name.lower() in stored:
            return
        _without_key(statement.name, statement.options)
        options = {name: value for name, value in statement.options.items() if value is not None}
        self._models.create(ModelSpec(statement.name, statement.provider, options), replace=statement.replace)

    def _alter(self, statement: AlterModel) -> None:
        if "provider" in statement.options:
            raise BindError(
                f"A model's provider stays: CREATE OR REPLACE MODEL {statement.name} USING … makes another model.",
                name="provider",
            )
        _without_key(statement.name, statement.options)
        self._models.alter(statement.name, statement.options)

    def _create_prompt(self, statement: CreatePrompt) -> None:
        name = statement.name
        if not NAME.fullmatch(name):
            raise BindError("A prompt's name has no blanks, quotes or @ in it.", statement.place, name)
        if holds_key(statement.text):
            raise BindError(
                f"The prompt {name} seems to hold a key, which would be stored and sent to models. Keys belong into "
                "environment variables (api_key_env) or DuckDB secrets (api_key_secret).",
                statement.place,
            )
        if statement.if_not_exists and any(p.name.lower() == name.lower() for p in self._store.prompts.all()):
            return
        self._store.prompts.put(name, statement.text, replace=statement.replace)

    def _drop_prompt(self, statement: DropPrompt) -> None:
        if self._store.prompts.drop(statement.name) or statement.if_exists:
            return
        near = difflib.get_close_matches(statement.name, {p.name for p in self._store.prompts.all()}, n=2)
        raise BindError(f"There is no prompt {statement.name}. SHOW PROMPTS lists them.", None, statement.name, near)

    def _drop_proxy(self, statement: DropProxy) -> None:
        if self._store.proxies.drop(statement.name) or statement.if_exists:
            return
        near = difflib.get_close_matches(statement.name, [p.name for p in self._store.proxies.all()], n=2)
        raise BindError(
            f"There is no proxy {statement.name}. SHOW PROXIES lists them.", statement.place, statement.name, near
        )


def _canonical(function: str, where: Position | None) -> str:
    """A function by its own name, from any of its names."""
    known = functions()
    if (found := known.get(function.upper())) is not None:
        return found.sql_name
    near = difflib.get_close_matches(function.upper(), known, n=2)
    raise BindError(f"There is no semantic function {function}.", where, function, near)


def _without_key(name: str, options: Mapping[str, object]) -> None:
    """A model's names would be stored, shown and sent. What other options hold is checked with them."""
    if redact(name) != name:
        raise BindError("The model's name seems to be a key, which would be stored. Name the model otherwise.")
    server_name = str(options.get("model", ""))
    if redact(server_name) != server_name:
        raise BindError(
            f"Option model of model {name} seems to hold a key, which would be stored. Put the key into an environment "
            "variable and name that: api_key_env 'OPENAI_API_KEY'.",
            name="model",
        )


@contextmanager
def _placed(places: Mapping[str, Position]) -> Iterator[None]:
    """Errors about a name that stands in the statement show where."""
    try:
        yield
    except BindError as error:
        place = _place(error, places)
        if error.position is not None or place is None:
            raise
        placed = copy.copy(error)
        ProgrammingError.__init__(placed, error.message, place)
        raise placed from None


def _place(error: BindError, places: Mapping[str, Position]) -> Position | None:
    about_provider = error.message.startswith("There is no model provider")
    return places.get("provider" if about_provider else error.name.lower())

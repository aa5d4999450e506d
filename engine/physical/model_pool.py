"""Models by name: those a backend brings along, those of ``CREATE MODEL``, each opened once for all connections that agree on it."""

from __future__ import annotations

import difflib
import itertools
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...udfs.models.base import Capabilities, Model, ModelSpec
from ...udfs.models.keys import ReadSecret, no_secrets
from ...udfs.models.registry import builtin_models, open_model, synonyms, validate
from ...udfs.models.wrap.gate import Limits
from ...udfs.models.wrap.hedge import Hedge
from ...udfs.models.wrap.limited import Limited
from ...udfs.models.wrap.retried import Retried
from ..dataflow import gates, loop
from ..dataflow.known_devices import informed
from ..errors import BindError, OperationalError
from ..settings import Settings
from ..store import Store

REGISTERED = "python"
"""The provider shown for a model that was given as an object."""

Key = tuple[str, str, str, int | None, float, int, float, int]
"""What connections have to agree on to share an open model; the last is the connection itself, where its secrets count."""


class _Shared:
    """Open models of the process and how many connections use each."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.models: dict[Key, tuple[Model, int]] = {}


_shared = _Shared()
_numbers = itertools.count(1)


class ModelPool:
    """A connection's view of the catalogue.

    Parameters
    ----------
    store, settings : the connection's. secrets : reads a key from a secret of its database.
    """

    def __init__(self, store: Store, settings: Settings, secrets: ReadSecret = no_secrets) -> None:
        self._store, self._settings, self._secrets = store, settings, secrets
        self._number = next(_numbers)
        self._held: dict[Key, Model] = {}
        self._registered: dict[str, Model] = {}
        self._lock = threading.Lock()  # two threads that open one model must not both count as its users

    def specs(self) -> dict[str, ModelSpec]:
        """Every model by name; a registered one hides a stored one of the same name, and that a built-in one."""
        stored = {m.name: ModelSpec(m.name, m.provider, m.options) for m in self._store.models()}
        registered = {name: ModelSpec(name, REGISTERED) for name in self._registered}
        return {**builtin_models(), **stored, **registered}

    def register(self, name: str, model: Model) -> None:
        """A model made in Python, for this connection; whoever made it closes it."""
        with self._lock:
            self._registered[name] = model
            self._held = {key: held for key, held in self._held.items() if key[:2] != (name, REGISTERED)}

    def create(self, spec: ModelSpec, *, replace: bool) -> None:
        """``CREATE MODEL``: checked before it is kept."""
        checked = validate(spec)
        self._store.put_model(checked.name, checked.provider, dict(checked.options), replace=replace)

    def alter(self, name: str, changes: Mapping[str, Any]) -> None:
        """``ALTER MODEL … SET``: the options as they are, with these changed, and those that are ``None`` taken away.

        Raises
        ------
        BindError : there is no such model, or it cannot have such an option. OperationalError : it is built in.
        """
        spec = self.own(name, "changed")
        changed = validate(ModelSpec(spec.name, spec.provider, {n: v for n, v in changes.items() if v is not None}))
        removed = synonyms(spec.provider, [n for n, v in changes.items() if v is None])
        kept = {n: v for n, v in spec.options.items() if n not in removed}
        self.create(replace(spec, options={**kept, **changed.options}), replace=True)

    def rename(self, name: str, new_name: str) -> None:
        """``ALTER MODEL … RENAME TO``. Raises as :meth:`alter`, and ProgrammingError where the new name is taken."""
        self._store.rename_model(self.own(name, "renamed").name, new_name)

    def drop(self, name: str) -> bool:
        """``DROP MODEL``; whether it was there."""
        return self._store.drop_model(name)

    def own(self, name: str, verb: str) -> ModelSpec:
        """A model of CREATE MODEL.

        Raises
        ------
        BindError : there is no such model. OperationalError : it is another kind, which cannot be what ``verb`` says.
        """
        spec = self.find(name)
        if all(m.name.lower() != spec.name.lower() for m in self._store.models()):
            if spec.provider == REGISTERED:
                raise OperationalError(f"{spec.name} was registered from Python and cannot be {verb} in SQL.")
            raise OperationalError(
                f"{spec.name} is built in and cannot be {verb}; CREATE MODEL {spec.name} USING … hides it."
            )
        return spec

    def find(self, name: str) -> ModelSpec:
        """A catalogue entry, by name in any case."""
        specs = self.specs()
        found = specs.get(name) or next((s for n, s in specs.items() if n.lower() == name.lower()), None)
        if found is None:
            near = difflib.get_close_matches(name, specs, n=2)
            raise BindError(
                f"There is no model {name}. SHOW MODELS lists them; CREATE MODEL adds one.", None, name, near
            )
        return found

    def open(self, name: str) -> tuple[Model, ModelSpec]:
        """The model, ready to be called (weights and connections come with the first call), and its entry."""
        spec = self.find(name)
        s = self._settings
        options = json.dumps(dict(spec.options), sort_keys=True, default=str)
        owner = self._number if "api_key_secret" in spec.options else 0
        key = (
            spec.name,
            spec.provider,
            options,
            s.llm_concurrency,
            s.llm_timeout_s,
            s.llm_max_retries,
            s.llm_hedge_ratio,
            owner,
        )
        with self._lock:
            if key not in self._held:
                given = self._registered.get(spec.name)
                self._held[key] = (
                    _acquire(key, spec, self._secrets, self._store) if given is None else _limited(given, key)
                )
            return self._held[key], spec

    def capabilities(self, name: str) -> Capabilities:
        """What a model can do."""
        return self.open(name)[0].capabilities

    def candidates(self) -> tuple[str, ...]:
        """Models that may answer for others (``llm_candidate_models``).

        Raises
        ------
        BindError : the setting names a model that does not exist.
        """
        asked = [name.strip() for name in self._settings.llm_candidate_models.split(",") if name.strip()]
        if asked:
            return tuple(self.find(name).name for name in asked)
        own = dict.fromkeys((*(m.name for m in self._store.models()), *self._registered))
        return tuple(name for name in own if self.capabilities(name).generates)

    def close(self) -> None:
        """Let go of what this connection opened; the last one closes the model."""
        with self._lock:
            held, self._held = self._held, {}
        for key in held:
            if key[1] != REGISTERED:
                _release(key)


def _acquire(key: Key, spec: ModelSpec, secrets: ReadSecret, store: Store) -> Model:
    with _shared.lock:
        found = _shared.models.get(key)
        if found is None:
            model = open_model(
                spec,
                gates=informed(gates.shared().open, spec, store),
                concurrency=key[3],
                timeout_s=key[4],
                max_retries=key[5],
                hedge_ratio=key[6],
                secrets=secrets,
            )
            found = (model, 0)
        _shared.models[key] = (found[0], found[1] + 1)
        return found[0]


def _limited(model: Model, key: Key) -> Model:
    # The object is the endpoint: connections that registered the same one share it.
    limits = Limits(f"{REGISTERED}:{key[0]}:{id(model)}", key[0], key[3] or model.capabilities.concurrency)
    hedge = Hedge(key[6]) if key[6] else None
    return Retried(Limited(model, gates.shared().open(limits), hedge=hedge), max_retries=key[5])


def _release(key: Key) -> None:
    with _shared.lock:
        model, users = _shared.models[key]
        if users > 1:
            _shared.models[key] = (model, users - 1)
            return
        del _shared.models[key]
    loop.submit(model.close()).result(timeout=30)

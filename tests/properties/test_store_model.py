"""The store behaves like two dictionaries, whatever is done to it in whatever order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from anserdb.engine.store import CallRecord, Store

KEYS = st.integers(0, 30).map(lambda number: number.to_bytes(32, "big"))
MODELS = st.sampled_from(["small", "large", "embedder"])


class StoreIsTwoDictionaries(RuleBasedStateMachine):
    """Answers by key and options by model name, kept in step with a store in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "shop.anser"
        self.store = Store.open(self.path)
        self.answers: dict[bytes, tuple[str, bytes]] = {}
        self.models: dict[str, dict[str, int]] = {}
        self.calls = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(calls=st.lists(st.tuples(KEYS, MODELS, st.none() | st.binary(max_size=50)), max_size=20))
    def save(self, calls: list[tuple[bytes, str, bytes | None]]) -> None:
        futures = []
        for key, model, answer in calls:
            outcome = "error" if answer is None else "ok"
            record = CallRecord(0, "q", "1:F", "F", model, "serve", key, None, None, None, 0, 0, None, outcome, None)  # type: ignore[arg-type]
            futures.append(self.store.save(record, answer))
            if answer is not None:
                self.answers.setdefault(key, (model, answer))
        for future in futures:
            future.result()
        self.calls += len(calls)

    @rule(keys=st.lists(KEYS, max_size=5))
    def forget_keys(self, keys: list[bytes]) -> None:
        gone = [key for key in set(keys) if self.answers.pop(key, None)]
        assert self.store.forget(keys=keys) == len(gone)

    @rule(model=MODELS)
    def forget_model(self, model: str) -> None:
        gone = [key for key, (owner, _) in self.answers.items() if owner == model]
        assert self.store.forget(model=model) == len(gone)
        for key in gone:
            del self.answers[key]

    @rule()
    def forget_everything(self) -> None:
        assert self.store.forget(everything=True) == len(self.answers)
        self.answers.clear()

    @rule(name=MODELS, options=st.dictionaries(st.sampled_from(["rpm", "tpm"]), st.integers(0, 9)))
    def put_model(self, name: str, options: dict[str, int]) -> None:
        self.store.put_model(name, "openai", options, replace=True)
        self.models[name] = options

    @rule(name=MODELS)
    def drop_model(self, name: str) -> None:
        assert self.store.drop_model(name) == (self.models.pop(name, None) is not None)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.path)

    @invariant()
    def same(self) -> None:
        keys = [number.to_bytes(32, "big") for number in range(31)]
        assert self.store.lookup(keys) == {key: answer for key, (_, answer) in self.answers.items()}
        assert {model.name: dict(model.options) for model in self.store.models()} == self.models
        assert self.store.usage("q").calls == self.calls


TestStoreIsTwoDictionaries = StoreIsTwoDictionaries.TestCase
TestStoreIsTwoDictionaries.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)

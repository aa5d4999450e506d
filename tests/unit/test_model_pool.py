"""Models by name, opened once and closed by their last user."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from anserdb.engine.errors import BindError, ProgrammingError
from anserdb.engine.physical.model_pool import ModelPool
from anserdb.engine.settings import Settings
from anserdb.engine.store import Store
from anserdb.udfs.models.base import Model, ModelSpec
from anserdb.udfs.models.scripted import ScriptedModel


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as store:
        yield store


def innermost(model: Model) -> Model:
    """The model under its wrappers."""
    while not isinstance(model, ScriptedModel):
        model = model._model  # type: ignore[attr-defined]
    return model


def test_names_in_any_case_and_the_nearest(store: Store) -> None:
    pool = ModelPool(store, Settings())
    assert pool.find("SCRIPTED").name == "scripted"
    with pytest.raises(BindError) as caught:
        pool.open("scriptd")
    assert caught.value.candidates[0] == "scripted"


def test_a_stored_model_hides_a_built_in_one_and_a_registered_one_hides_both(store: Store) -> None:
    pool = ModelPool(store, Settings())
    pool.create(ModelSpec("scripted", "scripted", {"seed": 7}), replace=False)
    assert pool.find("scripted").options == {"seed": 7}
    own = ScriptedModel(name="own")
    pool.register("scripted", own)
    assert innermost(pool.open("scripted")[0]) is own
    assert pool.drop("scripted")
    assert not pool.drop("scripted")
    assert innermost(pool.open("scripted")[0]) is own
    pool.close()
    assert not own.closed


def test_a_model_registered_again_is_the_new_one(store: Store) -> None:
    pool = ModelPool(store, Settings())
    first, second = ScriptedModel(seed=1), ScriptedModel(seed=2)
    for model in (first, second):
        pool.register("mine", model)
        assert innermost(pool.open("mine")[0]) is model


def test_models_are_checked_before_they_are_kept(store: Store) -> None:
    pool = ModelPool(store, Settings())
    with pytest.raises(ProgrammingError):
        pool.create(ModelSpec("m", "no_such_provider"), replace=False)
    with pytest.raises(ProgrammingError):
        pool.create(ModelSpec("m", "scripted", {"no_such_option": 1}), replace=False)
    assert "m" not in pool.specs()


def test_connections_share_a_model_until_the_last_one_closes(store: Store) -> None:
    one, two, other = (ModelPool(store, Settings(llm_concurrency=n)) for n in (3, 3, 4))
    model = innermost(one.open("scripted")[0])
    assert one.open("scripted")[0] is two.open("scripted")[0] is not other.open("scripted")[0]
    assert isinstance(model, ScriptedModel)
    one.close()
    one.close()
    assert not model.closed
    two.close()
    assert model.closed
    other.close()


def test_threads_that_open_one_model_count_once(store: Store) -> None:
    pool, barrier = ModelPool(store, Settings(llm_concurrency=5)), threading.Barrier(8)
    opened: list[Model] = []

    def work() -> None:
        barrier.wait()
        opened.append(pool.open("scripted")[0])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, opened))) == 1
    pool.close()
    model = innermost(opened[0])
    assert isinstance(model, ScriptedModel)
    assert model.closed

"""Online cascades: whose answers they give out, what they learn from, and what survives a restart."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Hashable, Sequence
from random import Random

import numpy as np
import pytest

from anserdb.optimizer.cascades.online.cascade import Aim, Decision, Example, OnlineCascade, Prices

GOOD, BAD = ("fine", "lovely", "superb", "bright"), ("dull", "awful", "weak", "stale")
FILLING = ("film", "plot", "scene", "actor", "music", "ending", "script", "light")
Reference = Callable[[str], Hashable]
BATCH = 25


def rows(count: int, seed: int = 0) -> list[Example]:
    """Texts with one word that decides; a tenth has none."""
    chance = Random(seed)
    made = []
    for number in range(count):
        deciding = [] if chance.random() < 0.1 else [chance.choice(GOOD if chance.random() < 0.5 else BAD)]
        words = [*chance.sample(FILLING, 3), *deciding]
        made.append(Example(f"{seed} {number}", " ".join(words)))
    return made


def reference(text: str) -> bool:
    """TRUE with a good word; nobody can know what it says where there is none."""
    return any(word in text for word in GOOD) or (not any(word in text for word in BAD) and hash_of(text) % 2 == 0)


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def stream(cascade: OnlineCascade, examples: Sequence[Example], said: Reference = reference) -> list[Hashable]:
    """All rows; what is given out for each."""
    out: list[Hashable] = []
    for first in range(0, len(examples), BATCH):
        batch = examples[first : first + BATCH]
        decisions = cascade.decide(batch)
        cascade.learn(batch, decisions, told(batch, decisions, said))
        out += [said(e.text) if d.asks else d.answer for e, d in zip(batch, decisions, strict=True)]
    return out


def told(batch: Sequence[Example], decisions: Sequence[Decision], said: Reference) -> dict[int, Hashable]:
    return {n: said(batch[n].text) for n, decision in enumerate(decisions) if decision.asks}


def online(quality: float = 0.97, **options: object) -> OnlineCascade:
    return OnlineCascade([True, False], Aim(quality), **{"levels": ["hashed"], **options})  # type: ignore[arg-type]


def test_what_is_easy_is_answered_below_and_the_aim_is_kept() -> None:
    cascade, examples = online(), rows(3_000)
    out = stream(cascade, examples)
    agreed = sum(a == reference(e.text) for a, e in zip(out, examples, strict=True)) / len(out)
    report = cascade.report()
    assert agreed >= 0.965
    assert report.fifths[-1] < 0.5 < report.fifths[0]
    assert report.reference == sum(round(x * report.rows / 5) for x in report.fifths)
    assert report.interval[0] <= agreed <= report.interval[1]


def test_a_reference_that_nobody_can_predict_is_asked_about_all_rows() -> None:
    chance = Random(1)
    cascade = online()
    stream(cascade, rows(1_500), lambda _: chance.random() < 0.5)
    assert cascade.report().share > 0.95


def test_audits_go_on_when_everything_is_easy() -> None:
    cascade, examples = online(0.9), rows(2_500, 3)
    stream(cascade, examples, lambda text: "a" in text.split()[0])
    level = cascade.report().levels[0]
    assert 0.01 < cascade.report().audits / 2_500 < 0.035
    assert level.audited > 20
    assert level.lower < level.agreement


def test_deciding_changes_nothing() -> None:
    cascade, examples = online(), rows(1_000)
    stream(cascade, examples)
    before = cascade.dump()
    first = cascade.decide(examples[:100])
    assert cascade.decide(examples[:100]) == first
    assert cascade.dump() == before


def test_the_same_rows_give_the_same_answers() -> None:
    assert stream(online(seed=4), rows(800)) == stream(online(seed=4), rows(800))


def test_what_was_learnt_survives_a_restart_with_the_books() -> None:
    cascade, examples = online(), rows(1_500)
    stream(cascade, examples)
    again = online(state=cascade.dump())
    assert again.report().rows == 1_500
    assert again.report().levels == cascade.report().levels
    fresh = rows(600, 9)
    stream(again, fresh)
    assert again.report().reference - cascade.report().reference < 0.5 * len(fresh)


@pytest.mark.parametrize("state", [b"", b"nonsense", b"\x80\x04."])
def test_other_bytes_are_no_state(state: bytes) -> None:
    with pytest.raises(ValueError, match="not the state"):
        online(state=state)


def test_objects_in_a_state_are_never_unpickled() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive, archive.open("identity.npy", "w") as file:
        np.lib.format.write_array(file, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="not the state"):
        online(state=written.getvalue())


def test_a_state_of_other_answers_is_refused() -> None:
    state = online().dump()
    with pytest.raises(ValueError, match="start without it"):
        OnlineCascade(["yes", "no"], Aim(0.97), levels=["hashed"], state=state)


def test_feedback_may_come_late_and_in_another_order() -> None:
    cascade, examples = online(), rows(1_000)
    for first in range(0, 1_000, 4 * BATCH):
        waiting = [(b, cascade.decide(b)) for b in (examples[first + n * BATCH :][:BATCH] for n in range(4))]
        for batch, decisions in reversed(waiting):
            cascade.learn(batch, decisions, told(batch, decisions, reference))
    later = rows(400, 5)
    asked = sum(decision.asks for decision in cascade.decide(later))
    assert cascade.report().rows == 1_000
    assert asked < 0.6 * len(later)


def test_rows_that_the_reference_failed_count_nowhere() -> None:
    cascade, examples = online(), rows(BATCH)
    decisions = cascade.decide(examples)
    cascade.learn(examples, decisions, {})
    assert cascade.report().rows == 0


def test_answers_that_were_not_asked_for_are_not_used() -> None:
    cascade = online(0.9)
    stream(cascade, rows(1_500))
    batch = rows(200, 6)
    decisions = cascade.decide(batch)
    twin = online(0.9, state=cascade.dump())
    asked = told(batch, decisions, reference)
    cascade.learn(batch, decisions, asked)
    twin.learn(batch, decisions, {n: asked.get(n, "nonsense") for n in range(len(batch))})
    assert len(asked) < len(batch)
    assert twin.report().levels == cascade.report().levels


def test_an_answer_of_no_class_contradicts_every_level() -> None:
    cascade = online(0.9)
    stream(cascade, rows(1_500))
    stream(cascade, rows(1_500, 7), lambda _: "neither")
    report = cascade.report()
    assert report.alarms
    assert report.fifths[-1] > 0.95


def test_a_reference_that_turns_round_is_noticed_and_learnt_anew() -> None:
    cascade = online(0.97)
    stream(cascade, rows(1_500))
    out = stream(cascade, rows(2_000, 8), lambda text: not reference(text))
    alarms = cascade.report().alarms
    assert alarms
    assert 1_500 < alarms[0] < 1_500 + 20 * BATCH
    later = slice(alarms[0] - 1_500, None)
    wrong = sum(a == reference(e.text) for a, e in zip(out[later], rows(2_000, 8)[later], strict=True))
    assert wrong < 0.08 * len(out[later])


def test_embeddings_are_learnt_where_there_are_any() -> None:
    cascade = OnlineCascade([True, False], Aim(0.95), levels=["hashed", "embedded"])
    chance = np.random.default_rng(0)
    truth = chance.random(2_500) < 0.5
    vectors = chance.normal(size=(2_500, 16)) + 6 * np.outer(truth, np.eye(16)[0]) + 20
    examples = [Example(f"{n}", "no words tell", v if n % 5 else None) for n, v in enumerate(vectors)]
    for first in range(0, 2_500, BATCH):
        batch = examples[first : first + BATCH]
        decisions = cascade.decide(batch)
        said = {n: bool(truth[first + n]) for n, decision in enumerate(decisions) if decision.asks}
        cascade.learn(batch, decisions, said)
    hashed, embedded = cascade.report().levels
    assert embedded.acted > 20 * max(1, hashed.acted)
    assert embedded.contradicted <= 0.2 * max(10, embedded.audited)


def with_small_model(cascade: OnlineCascade, examples: Sequence[Example], right: float) -> tuple[int, int]:
    """Rows that the small model was shown, and those that it answered."""
    chance, shown, answered = Random(2), 0, 0
    for first in range(0, len(examples), BATCH):
        batch = examples[first : first + BATCH]
        decisions = cascade.decide(batch)
        places = [n for n, decision in enumerate(decisions) if decision.level == "model"]
        said = {n: (reference(batch[n].text) == (chance.random() < right), 0.9) for n in places}
        final = cascade.decide_model(batch, decisions, said)
        shown, answered = shown + len(places), answered + sum(d.level == "model" for d in final)
        cascade.learn(batch, final, told(batch, final, reference))
    return shown, answered


def test_a_small_model_that_agrees_answers_and_one_that_does_not_is_left() -> None:
    prices = Prices(model=0.3, reference=1.0)
    shown, answered = with_small_model(
        OnlineCascade([True, False], Aim(0.97), levels=["model"], prices=prices), rows(2_000), 1.0
    )
    assert answered > 0.6 * shown
    assert shown > 1_900
    shown, answered = with_small_model(
        OnlineCascade([True, False], Aim(0.97), levels=["model"], prices=prices), rows(2_000), 0.5
    )
    assert answered < 30
    assert shown < 1_100


@pytest.mark.parametrize(
    "options", [{"quality": 0.0}, {"quality": 1.1}, {"quality": 0.9, "audit": 0.0}, {"quality": 0.9, "delta": 1.0}]
)
def test_an_aim_that_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="it is a"):
        Aim(**options)


def test_a_cascade_needs_two_answers_and_a_level() -> None:
    with pytest.raises(ValueError, match="two different answers"):
        OnlineCascade([True, True], Aim(0.9))
    with pytest.raises(ValueError, match="one level"):
        OnlineCascade([True, False], Aim(0.9), levels=[])

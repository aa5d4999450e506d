"""Students: what they learn, how sure they are, that they survive being stored, and what a hold-out proves of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from anserdb.engine.physical.cascading.features import features, grams, likenesses, texts_of
from anserdb.engine.physical.lessons import LEAST_TESTS, TESTS, split
from anserdb.optimizer.cascades.students import Features, fit, packed, unpacked
from anserdb.optimizer.cascades.tested import agreement, proven_share


def _rows(seed, rows=400, width=20):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, width))
    return vectors, vectors[:, 0] + rng.normal(size=rows) * 0.3


def _of(vectors):
    return Features(sparse.csr_matrix((len(vectors), 0)), (vectors,))


def test_a_student_learns_a_condition_and_knows_where_it_is_sure():
    vectors, score = _rows(1)
    answers = [bool(s > 0) for s in score]
    said, sure = fit(_of(vectors[:300]), answers[:300]).judge(_of(vectors[300:]))
    right = np.array([a == b for a, b in zip(said, answers[300:], strict=True)])
    order = np.argsort(-np.abs(sure))
    assert right.mean() > 0.8
    assert right[order[:50]].mean() > right[order[50:]].mean()
    assert [s > 0 for s in sure] == said  # log-odds of TRUE


def test_a_student_learns_labels():
    vectors, score = _rows(2)
    answers = [["low", "middle", "high"][int(np.digitize(s, [-0.6, 0.6]))] for s in score]
    student = fit(_of(vectors[:300]), answers[:300])
    said, sure = student.judge(_of(vectors[300:]))
    right = np.array([a == b for a, b in zip(said, answers[300:], strict=True)])
    assert right.mean() > 0.65
    assert right[np.argsort(-sure)[:30]].mean() > 0.8


def test_words_alone_teach():
    texts = [[f"{word} thing number {n}"] for n in range(100) for word in ("good", "bad")]
    answers = [row[0].startswith("good") for row in texts]
    student = fit(features(texts[:150], None, np.zeros((0, 0))), answers[:150])
    assert student.judge(features(texts[150:], None, np.zeros((0, 0))))[0] == answers[150:]


@pytest.mark.parametrize("labels", [(False, True), ("a", "b", "c", "d")])
def test_nothing_learnt_is_not_called_sure(labels):
    """Answers by chance: scores that learnt them by heart say a lot, and calibration on other folds takes it back."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(300, 120))
    student = fit(_of(vectors), [labels[i] for i in rng.integers(len(labels), size=300)])
    sure = student.judge(_of(rng.normal(size=(500, 120))))[1]
    assert np.abs(sure).max() < 2.0


def test_probabilities_mean_what_they_say():
    vectors, score = _rows(4, rows=3000)
    answers = [bool(s > 0) for s in score]
    odds = fit(_of(vectors[:1000]), answers[:1000]).judge(_of(vectors[1000:]))[1]
    chance = 1 / (1 + np.exp(-odds))
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        there = (chance >= low) & (chance <= high)
        assert abs(chance[there].mean() - np.array(answers[1000:])[there].mean()) < 0.08


@pytest.mark.parametrize("only", [True, False, "praise"])
def test_one_answer_alone_is_given_again(only):
    vectors, _ = _rows(5, rows=50)
    said, sure = fit(_of(vectors), [only] * 50).judge(_of(vectors))
    assert said == [only] * 50
    assert (sure < 0).all() == (only is False)


def test_an_answer_that_stands_alone_breaks_nothing():
    vectors, score = _rows(6, rows=60)
    answers = [str(int(s > 0)) for s in score[:59]] + ["once"]
    assert fit(_of(vectors), answers).labels == ("0", "1", "once")
    assert fit(_of(vectors), [False] * 59 + [True]).labels == (False, True)
    with pytest.raises(ValueError, match="needs answers"):
        fit(_of(vectors[:0]), [])


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), labels=st.integers(1, 4), words=st.booleans())
def test_a_stored_student_says_the_same(seed, labels, words):
    vectors, score = _rows(seed, rows=60, width=5)
    texts = [[f"w{int(s * 3)} of {n % 7}"] for n, s in enumerate(score)]
    cuts = np.quantile(score, np.arange(1, labels) / labels)
    seen = Features(grams(texts) if words else sparse.csr_matrix((60, 0)), (vectors,))
    student = fit(seen, [f"{int(np.digitize(s, cuts))}" for s in score], seed)
    again = unpacked(*packed(student))
    said, sure = student.judge(seen)
    assert again.judge(seen)[0] == said
    assert (again.judge(seen)[1] == sure).all()
    with pytest.raises(ValueError, match="was stored as"):
        unpacked(packed(student)[0], packed(student)[1][:-4])


def test_two_inputs_have_their_own_words_and_a_likeness_to_each_other():
    same, crossed = grams([["a b", "c"]]), grams([["c", "a b"]])
    assert (same != crossed).nnz > 0
    vectors = [np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]])]
    assert likenesses(vectors, np.zeros((0, 0))).tolist() == [[1.0], [0.0]]
    assert likenesses(vectors[:1], np.eye(2)).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert likenesses(vectors[:1], np.zeros((0, 0))).shape == (2, 0)
    assert texts_of([(1, True)]) == [["1", "true"]]


@settings(max_examples=20, deadline=None)
@given(there=st.lists(st.booleans(), min_size=250, max_size=400), most=st.integers(250, 500))
def test_the_hold_out_is_drawn_by_keys_alone_and_nobody_learns_from_it(there, most):
    keys = [f"row {n}" for n in range(len(there))]
    parts = split(keys, there, most)
    assert parts.hold_out == split(keys, [not t for t in there], most).hold_out
    assert not set(parts.hold_out) & set(parts.training)
    wanted = min(most, len(keys))
    assert len(parts.hold_out) == max(LEAST_TESTS, round(TESTS * wanted))
    assert len(parts.hold_out) + len(parts.training) == wanted
    free = sum(there) - sum(there[row] for row in parts.hold_out)
    assert sum(there[row] for row in parts.training) == min(free, len(parts.training))


def test_what_a_hold_out_proves_is_true_as_often_as_it_says():
    """Rows whose chance to be right falls from 1 to 0.5: the share that may be answered for 0.9 is known."""
    rng, broken, shares = np.random.default_rng(7), 0, []
    for _ in range(300):
        sure = rng.random(250)
        share = proven_share(sure, rng.random(250) < 0.5 + sure / 2, 0.9, 0.1)
        shares.append(share)
        broken += share**2 / 4 > 0.1  # the mean loss of the surest share: the integral of (1 - sure) / 2
    assert broken / 300 <= 0.135
    assert np.mean(shares) > 0.4  # of 0.63 that a clairvoyant would allow


def test_agreement_has_an_interval():
    low, high = agreement(180, 200)
    assert 0.85 < low < 0.9 < high < 0.94
    assert agreement(0, 100)[0] == 0.0
    assert agreement(100, 100)[1] == 1.0

"""Routed programs: queries of several calls, each row by the small or the large backend as a policy learns.

``make bench-cascades``, or ``python -m benchmarks.cascade_router [seeds] [rows]``. REPLAYED, all of it real: scores of Llama-3.1-8B and
answers of Llama-3.3-70B (``llama_sst2``, ``llama_mmlu``), of SUPG's proxy and oracle (``supg_onto``); rows of the three tables meet by
chance. SIMULATED: prices (large 20 : small 1, as gpt-4.1 and gpt-4.1-nano are listed; a detector 100 : 1, as text-embedding-3-small is),
poison and changes of difficulty. Texts are not in the tables, so contexts are empty: what is routed is routed by confidence. Accuracy is
agreement with the large backend. Costs hold all questions: audits, rows asked twice, and those before anything was learnt.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow.parquet as pq

from .cascade_router_world import Backends, Call, Costs, Rows, mixed, query, thresholds

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cascade"
SEEDS, ROWS, GATED_ROWS = 20, 5_000, 20_000
PRICE: Costs = (1.0, 0.05)
DETECTOR: Costs = (1.0, 0.01)
ABOVE_MIX, SAVED, LOST = 0.01, 0.90, 0.02
POSITIVES, GATED_SAVED, GATED_F1 = 0.01, 0.97, 0.98
ABANDONED, RECOVERED = 300, 1_000

Parts = list[tuple[Backends, Rows, Costs]]


def tables() -> list[Backends]:
    """The three."""
    found = []
    for name, score, true in (
        ("llama_sst2", "proxy_pred_true_prob", "oracle_pred"),
        ("llama_mmlu", "proxy_pred_true_prob", "oracle_pred"),
        ("supg_onto", "proxy_score", "label"),
    ):
        table = pq.read_table(DATA / f"{name}.parquet")
        found.append(Backends.of(name, table[score].to_numpy(), np.array(table[true])))
    return found


def met(what: str, figure: float, target: float, more: str = "") -> None:
    """One target."""
    print(
        f"  {'met   ' if figure >= target else 'MISSED'} {what}: {figure:.4f} (target {target:.4f}){more}", flush=True
    )


def drawn(backends: Sequence[Backends], rows: int, seed: int) -> Parts:
    """A query's calls, and the rows that they meet."""
    chance = np.random.default_rng(seed)
    return [(each, each.drawn(rows, chance), PRICE) for each in backends]


def run(parts: Parts, quality: float, seed: int, *, mute: bool = False) -> list[Call]:
    """All calls about every row."""
    calls = query(parts, quality, seed, mute=mute)
    for number in range(len(parts[0][1])):
        for call in calls:
            call.answer(number)
    return calls


def equal_cost(backends: Sequence[Backends], seeds: int, rows: int, quality: float) -> None:
    """Against what fixed choices do for the same money."""
    print(f"{' + '.join(each.name for each in backends)}: {rows:,} rows, {seeds} seeds, llm_min_quality {quality:g}")
    kept, gains, gaps, saved, lost = [], [], [], [], []
    for seed in range(seeds):
        parts = drawn(backends, rows, seed)
        calls = run(parts, quality, seed)
        spend, accuracy = sum(call.cost for call in calls) / rows, fmean(call.accuracy for call in calls)
        kept.append(1.0 - sum(1.0 - call.accuracy for call in calls))
        gains.append(accuracy - mixed(parts, spend))
        gaps.append(thresholds(parts, spend) - accuracy)
        saved.append(1.0 - spend / len(parts))
        lost.append(1.0 - accuracy)
    print(f"  accuracy {1 - fmean(lost):.4f} a call, cost {1 - fmean(saved):.3f} of the large backend's")
    print(
        f"  best limits of confidence in hindsight, for the same money: {fmean(gaps):+.4f} of accuracy to the router's"
    )
    met(
        "accuracy above the best static mix in hindsight at equal cost, mean",
        fmean(gains),
        ABOVE_MIX,
        f", worst {min(gains):+.4f}",
    )
    broken = sum(each < quality for each in kept)
    print(
        f"  quality of rows, at least (losses of calls added): mean {fmean(kept):.4f}, worst {min(kept):.4f}; below {quality:g} in {broken} of {seeds}"
    )


def confidence_alone(backends: Sequence[Backends], rows: int, seeds: int) -> None:
    """The ablation: the same policies, not told how sure the small backend is, decide before the call."""
    gains = []
    for seed in range(seeds):
        parts = drawn(backends, rows, seed)
        calls = run(parts, 0.7, seed, mute=True)
        gains.append(fmean(call.accuracy for call in calls) - mixed(parts, sum(call.cost for call in calls) / rows))
    print(
        f"  ablation, without post-call confidence (llm_min_quality .7, {seeds} seeds): {fmean(gains):+.4f} to the best static mix"
    )


def ninety(backends: Sequence[Backends], seeds: int, rows: int) -> None:
    """At most two points lost: what is saved, and what could have been."""
    print(f"90 % saved at <= 2 points, each call alone, llm_min_quality .98, {seeds} seeds")
    for each in backends:
        saved, lost = [], []
        for seed in range(seeds):
            (call,) = run(drawn([each], min(rows, len(each.true)), seed), 1 - LOST, seed)
            saved.append(1.0 - call.cost / call.asked)
            lost.append(1.0 - call.accuracy)
        parts: Parts = [(each, np.arange(len(each.true)), PRICE)]
        most = max(share for share in np.linspace(0, 0.95, 96) if thresholds(parts, 1.0 - share) >= 1 - LOST)
        fair = fmean(saved) if fmean(lost) <= LOST else 0.0
        met(
            f"{each.name}, saved",
            fair,
            SAVED,
            f" at {fmean(lost):.4f} lost; the best limits in hindsight save {most:.2f}",
        )


def gated(backends: Sequence[Backends], seeds: int, rows: int) -> None:
    """One row in a hundred passes the gate; the other calls are for those."""
    print(
        f"gate {' -> '.join(each.name for each in backends)}, 1:100 pass the gate; against the large one for all three calls of each row"
    )
    _gate("short-circuit alone", backends, 1, rows, short=True, quality=None)
    _gate("routing alone", backends, min(3, seeds), rows // 4, short=False, quality=GATED_F1)
    _gate("both, llm_min_quality .95", backends, min(5, seeds), rows, short=True, quality=0.95)
    saved, score = _gate("both, llm_min_quality .98", backends, seeds, rows, short=True, quality=GATED_F1)
    met("both, saved", saved, GATED_SAVED)
    met("both, F1", score, GATED_F1)
    _gate_in_hindsight(backends[0])


def _gate(
    name: str, backends: Sequence[Backends], seeds: int, rows: int, *, short: bool, quality: float | None
) -> tuple[float, float]:
    saved, scores = [], []
    for seed in range(seeds):
        chance = np.random.default_rng(seed)
        parts: Parts = [(backends[0], backends[0].thinned(POSITIVES, chance, rows), DETECTOR)]
        parts += [(each, each.drawn(rows, chance), PRICE) for each in backends[1:]]
        calls = query(parts, quality or 1.0, seed)
        if quality is None:
            calls = [Call(each, at, costs, None) for each, at, costs in parts]
        scores.append(f1(calls, rows, short=short))
        saved.append(1.0 - sum(call.cost for call in calls) / rows / len(parts))
    print(
        f"  {name} ({rows:,} rows, {seeds} seeds): saved {fmean(saved):.4f}, F1 {fmean(scores):.4f}, worst {min(scores):.4f}",
        flush=True,
    )
    return fmean(saved), fmean(scores)


def _gate_in_hindsight(gate: Backends) -> None:
    """What no policy can beat: rows by score, the large one about the first of them, just so many that F1 is the target's."""
    at = gate.thinned(POSITIVES, np.random.default_rng(0), 100_000)
    true = gate.true[at][np.argsort(-gate.odds[at], kind="stable")]
    recall = GATED_F1 / (2 - GATED_F1)  # nothing is kept wrongly
    share = float(np.searchsorted(np.cumsum(true) / true.sum(), recall) + 1) / len(true)
    print(
        f"  the best limit in hindsight asks the large one about {share:.3f} of the rows at the gate: saves {1 - (share + DETECTOR[1]) / 3:.4f} at most"
    )


def f1(calls: Sequence[Call], rows: int, *, short: bool) -> float:
    """Of the rows that pass gate and check, as the large backend has them."""
    gate, check, label = calls
    hits = kept = right = 0
    for number in range(rows):
        passes = gate.answer(number)
        checked = check.answer(number) if passes or not short else False
        if (passes and checked) or not short:
            label.answer(number)
        truly = bool(gate.backends.true[gate.at[number]] and check.backends.true[check.at[number]])
        hits, kept, right = hits + (passes and checked and truly), kept + (passes and checked), right + truly
    return 2 * hits / max(1, kept + right)


def changes(each: Backends, seeds: int) -> None:
    """SIMULATED: a backend that turns against the user, and rows that become hard for it."""
    abandoned, recovered = [], []
    for seed in range(seeds):
        parts = drawn([each], 4_000, seed)
        (call,) = query(parts, 0.9, seed, odd=lambda number, odds: odds if number < 2_000 else -np.sign(odds) * 8.0)
        (swapped,) = query(parts, 0.9, seed, odd=_harder)
        for number in range(4_000):
            call.answer(number)
            swapped.answer(number)
        abandoned.append(sum(number >= 2_000 + ABANDONED for number in call.by_small) / (2_000 - ABANDONED))
        recovered.append(1.0 - sum(number >= 2_000 + RECOVERED for number in swapped.wrong) / (2_000 - RECOVERED))
    print(f"{each.name}, changed at half-time (SIMULATED), llm_min_quality .9, {seeds} seeds")
    print(
        f"  seeds in which the poisoned one answers no row from {ABANDONED} executions on: {sum(not each for each in abandoned)} of {seeds}"
    )
    met(
        f"poisoned: rows from {ABANDONED} executions on that it does not answer",
        1.0 - fmean(abandoned),
        0.99,
        f", worst {1.0 - max(abandoned):.4f}",
    )
    met(
        f"harder: accuracy from {RECOVERED:,} rows after the change on, mean",
        fmean(recovered),
        0.9,
        f", worst {min(recovered):.4f}",
    )


def _harder(number: int, odds: float) -> float:
    """After half-time every fourth answer is the wrong one, as sure as it was."""
    return -odds if number >= 2_000 and number % 4 == 0 else odds


def main(seeds: int = SEEDS, rows: int = ROWS) -> None:
    """Print all."""
    if not DATA.is_dir():
        print("The shared data (cascade) is not here: nothing was measured.")
        return
    print((__doc__ or "").partition("REPLAYED")[2].join(("REPLAYED", "")))
    began = time.perf_counter()
    every = tables()
    print(
        "; ".join(
            f"{each.name}: {len(each.true):,} rows, the small one agrees in {each.agreement:.3f}" for each in every
        )
    )
    equal_cost(every, seeds, rows, 0.9)
    confidence_alone(every, rows // 2, min(5, seeds))
    ninety(every, max(1, seeds // 4), rows)
    gated((every[2], every[0], every[1]), max(1, seeds // 2), GATED_ROWS)
    changes(every[0], seeds)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

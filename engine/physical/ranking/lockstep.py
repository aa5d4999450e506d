"""Sequential algorithms side by side: what each of them wants to know next goes out in one round."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

from .court import Court
from .judge import Pair

T = TypeVar("T")
Steps = Generator[Pair, bool, T]
"""An algorithm that yields pairs, is sent whether the first is the better one, and returns its result."""


async def lockstep(court: Court, algorithms: Iterable[Steps[T]]) -> list[T]:
    """Runs them to their ends; their results, in order."""
    running = list(algorithms)
    results: dict[int, T] = {}
    wants = _advance(running, dict.fromkeys(range(len(running))), results)
    while wants:
        await court.settle(list(wants.values()))
        answers = {index: court.favour(a, b) >= 0.5 for index, (a, b) in wants.items()}
        wants = _advance(running, answers, results)
    return [results[index] for index in range(len(running))]


def _advance(
    running: list[Steps[T]], answers: dict[int, bool] | dict[int, None], results: dict[int, T]
) -> dict[int, Pair]:
    wants: dict[int, Pair] = {}
    for index, answer in answers.items():
        try:
            wants[index] = next(running[index]) if answer is None else running[index].send(answer)
        except StopIteration as ended:
            results[index] = ended.value
    return wants

"""Finds out which rows of a call a proxy may answer under its promise, by a sample that the reference answers, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ....optimizer.cascades.calibration import Calibration
from ....optimizer.cascades.certificate import Bound, Certificate, Metric, Outcome, Prices
from ....optimizer.cascades.refusal import refusal
from ...dataflow.worker import Worker
from ...errors import DataError, ModelError
from ...plan.cascade import Guarantee
from .population import Population
from .proxy import Curious, Judged, Proxy
from .reference import Key, Reference, Said

SEED = 0
"""Of what is drawn by chance, the same in every run: a rerun asks the same questions, which are in the store."""
TRAINING, PRICED = "training", "prices"
LOOKED_AT = 64
"""Inputs by which prices are compared."""
MOST_TAUGHT = 0.5
"""Share of inputs that a proxy may learn from."""

worker = Worker("anserdb-cascade")
"""Not the thread that looks into stores: other queries wait for that one."""


@dataclass(slots=True)
class Phases:
    """Inputs that were asked about, cached ones among them.

    Parameters
    ----------
    proxy : by the proxy. train, sample, serve : by the reference: to teach the proxy, to prove the promise, to answer.
    """

    proxy: int = 0
    train: int = 0
    sample: int = 0
    serve: int = 0

    def words(self) -> str:
        """For people.

        >>> Phases(1000, 0, 120, 68).words()
        '1,000 by the proxy, 120 to sample, 68 to serve'
        """
        taught = f"{self.train:,} to train, " if self.train else ""
        return f"{self.proxy:,} by the proxy, {taught}{self.sample:,} to sample, {self.serve:,} to serve"


@dataclass(frozen=True, slots=True)
class Found:
    """What is known before the first row leaves.

    Parameters
    ----------
    answers : of inputs that need not be asked about any more. certificate : of all rows.
    """

    answers: Mapping[Key, Said]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Certifier:
    """Proves the promise of one call.

    Parameters
    ----------
    guarantee : the promise. proxy : who answers most rows. reference : who is right.
    prices : of the reference's answer and the proxy's, by some inputs; ``None``: not known.
    silent : told why the proxy answers nobody.
    """

    guarantee: Guarantee
    proxy: Proxy
    reference: Reference
    prices: Callable[[Sequence[Sequence[Any]]], Prices | None]
    silent: Callable[[Exception], None]
    phases: Phases = field(default_factory=Phases)

    async def certify(self, rows: Population) -> Found:
        """Ask the proxy about all inputs, and the reference about a sample.

        Raises
        ------
        ModelError, DataError, BudgetExceeded : see ``Reference.ask``; the proxy's own failures are only its own.
        """
        prices = self.prices(list((await worker.run(partial(rows.drawn, LOOKED_AT, PRICED))).values()))
        if reason := refusal(len(rows.inputs), self.guarantee, prices):  # an answer is paid for once
            once = "counting equal ones once, " if len(rows.inputs) < len(rows.keys) else ""
            return self._by_reference(rows, once + reason)
        if reason := await self._taught(rows):
            return self._by_reference(rows, reason)
        try:
            judged = await self._judged(rows.without(self.reference.said))
        except (ModelError, DataError) as error:
            self.silent(error)
            return self._by_reference(rows, f"the proxy {self.proxy.name} does not answer: {error}")
        return await self._proved(rows, judged, prices)

    async def _taught(self, rows: Population) -> str:
        """Teach the proxy, if it wants to be; why it cannot be, or "". What it learns from is proof of nothing."""
        wanted, inputs = self.proxy.labels, len(rows.inputs)
        if not wanted:
            return ""
        if MOST_TAUGHT * inputs < wanted:
            return f"the {wanted} answers that the proxy {self.proxy.name} learns from are too many of {inputs} inputs"
        drawn = await worker.run(partial(rows.drawn, self.proxy.labels, TRAINING))
        try:
            while drawn:
                await self._told(drawn)
                drawn = await self._more(rows, drawn)
        except ValueError as error:
            return f"the proxy {self.proxy.name} has nothing to learn from: {error}"
        return ""

    async def _told(self, drawn: Mapping[Key, Sequence[Any]]) -> None:
        """Teach the proxy with what the reference says of these inputs."""
        await self.reference.ask(drawn)
        self.phases.train = len(drawn)
        said = {key: self.reference.said[key].value for key in drawn}
        known = [key for key, value in said.items() if value is not None]
        await self.proxy.train([drawn[key] for key in known], [said[key] for key in known])

    async def _more(self, rows: Population, drawn: dict[Key, Sequence[Any]]) -> dict[Key, Sequence[Any]]:
        """All that it is to learn from next; {}: it knows enough."""
        if not isinstance(self.proxy, Curious):
            return {}
        others = rows.without(drawn)
        keys = list(others.inputs)
        wanted = await self.proxy.curious(list(others.inputs.values()))
        return drawn | {keys[at]: others.inputs[keys[at]] for at in wanted} if wanted else {}

    async def _judged(self, rows: Population) -> Mapping[Key, Judged]:
        self.phases.proxy = len(rows.inputs)
        said = await self.proxy.answer(list(rows.inputs.values()))
        return {key: judged for key, judged in zip(rows.inputs, said, strict=True) if judged is not None}

    async def _proved(self, rows: Population, judged: Mapping[Key, Judged], prices: Prices | None) -> Found:
        calibration = await worker.run(partial(self._calibration, rows, judged, prices))
        while wanted := await worker.run(calibration.wants):
            asked = [rows.keys[row] for row in wanted]
            await self.reference.ask({key: rows.inputs[key] for key in asked})
            self.phases.sample = len(self.reference.said) - self.phases.train
            said = {row: self.reference.said[key].value for row, key in zip(wanted, asked, strict=True)}
            await worker.run(partial(calibration.tell, said))
        return await worker.run(lambda: self._found(rows, calibration.outcome()))

    def _calibration(self, rows: Population, judged: Mapping[Key, Judged], prices: Prices | None) -> Calibration:
        by_row = [judged.get(key) for key in rows.keys]
        # Accuracy is of answers, whichever they are; what is kept is TRUE.
        any_answer = self.guarantee.accuracy is not None
        confidences = [math.nan if j is None else j.certainty if any_answer else j.confidence for j in by_row]
        answers = [None if j is None else j.answer for j in by_row]
        return Calibration(answers, confidences, self.guarantee, keys=rows.keys, seed=SEED, prices=prices)

    def _found(self, rows: Population, outcome: Outcome) -> Found:
        """Where one of equal rows has the reference's answer, all have."""
        referred = {key for key, by_proxy in zip(rows.keys, outcome.by_proxy, strict=True) if not by_proxy}
        referred |= self.reference.said.keys()
        accepted = zip(rows.keys, outcome.accepted, strict=True)
        answers = {key: Said(answer) for key, answer in accepted if key not in referred}
        by_reference = sum(key in referred for key in rows.keys)
        certificate = replace(
            outcome.certificate,
            by_proxy=len(rows.keys) - by_reference,
            by_reference=by_reference,
            labels=outcome.certificate.labels + self.phases.train,
        )
        return Found(answers | self.reference.said, certificate)

    def _by_reference(self, rows: Population, reason: str) -> Found:
        return Found(self.reference.said, by_reference(self.guarantee, len(rows.keys), self.phases.train, reason))


def by_reference(guarantee: Guarantee, rows: int, labels: int, reason: str) -> Certificate:
    """The certificate where the reference answered every row, and why it did."""
    targets: tuple[tuple[Metric, float | None], ...] = (
        ("accuracy", guarantee.accuracy),
        ("precision", guarantee.precision),
        ("recall", guarantee.recall),
    )
    bounds = tuple(Bound(metric, target, 1.0, 1.0) for metric, target in targets if target is not None)
    return Certificate(guarantee, bounds, rows, 0, rows, labels, "", "", reason)

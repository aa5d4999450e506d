"""EXPLAIN's lines about energy: what calls will take, or have taken, always as a range and with how it was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...optimizer.cost.estimate import NodeEstimate
from ..dataflow.energy_meter import EnergyMeter
from ..dataflow.progress import QueryProgress, SiteProgress
from ..plan.nodes import Call, Plan, SemanticCall
from ..plan.render import Path, nodes_with_paths
from .stages import Stages


@dataclass(frozen=True, slots=True)
class EnergyFigures:
    """Joules and grams of CO₂ equivalent of some calls. ``unknown``: calls of which nothing is known are not in it.
    ``avoided_energy_j``: what answers that were found would have taken."""

    energy_j_low: float
    energy_j: float
    energy_j_high: float
    co2_g: float
    methods: tuple[str, ...]
    unknown: bool = False
    avoided_energy_j: float = 0.0

    def line(self) -> str:
        """For people.

        >>> EnergyFigures(1.0, 7.25, 12.0, 0.001, ("table",)).line()
        'energy≈7.2 J (1 to 12, table) CO2e≈0.001 g'
        """
        avoided = f" avoided≈{_rounded(self.avoided_energy_j)} J" if self.avoided_energy_j else ""
        if not self.methods:
            return ("energy unknown" if self.unknown else "energy≈0 J") + avoided
        spread = f"{_rounded(self.energy_j_low)} to {_rounded(self.energy_j_high)}, {', '.join(self.methods)}"
        aside = " and more that is unknown" if self.unknown else ""
        return f"energy≈{_rounded(self.energy_j)} J ({spread}){aside} CO2e≈{_rounded(self.co2_g)} g{avoided}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def energy_of(
    plan: Plan,
    figures: Mapping[Path, NodeEstimate],
    stages: Stages,
    before: Mapping[Path, tuple[float, float]],
    progress: QueryProgress | None,
) -> tuple[dict[Path, EnergyFigures], EnergyFigures | None]:
    """Per call, and of all together (``None``: there is nothing to say).

    Parameters
    ----------
    figures : expected rows, calls and tokens. before : tokens in and out of what a call asks before its rows.
    progress : of a finished run: what was taken, not what is expected.
    """
    asked = {path: node.call for path, node in nodes_with_paths(plan) if isinstance(node, Call)}
    if progress is not None:
        sites = progress.sites
        ran = {path: _actual(sites[call.site]) for path, call in asked.items() if call.site in sites}
        # Calls that stay in the text have no node, but a place in the sum.
        found = [_actual(site) for site in sites.values() if site.calls or site.avoided_energy_j]
        return ran, _total(found) if found else None
    expected: dict[Path, EnergyFigures] = {}
    for path, call in asked.items():
        energy = _expected(call, figures.get(path), before.get(path, (0.0, 0.0)), stages)
        if energy is not None:
            expected[path] = energy
    return expected, _total(expected.values(), unknown=len(expected) < len(asked)) if expected else None


def _expected(
    call: SemanticCall, figures: NodeEstimate | None, before: tuple[float, float], stages: Stages
) -> EnergyFigures | None:
    """``None``: its tokens are not known, or only a counter will tell."""
    if figures is None or figures.tokens_in is None or figures.tokens_out is None:
        return None
    caller = stages.stage(call).caller
    meter = EnergyMeter(caller.spec, caller.run.settings)
    energy = meter.estimate(figures.tokens_in.value + before[0], figures.tokens_out.value + before[1])
    return None if energy is None else EnergyFigures(*energy[:3], meter.carbon.grams(energy.mid), (energy.method,))


def _actual(site: SiteProgress) -> EnergyFigures:
    methods = (site.energy_method,) if site.energy_method else ()
    return EnergyFigures(
        site.energy_j_low, site.energy_j, site.energy_j_high, site.co2_g, methods, site.unmetered > 0,
        site.avoided_energy_j,
    )  # fmt: skip


def _total(calls: Collection[EnergyFigures], *, unknown: bool = False) -> EnergyFigures:
    methods = dict.fromkeys(method for figures in calls for method in figures.methods)
    return EnergyFigures(
        sum(figures.energy_j_low for figures in calls),
        sum(figures.energy_j for figures in calls),
        sum(figures.energy_j_high for figures in calls),
        sum(figures.co2_g for figures in calls),
        tuple(methods),
        unknown or any(figures.unknown for figures in calls),
        sum(figures.avoided_energy_j for figures in calls),
    )


def _rounded(amount: float) -> str:
    """Two digits: more would be made up.

    >>> _rounded(9094.0), _rounded(99.7), _rounded(0.0449)
    ('9,100', '100', '0.045')
    """
    digits = float(f"{amount:.2g}")
    return f"{digits:,.0f}" if digits >= 100 else f"{digits:.2g}"

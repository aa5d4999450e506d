"""Plans in which one prompt answers several calls: such a group is searched as one site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from ...optimizer.search.memo import ArmCost, Site
from ..plan.nodes import SemanticCall
from .operators.call_stage import Merging, Way
from .stages import Stages
from .task_keys import together


@dataclass(frozen=True, slots=True)
class Group:
    """Calls that one prompt may answer.

    Parameters
    ----------
    members : their labels. reference : all of them as one call. ways : those with one prompt, each with its name, what it asks,
        and how many it answers at once.
    """

    members: tuple[str, ...]
    reference: SemanticCall = field(hash=False)
    ways: tuple[tuple[str, SemanticCall, int], ...] = field(hash=False)

    @property
    def label(self) -> str:
        """Of the site that stands for all of them."""
        return " + ".join(self.members)


def groups_of(made: Sequence[SemanticCall], stages: Stages) -> Iterator[Group]:
    """The groups whose calls are all among these."""
    by_name = {call.output.name: call for call in made}
    for call in made:
        merge, part = call.merge, stages.stage(call).merged
        if merge is not None and part is not None and part.number == 0 and set(merge.sites) <= by_name.keys():
            yield _group(part.group())


def _group(group: Merging) -> Group:
    reference = group.ways[0].stages
    ways = ((way.name, _call(way), way.stages[0].caller.concurrency) for way in group.ways if way.together)
    return Group(tuple(stage.call.site for stage in reference), _call(group.ways[0]), tuple(ways))


def _call(way: Way) -> SemanticCall:
    return together([stage.call for stage in way.stages])


def with_group(sites: Sequence[Site], group: Group, arms: tuple[ArmCost, ...]) -> tuple[Site, ...] | None:
    """The sites with one in the place of a group's; ``None``: a call that reads one of its answers feeds another of them."""
    inside = [site for site in sites if site.label in group.members]
    members = frozenset(group.members)
    needs: frozenset[str] = frozenset().union(*(site.needs for site in inside)) - members
    by_label: Mapping[str, Site] = {site.label: site for site in sites}
    if any(by_label[label].needs & members for label in needs):
        return None
    one = Site(group.label, arms, prod(site.keeps for site in inside), inside[0].asked, needs)
    found = [one if site is inside[0] else site for site in sites if site is inside[0] or site.label not in members]
    return tuple(_reading(site, members, group.label) for site in found)


def _reading(site: Site, members: frozenset[str], label: str) -> Site:
    return replace(site, needs=(site.needs - members) | {label}) if site.needs & members else site

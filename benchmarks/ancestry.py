"""Answers about documents, each as soon as its own parts are there, beside LangGraph: ``make bench-ancestry``.

Four applications that take documents apart and put what was found together again. AnserDB runs a SELECT with GROUP BY; LangGraph
runs a graph per document, all at once, with ``Send`` for the items. Both ask the same questions of one SIMULATED server with as
many calls in flight, and nobody has a cache; the server's log must show the same requests, and both must give the same answers.
A document's latency runs from the start of all to its row.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib.util
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from .ancestry_apps import APPS, App, Document, documents
from .ancestry_figures import OURS, THEIRS, Measured, Run, print_targets, report
from .ancestry_server import SLOW_S, SLOW_SHARE, Event, Server
from .support_server import cpu_s


@dataclass(frozen=True, slots=True)
class Regime:
    """A load.

    Parameters
    ----------
    documents : of ``least`` to ``most`` items. cap : calls in flight. pace : times all of the server's delays.
    repeat : runs of each client. windowed : also LangGraph with ``cap`` documents begun at once.
    """

    title: str
    documents: int
    least: int
    most: int
    cap: int
    pace: float
    repeat: int
    windowed: bool = False

    @property
    def words(self) -> str:
        """For the report."""
        return (
            f"{self.title}: {self.documents} documents of {self.least} to {self.most} items, {self.cap} calls in flight; "
            f"first token after {TTFT_S * self.pace * 1000:.0f} ms, an item written in {ITEM_S * self.pace * 1000:.0f} ms, "
            f"{SLOW_SHARE:.0%} of verdicts {SLOW_S * self.pace:g} s later"
        )


TTFT_S, ITEM_S, ITEM_WORDS = 0.05, 0.1, 4
REGIMES = (
    Regime("Unsaturated", 16, 8, 16, 256, 1.0, 3),
    Regime("Saturated", 80, 0, 20, 16, 0.5, 1, windowed=True),
)


class Answered(Protocol):
    """Texts and seconds by document."""

    texts: dict[int, str]
    seconds: dict[int, float]


class Client(Protocol):
    """What runs an application."""

    def load(self, documents: Sequence[Document]) -> None: ...
    def run(self, app: App) -> Answered: ...
    def close(self) -> None: ...


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--app", choices=[app.name for app in APPS], help="this one only")
    parser.add_argument("--repeat", type=int, help="runs of each client")
    given = parser.parse_args()
    if importlib.util.find_spec("langgraph") is None:
        print("Skipped: langgraph is not installed (pip install 'anserdb[bench]').")
        return
    started = time.perf_counter()
    print(f"{datetime.date.today()}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
          f"langgraph {version('langgraph')}, load {os.getloadavg()[0]:.1f} before; SIMULATED server in a process of its own")  # fmt: skip
    apps = [app for app in APPS if given.app in (None, app.name)]
    print_targets(*(_measured(regime, apps, given.repeat or regime.repeat) for regime in REGIMES))
    print("\n'asked early': of the first requests about an item, those that left before its document was written.")
    print(f"load {os.getloadavg()[0]:.1f} after {time.perf_counter() - started:.0f} s")


def _measured(regime: Regime, apps: Sequence[App], repeat: int) -> Measured:
    print(f"\n### {regime.words}")
    server = Server(TTFT_S * regime.pace, ITEM_WORDS / ITEM_S / regime.pace, regime.pace)
    with server, ExitStack() as stack:
        clients = {
            name: stack.enter_context(closing(opened(server.base_url))) for name, opened in _openers(regime).items()
        }
        measured: Measured = {}
        for app in apps:
            few = documents(0, 4, 4, 8)
            for client in clients.values():  # imports, first plans
                client.load(few)
                client.run(app)
            measured[app] = _runs(server, clients, app, [_documents(regime, number) for number in range(repeat)])
            report(app, measured[app])
    return measured


def _documents(regime: Regime, number: int) -> list[Document]:
    """Others for each run: which verdicts are slow matters, and which they are is luck."""
    return documents(1000 * (number + 1), regime.documents, regime.least, regime.most)


def _runs(
    server: Server, clients: Mapping[str, Client], app: App, sets: Sequence[Sequence[Document]]
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in clients}
    for rows in sets:  # in turns, so that what else the machine does meets all of them
        for client in clients.values():
            client.load(rows)
        for name, client in clients.items():
            runs[name].append(_one(server, client, app))
        _check(app, [mine[-1] for mine in runs.values()])
    return runs


def _openers(regime: Regime) -> dict[str, Callable[[str], Client]]:
    os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = (
        "false"  # its users' setting must not slow it
    )
    # Not at the top: without langgraph the benchmark says so instead of failing.
    from .ancestry_clients import AnserClient, GraphClient

    openers: dict[str, Callable[[str], Client]] = {
        OURS: lambda url: AnserClient(url, regime.cap),
        THEIRS: lambda url: GraphClient(url, regime.cap),
    }
    if regime.windowed:
        openers[f"{THEIRS}, {regime.cap} documents at once"] = lambda url: GraphClient(url, regime.cap, regime.cap)
    return openers


def _one(server: Server, client: Client, app: App) -> Run:
    gc.collect()
    server.reset()
    cpu = cpu_s()
    answered = client.run(app)
    used = cpu_s() - cpu
    events = server.events()
    asked = Counter(event.digest for event in events)
    return Run(answered.seconds, answered.texts, used, asked, _early(events, app), int(server.stats()["max_in_flight"]))


def _early(events: Sequence[Event], app: App) -> list[bool]:
    """For each item, whether the model was first asked about it before it had written the last of its document."""
    written = {event.document: event.ended for event in events if event.stage == "list"}
    first = [event for event in events if event.stage == app.child and event.items == 1]
    return [event.arrived < written[event.document] for event in first]


def _check(app: App, runs: Sequence[Run]) -> None:
    """All gave the same answers to the same questions."""
    first, *others = runs
    if any(run.texts != first.texts for run in others):
        raise SystemExit(f"{app.name}: the clients do not agree")
    if any(run.asked != first.asked for run in others):
        counts = [sum(run.asked.values()) for run in runs]
        raise SystemExit(f"{app.name}: the clients asked other questions ({counts} requests)")


if __name__ == "__main__":
    main()

"""``make conformance``: every outside case on every road, and what came of it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from .roads import PLAIN, PROJECTED, TOP, Verdict, verdicts
from .suites import DATA, outside_cases


def main() -> int:
    """Run, print, and say by the exit code whether the targets are met: all of plain SQL, 99.5 % of the rest."""
    options = _options()
    if not DATA.is_dir():
        print(f"Conformance is skipped: there is no data at {DATA} (it is not part of the repository).")
        return 0
    started = time.monotonic()
    found = list(_run(options))
    print(summary(found))
    print(f"{time.monotonic() - started:.0f} s")
    return int(not all(_share(c) >= (1 if road == PLAIN else 0.995) for (_, road), c in _counts(found).items()))


def summary(found: Iterable[Verdict]) -> str:
    """Figures per suite and road; what was skipped; and which way the queries with a call went."""
    found = list(found)
    lines = [f"{'suite':<10} {'road':<14} {'passed':>7} {'failed':>7} {'skipped':>8}"]
    for (suite, road), c in sorted(_counts(found).items()):
        lines.append(f"{suite:<10} {road:<14} {c['passed']:>7} {c['failed']:>7} {c['skipped']:>8} {_share(c):>9.2%}")
    skipped = Counter((v.road, v.reason) for v in found if v.status == "skipped")
    lines += [f"skipped on {road}: {count} × {reason}" for (road, reason), count in sorted(skipped.items())]
    ways = Counter((v.road, v.how.partition(":")[0]) for v in found if v.road != PLAIN and v.how)
    return "\n".join([*lines, *(f"way of {road}: {count} × {way}" for (road, way), count in sorted(ways.items()))])


def _counts(found: Iterable[Verdict]) -> dict[tuple[str, str], Counter[str]]:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for verdict in found:
        counts.setdefault((verdict.suite, verdict.road), Counter())[verdict.status] += 1
    return counts


def _share(counts: Counter[str]) -> float:
    return counts["passed"] / max(1, counts["passed"] + counts["failed"])


def _run(options: argparse.Namespace) -> Iterator[Verdict]:
    """Verdicts of the chosen cases, those of an earlier run first; each case is written down when it has ended."""
    output: Path | None = options.output
    if output and not options.resume:
        output.unlink(missing_ok=True)
    earlier = [Verdict(**json.loads(line)) for line in output.open()] if output and output.exists() else []
    yield from earlier
    done = {(v.suite, v.case) for v in earlier}
    end = None if options.count is None else options.offset + options.count
    chosen = (c for c in outside_cases() if options.case in c.name)
    for case in islice(chosen, options.offset, end, options.every):
        if (case.suite, case.name) in done:
            continue
        found = list(verdicts(case, tuple(options.road or (PLAIN, PROJECTED, TOP))))
        for verdict in found:
            if verdict.status == "failed":
                print(f"{verdict.road}: {verdict.case}:{verdict.step}: {verdict.reason}", flush=True)
        if output:
            with output.open("a") as file:
                file.writelines(json.dumps(asdict(v)) + "\n" for v in found)
        yield from found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="every n-th case")
    parser.add_argument("--offset", type=int, default=0, help="leave out the first n cases")
    parser.add_argument("--count", type=int, help="no more than n cases")
    parser.add_argument("--case", default="", help="only cases whose name holds this")
    parser.add_argument("--road", action="append", choices=(PLAIN, PROJECTED, TOP), help="all by default")
    parser.add_argument("--output", type=Path, help="a file for the verdicts, one JSON object a line")
    parser.add_argument("--resume", action="store_true", help="go on after the cases that --output has")
    return parser.parse_args()


sys.exit(main())

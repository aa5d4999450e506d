"""A SIMULATOR of OpenAI-compatible servers: real HTTP on 127.0.0.1, invented answers, faults on demand, and a bill.

How to run it, and what it can do: ``docs/simulator.md``.
"""

from __future__ import annotations

from .bill import Bill, Line, Tokens
from .child import ChildServer
from .faults import KINDS, STATUSES, Fault, FaultRates, Kind
from .in_process import InProcessModel
from .loopback import LoopbackServer
from .profile import Profile
from .simulated_time import SimulatedLoop, SimulatedLoopClock, run_simulated
from .stats import Stats

__all__ = [
    "KINDS",
    "STATUSES",
    "Bill",
    "ChildServer",
    "Fault",
    "FaultRates",
    "InProcessModel",
    "Kind",
    "Line",
    "LoopbackServer",
    "Profile",
    "SimulatedLoop",
    "SimulatedLoopClock",
    "Stats",
    "Tokens",
    "run_simulated",
]

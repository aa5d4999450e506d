"""What calls take of energy: a range and how it was found, never one bare number.

Of a model on a server elsewhere nobody tells us the energy; it follows from the number of its parameters, by the regression
that EcoLogits publishes (GPU energy and latency of an output token against active parameters and batch size, fitted to the
measurements of the ML.ENERGY leaderboard), with a share of the server around the GPUs and the data centre's overhead (PUE).
Measured figures lie below it: 0.070 J a token (H100, batch 512) and 0.047 J (B200, batch 2048) for Llama 3.1 8B in Hugging
Face's green token index, against 0.32 J by the regression at its batch of 64. So ``low`` is a seventh of it, and ``high`` is
what it says for a quarter of the batch.

The regression leaves out input tokens. Reading them is bound by arithmetic: two operations a parameter and token, at 40 %
of what an H100 can do (70 % for ``low``, 20 % for ``high``). Input tokens from a prefix cache cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from .base import ModelSpec, Usage
from .parameters import Parameters, parameters_of

Method = Literal["nvml", "provider", "table", "tdp", "default"]
"""How a figure was found: GPU counter; declared with CREATE MODEL; by the model's parameters; CPU time at the watts of
``llm_cpu_watts``; the same with assumed watts, or assumed parameters."""

SERVER_PUE = 1.2
"""Data centres of large providers state 1.1 to 1.3; EcoLogits' defaults lie there, too."""
BATCH = 64.0
LOW_SHARE, HIGH_BATCH = 1 / 7, 1 / 4
DECLARED_SPREAD = 1.5

# EcoLogits 0.11, methodology "LLM inference": Wh per output token and GPU, and seconds per output token.
_ENERGY = (1.1665273170451914e-06, -0.011205921025579175, 4.052928146734005e-05)
_LATENCY = (0.0006785088094353663, 0.0003119310311688259, 0.019473717579473387)
_SERVER_W, _SERVER_GPUS, _GPU_GB, _BYTES, _OVERHEAD = 1200.0, 8, 80.0, 2.0, 1.2
# NVIDIA H100 SXM data sheet: dense BF16 operations per second, watts; and its share of the server.
_FLOPS, _GPU_W = 989.4e12, 700.0
_UTILISATION = (0.7, 0.4, 0.2)

# Nobody tells the size of a closed model: from the small ones of 8 to the large ones of 200 billion active parameters.
UNKNOWN = (Parameters(8, 8), Parameters(40, 40), Parameters(200, 400))
UNKNOWN_EMBEDDING = (Parameters(0.1, 0.1), Parameters(0.5, 0.5), Parameters(8, 8))

# Watts of a busy core. AMD EPYC 9654: 360 W for 96 cores; Intel Core i7-12700K: 125 W for 12; laptops 15 W for 6.
CORE_W = (2.0, 5.0, 12.0)
_TDP_SHARE = (0.5, 1.0, 1.25)
# NVIDIA states ±5 % for the counter; it does not know of the server around the GPU.
_NVML_SHARE = (0.95, 1.0, 1 + _SERVER_W / _SERVER_GPUS / _GPU_W)


class Energy(NamedTuple):
    """Joules. A tuple, for every call has one.

    Parameters
    ----------
    low, mid, high : what to expect at least, what is likeliest, and at most. method : see :data:`Method`.
    """

    low: float
    mid: float
    high: float
    method: Method


@dataclass(frozen=True, slots=True)
class PerToken:
    """What a model's tokens take: joules an input and an output token, and seconds an output token (low, mid, high)."""

    read: tuple[float, float, float]
    written: tuple[float, float, float]
    seconds: float
    method: Method

    def of(self, fresh: float, written: tuple[float, float, float]) -> Energy:
        """So many input tokens that no cache had, and output tokens (low, mid, high)."""
        read, each = self.read, self.written
        return Energy(
            read[0] * fresh + each[0] * written[0],
            read[1] * fresh + each[1] * written[1],
            read[2] * fresh + each[2] * written[2],
            self.method,
        )


def joules_per_output_token(size: Parameters, batch: float = BATCH) -> float:
    """The regression: GPUs and their share of the server, without the data centre's overhead.

    >>> round(SERVER_PUE * joules_per_output_token(Parameters(8, 8)), 2)
    0.32
    """
    alpha, beta, gamma = _ENERGY
    gpus = gpus_for(size)
    gpu = 3600 * (alpha * math.exp(beta * batch) * size.active + gamma)
    return gpus * gpu + seconds_per_output_token(size, batch) * _SERVER_W * gpus / _SERVER_GPUS / batch


def seconds_per_output_token(size: Parameters, batch: float = BATCH) -> float:
    """How long a request waits for a token."""
    alpha, beta, gamma = _LATENCY
    return alpha * size.active + beta * batch + gamma


def joules_per_input_token(size: Parameters, utilisation: float) -> float:
    """Reading, on a GPU that is so busy, with its share of the server."""
    return 2 * size.active * 1e9 * (_GPU_W + _SERVER_W / _SERVER_GPUS) / (_FLOPS * utilisation)


def gpus_for(size: Parameters) -> int:
    """GPUs of 80 GB that hold the parameters at 16 bits, in powers of two.

    >>> gpus_for(Parameters(70, 70))
    4
    """
    needed = math.ceil(_OVERHEAD * size.total * _BYTES / _GPU_GB)
    return int(2 ** math.ceil(math.log2(max(1, needed))))


def per_token(spec: ModelSpec, pue: float = SERVER_PUE) -> PerToken:
    """A model's figures, by what is declared, or else by its parameters."""
    options = spec.options
    sizes = parameters_of(spec)
    embeds, batch = bool(options.get("embeds")), float(options.get("batch", BATCH))
    read, written = options.get("joules_in"), options.get("joules_out")
    if read is not None or written is not None:
        return _declared(float(read or 0.0), float(written or 0.0), sizes or UNKNOWN[1], batch)
    return _by_size(sizes, embeds, batch, pue)


def _declared(read: float, written: float, size: Parameters, batch: float) -> PerToken:
    spread = (1 / DECLARED_SPREAD, 1.0, DECLARED_SPREAD)
    low, mid, high = ((read * s, written * s) for s in spread)
    seconds = seconds_per_output_token(size, batch)
    return PerToken((low[0], mid[0], high[0]), (low[1], mid[1], high[1]), seconds, "provider")


@lru_cache(maxsize=256)
def _by_size(size: Parameters | None, embeds: bool, batch: float, pue: float) -> PerToken:
    unknown = UNKNOWN_EMBEDDING if embeds else UNKNOWN
    low, mid, high = (size, size, size) if size is not None else unknown
    written = (
        pue * LOW_SHARE * joules_per_output_token(low, batch),
        pue * joules_per_output_token(mid, batch),
        pue * joules_per_output_token(high, max(1.0, batch * HIGH_BATCH)),
    )
    idle, usual, poor = _UTILISATION
    read = (
        pue * joules_per_input_token(low, idle),
        pue * joules_per_input_token(mid, usual),
        pue * joules_per_input_token(high, poor),
    )
    return PerToken(read, written, seconds_per_output_token(mid, batch), "default" if size is None else "table")


def counted_energy(tokens: PerToken, usage: Usage) -> Energy | None:
    """Of a call whose tokens are known; ``None``: nobody counted them.

    >>> counted_energy(per_token(ModelSpec("llama-8b", "vllm")), Usage(0, 100)).method
    'table'
    """
    if usage.tokens_in is None:
        return None
    out = float(usage.tokens_out or 0)
    return tokens.of(max(0, usage.tokens_in - (usage.tokens_cached or 0)), (out, out, out))


def cut_off_energy(tokens: PerToken, read: int, most_written: int, seconds: float) -> Energy:
    """Of a call that was cut off: nobody counted, but the server has read the prompt and has written for so long.

    Parameters
    ----------
    read : tokens of the prompt, by a rule of thumb. most_written : the request's cap. seconds : from sending to the end.
    """
    likely = min(float(most_written), seconds / tokens.seconds)
    guess = tokens.of(read, (0.0, likely, float(most_written)))
    return Energy(0.0, guess.mid, guess.high, "default")


def cpu_energy(seconds: float, watts: float | None, pue: float = 1.0) -> Energy:
    """Of busy seconds of this machine's cores.

    Parameters
    ----------
    watts : of one core under load (the processor's TDP by its cores); ``None``: assumed.

    >>> cpu_energy(10.0, None)
    Energy(low=20.0, mid=50.0, high=120.0, method='default')
    """
    each = CORE_W if watts is None else tuple(watts * share for share in _TDP_SHARE)
    low, mid, high = (pue * seconds * w for w in each)
    return Energy(low, mid, high, "default" if watts is None else "tdp")


def gpu_energy(joules: float, pue: float = 1.0) -> Energy:
    """Of what the GPUs' own counters say."""
    low, mid, high = (pue * joules * share for share in _NVML_SHARE)
    return Energy(low, mid, high, "nvml")

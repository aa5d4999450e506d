"""Tokens of prompts by the model's own tokenizer, where that is at hand: EXPLAIN loads and starts nothing for it, and waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as TooLateError

from ...udfs.models.base import Capabilities, Embed, Generate, Request
from ..dataflow import loop
from ..errors import Error

PATIENCE_S = 2.0


def counted_tokens(requests: Sequence[Sequence[Request]], capabilities: Capabilities) -> float | None:
    """Mean tokens of what is asked about a row, without the few that a chat template adds.

    Parameters
    ----------
    requests : per row. capabilities : of the model that would be asked.

    Returns
    -------
    ``None`` : there is no row, nobody counts without more ado, or counting failed; nothing is said of that.
    """
    count = capabilities.count_tokens
    if count is None or not requests or loop.is_loop_thread() or not capabilities.counts_now():
        return None
    texts = [text for asked in requests for request in asked for text in _texts(request)]
    different = list(dict.fromkeys(texts))
    counting = loop.submit(_counted(different, count))
    try:
        tokens = dict(zip(different, counting.result(PATIENCE_S), strict=True))
    except (Error, TooLateError):
        counting.cancel()
        return None
    return sum(tokens[text] for text in texts) / len(requests)


async def _counted(texts: Sequence[str], count: Callable[[str], Awaitable[int]]) -> list[int]:
    return list(await asyncio.gather(*map(count, texts)))


def _texts(request: Request) -> Sequence[str]:
    match request:
        case Generate():
            return (request.system, request.user)
        case Embed():
            return (request.text,)

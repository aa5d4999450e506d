"""Ending asynchronous iterators that may or may not be generators."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def close(stream: AsyncIterator[Any]) -> None:
    """Run the clean-up of an asynchronous generator now, and not whenever it is collected; other iterators have none."""
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close the stream at the end of the block. Every operator reads its input in one: a reader that stops early then
    ends the whole pipeline below it, step by step, before it goes on."""
    try:
        yield stream
    finally:
        await close(stream)

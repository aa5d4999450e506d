"""Counts tokens at a server that offers ``/tokenize``: the text goes there, no model runs, nothing is paid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.errors import NotSupportedError
from .http_errors import Refusal, refused
from .http_transport import HttpTransport, Refused, on_this_machine

_NOT_OFFERED = frozenset({400, 404, 405, 410, 415, 422, 501})


@dataclass(frozen=True, slots=True)
class _Form:
    """A kind of server: what it wants for (model, text), and where in its reply the number is."""

    body: Callable[[str, str], Mapping[str, Any]]
    number: Callable[[Mapping[str, Any]], int | None]


def _count(reply: Mapping[str, Any]) -> int | None:
    count = reply.get("count")
    return count if isinstance(count, int) else None


def _length(reply: Mapping[str, Any]) -> int | None:
    tokens = reply.get("tokens")
    return len(tokens) if isinstance(tokens, list) else None


_VLLM = _Form(lambda model, text: {"model": model, "prompt": text, "add_special_tokens": False}, _count)
_LLAMA_CPP = _Form(lambda _, text: {"content": text, "add_special": False, "parse_special": False}, _length)
# llama.cpp's server finds no text in the other's body, and answers with no tokens and no count: that is how it is told.
_FORMS = (_VLLM, _LLAMA_CPP)


class ServerTokenizer:
    """The tokenizer of a model behind HTTP. What the server understands is learnt at the first text.

    Parameters
    ----------
    transport : the connection to the server. model : the server's own name of the model.
    """

    def __init__(self, transport: HttpTransport, model: str) -> None:
        self._transport, self._model = transport, model
        base = transport.where.base_url
        addresses = dict.fromkeys((f"{base.removesuffix('/v1')}/tokenize", f"{base}/tokenize"))
        self._untried = [(address, form) for address in addresses for form in _FORMS]
        self._known: tuple[str, _Form] | None = None
        self._learning: asyncio.Lock | None = None

    def ready(self) -> bool:
        """Whether the server is known to be up and may be asked beside any query: it has answered, and its tokenizer is known, or it runs
        on this machine, so that no text goes where none has been sent.
        """
        near = self._known is not None or (bool(self._untried) and on_this_machine(self._transport.where.base_url))
        return self._transport.reached and near

    async def count(self, text: str) -> int:
        """Tokens of the text as it stands, without those that a chat template adds.

        Raises
        ------
        NotSupportedError : the server offers no tokenizer. ModelError : it cannot be reached, or refuses.
        """
        if not text:
            return 0
        try:
            number = await (self._learn(text) if self._known is None else self._ask(*self._known, text))
        except Refused as error:
            refusal = error.refusal
        else:
            if number is None:
                raise self._silent()
            return number
        raise refused(refusal, self._transport.where)

    async def _learn(self, text: str) -> int | None:
        """The count, by the first way that the server understands."""
        self._learning = self._learning or asyncio.Lock()
        async with self._learning:
            while self._known is None and self._untried:
                number = await self._try(*self._untried[0], text)
                if number is not None:
                    self._known = self._untried[0]
                    return number
                del self._untried[0]
        return None if self._known is None else await self._ask(*self._known, text)

    async def _try(self, address: str, form: _Form, text: str) -> int | None:
        try:
            return await self._ask(address, form, text)
        except Refused as error:
            if error.refusal.status in _NOT_OFFERED and not self._names_the_model(error.refusal):
                return None
            raise

    async def _ask(self, address: str, form: _Form, text: str) -> int | None:
        return form.number(await self._transport.post(address, form.body(self._model, text)))

    def _names_the_model(self, refusal: Refusal) -> bool:
        """It has a tokenizer, but not this model's."""
        return refusal.param == "model" or self._model in refusal.text

    def _silent(self) -> NotSupportedError:
        where = self._transport.where
        return NotSupportedError(
            f"LLM_COUNT_TOKENS: the server of model {where.name}, {where.base_url}, has no /tokenize, and an estimate would "
            "pass for a count. vLLM and llama.cpp's server have it; a model that runs in this process counts, too: "
            "model := 'small'."
        )

"""Vectors of texts for proxies, through the same cache and the same books as any other call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np

from ....optimizer.cascades.students import Floats
from ....udfs.functions.llm_embed import EmbedTask, Role
from ....udfs.models.base import Model, ModelSpec
from ....udfs.prompts.row_values import RowValues
from ....udfs.spec import Ask
from ...dataflow.caller import Caller
from ...dataflow.memo import Memo
from ...dataflow.run import QueryRun
from ...errors import BindError, DataError, ModelError, NotSupportedError
from ...plan.nodes import SemanticCall
from ...settings import Settings
from ..operators.row_judge import in_window

FUNCTION = "LLM_EMBED"
ROLE: Role = "query"
"""As models with two prefixes want texts that are features, or that are compared with their like."""
REMEMBERED, REMEMBERED_BYTES = 20_000, 64 << 20
ARM = "embeddings"
"""How the calls are counted beside those of the site's reference."""


class Models(Protocol):
    """Opens models by their catalogue name."""

    def open(self, name: str) -> tuple[Model, ModelSpec]:
        """The model and its entry. Raises BindError for an unknown name."""
        ...


class Embedder:
    """Makes vectors of texts.

    Parameters
    ----------
    ask : reaches the embedding model. most : texts under way at once. identity : what vectors depend on.
    """

    def __init__(self, ask: Ask, most: int, identity: str) -> None:
        self._ask, self._most, self.identity = ask, max(1, most), identity
        self._task = EmbedTask(None, ROLE, RowValues((None,), (True,)))
        self._made: Memo[str, Floats] = Memo(REMEMBERED, REMEMBERED_BYTES)  # a student sees rows again and again

    async def of(self, texts: Sequence[str]) -> Floats:
        """A vector of length 1 per text; NaN where the model failed.

        Raises
        ------
        ModelError, DataError : it failed for all of them, or will for any other.
        """
        distinct = list(dict.fromkeys(texts))
        failures: list[ModelError | DataError] = []
        found = await in_window([partial(self._one, text, failures) for text in distinct], self._most)
        made = {text: vector for text, vector in zip(distinct, found, strict=True) if vector is not None}
        if not made and failures:
            raise failures[-1]
        missing = np.full(len(next(iter(made.values()), ())), np.nan)
        return np.array([made.get(text, missing) for text in texts]).reshape(len(texts), len(missing))

    async def _one(self, text: str, failures: list[ModelError | DataError]) -> Floats | None:
        if (known := self._made.get(text)) is not None:
            return known
        try:
            given = await self._task.run((text,), self._ask)
        except (ModelError, DataError) as error:
            if isinstance(error, ModelError) and error.hopeless:
                raise
            failures.append(error)
            return None
        vector = np.array(given, dtype=np.float64)
        vector /= max(float(np.linalg.norm(vector)), 1e-12)
        self._made.put(text, vector, vector.nbytes + len(text))
        return vector


def vectors_of(models: Models, settings: Settings) -> str:
    """What vectors depend on now; "": there is no model that makes any."""
    opened = _opened(models, settings)
    return "" if opened is None else opened[0].identity


def open_embedder(call: SemanticCall, run: QueryRun, models: Models) -> Embedder | None:
    """Vectors by the model of ``llm_embedding_model``, booked at the call's site; ``None``: there is no such model."""
    opened = _opened(models, run.settings)
    if opened is None:
        return None
    model, spec = opened
    cache, timeout = bool(call.options["cache"]), call.options.get("timeout")
    caller = Caller(run, model, spec, site=call.site, function=FUNCTION, cache=cache, timeout=timeout, arm=ARM)
    return Embedder(caller, caller.concurrency, model.identity)


def _opened(models: Models, settings: Settings) -> tuple[Model, ModelSpec] | None:
    try:
        model, spec = models.open(settings.llm_embedding_model)
    except (BindError, NotSupportedError):
        return None
    return (model, spec) if model.capabilities.embeds else None

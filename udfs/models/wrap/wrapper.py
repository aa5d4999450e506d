"""What all models around models share."""

from __future__ import annotations

from ..base import Capabilities, Model


class Wrapper:
    """A model around another: what a wrapper does not change is the other's."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def identity(self) -> str:
        """The wrapped model's."""
        return self._model.identity

    @property
    def capabilities(self) -> Capabilities:
        """The wrapped model's."""
        return self._model.capabilities

    @property
    def gated(self) -> bool:
        """The wrapped model's."""
        return bool(getattr(self._model, "gated", False))

    @property
    def limit(self) -> int | None:
        """The wrapped model's; ``None``: it has none."""
        limit = getattr(self._model, "limit", None)
        return limit if isinstance(limit, int) else None

    @property
    def barred(self) -> bool:
        """The wrapped model's."""
        return bool(getattr(self._model, "barred", False))

    async def close(self) -> None:
        """Close the wrapped model."""
        await self._model.close()

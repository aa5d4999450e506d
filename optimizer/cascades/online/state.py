"""What a cascade has learnt, as bytes: arrays beside a line of JSON that says what they are of. Nothing of it is ever executed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

HEAD = "identity"


class Part(Protocol):
    """Something that can be put away."""

    def dump(self) -> dict[str, NDArray[Any]]:
        """All that it knows."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        ...


def packed(parts: Mapping[str, Part], identity: Mapping[str, object]) -> bytes:
    """All parts, and what they are of."""
    arrays = {f"{name}/{key}": array for name, part in parts.items() for key, array in part.dump().items()}
    head = np.frombuffer(json.dumps(identity).encode(), np.uint8)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {HEAD: head, **arrays}.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    return written.getvalue()


def unpacked(state: bytes, parts: Mapping[str, Part], identity: Mapping[str, object]) -> None:
    """Bring parts to where they were.

    Raises
    ------
    ValueError : these bytes are no such state, or one of something else.
    """
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as read:
            arrays: dict[str, NDArray[Any]] = {name: read[name] for name in read.files}
        own = json.loads(arrays[HEAD].tobytes())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError("these bytes are not the state of an online cascade.") from error
    if own != dict(identity):
        raise ValueError(f"the state is of an online cascade with {own}, not with {dict(identity)}: start without it.")
    for name, part in parts.items():
        part.restore(
            {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}
        )

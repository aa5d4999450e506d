"""In which order rows are drawn: by chance, but the same for the same seed and keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from .certificate import Rows

Key = str | bytes
_DIGEST = 16


def drawn_by_chance(keys: Sequence[Key], seed: int) -> tuple[Rows, Rows]:
    """All rows in the order in which they are drawn, and each row's place among its equals; the two know nothing of each other.

    Rows of one key are told apart by which of them comes first.

    >>> order, place = drawn_by_chance(["a", "b", "c", "a"], 1)
    >>> sorted(order.tolist()), sorted(place.tolist())
    ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    salt = seed.to_bytes(8, "big", signed=True)
    times: dict[Key, int] = {}
    hashes = bytearray()
    for key in keys:
        nth = times[key] = times.get(key, -1) + 1
        data = _bytes(key) + b"\x00" + nth.to_bytes(8, "big") if nth else _bytes(key)
        hashes += hashlib.blake2b(data, digest_size=16, salt=salt).digest()
    ranks = np.frombuffer(bytes(hashes), ">u8").reshape(-1, 2)
    order, tied = (np.argsort(ranks[:, i], kind="stable").astype(np.int64) for i in (0, 1))
    place = np.empty_like(tied)
    place[tied] = np.arange(len(tied))
    return order, place


def digest_of(keys: Sequence[Key], rows: Rows) -> str:
    """A hash of the keys of these rows, whatever their order; of none: "".

    >>> digest_of(["a", "b"], np.array([0, 1])) == digest_of(["b", "a"], np.array([1, 0]))
    True
    """
    if not len(rows):
        return ""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for key in sorted(_bytes(keys[row]) for row in rows):
        digest.update(len(key).to_bytes(8, "big") + key)
    return digest.hexdigest()


def _bytes(key: Key) -> bytes:
    return key if isinstance(key, bytes) else key.encode()

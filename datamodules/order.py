"""The order in which training rows are drawn: an endless stream that can be entered at any step."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


class RowStream:
    """Epoch after epoch of the kept rows, each epoch in an order of its own.

    Batch t of size B is positions t*B .. (t+1)*B of the stream, so it may span two epochs, and training that stops
    at any step is continued with exactly the batches it would have seen. Rows that leave do not reorder the others.

    Args:
        kept: row numbers that are drawn from, (K,), a subset of range(rows).
        rows: number of rows before any was left out.
        seed: of the order alone.
    """

    def __init__(self, kept: NDArray[np.int64], rows: int, seed: int) -> None:
        self.kept = kept
        self.rows = rows
        self.seed = seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def at(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Epoch and row number at stream positions start .. stop, two arrays of shape (stop - start,)."""
        positions = np.arange(start, stop, dtype=np.int64)
        epochs, places = np.divmod(positions, len(self.kept))
        drawn = np.empty_like(positions)
        for epoch in np.unique(epochs):
            now = epochs == epoch
            drawn[now] = self._order_of(int(epoch))[places[now]]
        return epochs, drawn

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            digest = hashlib.sha256(f"order\x1f{self.seed}\x1f{epoch}".encode()).digest()
            # Raw bits of PCG64 are guaranteed between numpy versions; `permutation` is not.
            bits = np.random.PCG64(int.from_bytes(digest[:16], "big")).random_raw(self.rows)
            everyone = np.argsort(bits, kind="stable")
            self._order = everyone[np.isin(everyone, self.kept)].astype(np.int64)
            self._epoch = epoch
        return self._order

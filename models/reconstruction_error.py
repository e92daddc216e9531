"""Wear as what the principal components of fresh frames cannot reconstruct."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from reshift.models.degradation_index import DegradationIndex, centred, fresh_frames
from reshift.models.prognosis import Floats, History


class ReconstructionError(DegradationIndex):
    """Root mean square of standardised features less their reconstruction by principal components of fresh frames.

    Args:
        variance: share of the fresh frames' variance that the components hold, between 0 and 1.
        start: first frames of a sequence that count as fresh.
        own_start: describe frames by how they differ from the sequence's own first frames.

    Raises:
        ValueError: a share outside (0, 1); in `fit`, one for which the components span the features.
    """

    def __init__(self, variance: float = 0.95, start: int = 10, own_start: bool = True) -> None:
        if not 0 < variance < 1:
            raise ValueError(f"variance {variance}: a share between 0 and 1 leaves something to miss")
        self.variance, self.start, self.own_start = variance, start, own_start

    def fit(self, sequences: Sequence[History], limit: float) -> None:
        fresh = fresh_frames(sequences, self.start, self.own_start)
        self.scaler = StandardScaler().fit(fresh)
        self.components = PCA(self.variance, svd_solver="full").fit(self.scaler.transform(fresh))
        kept, features = self.components.n_components_, fresh.shape[1]
        if kept == features:
            raise ValueError(
                f"variance {self.variance} of the fresh frames takes all {features} components, which leaves nothing "
                f"to miss but rounding; give a lower one"
            )

    def measure(self, history: History) -> Floats:
        feature = self.scaler.transform(centred(history, self.start, self.own_start))
        rebuilt = self.components.inverse_transform(self.components.transform(feature))
        squares: Floats = np.square(feature - rebuilt).mean(axis=1)
        return np.sqrt(squares)

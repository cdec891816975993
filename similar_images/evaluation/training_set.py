"""A training set of similar images, and the projection that it teaches.

Images that are said to be similar still differ: by light, background or angle. The directions in which they differ most
are damped, as far as that helps on images of other groups (within-class covariance normalization: Hatch, Kajarekar and
Stolcke, "Within-Class Covariance Normalization for SVM-Based Speaker Recognition", 2006).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.utils.functional import cached_property
from numpy.typing import NDArray

from ..signatures.distances import BLOCK
from .retrieval import ranking_metrics

if TYPE_CHECKING:
    Floats = NDArray[np.float32]
    Indices = NDArray[np.intp]

MAX_DIRECTIONS = 256
"""Number of directions with the largest differences within groups that may be damped; all others stay as they are."""

RIDGES = (3.0, 1.0, 0.3, 0.1, 0.03)
"""Candidates for the ridge, as a share of the largest variance within groups: the smaller, the stronger the damping."""

MAX_QUERIES = 1_000
"""Maximum number of images to search with, to measure average precision."""


@dataclass(frozen=True)
class TrainingSet:
    """Signatures of n images, and which of them are similar.

    `values`: signatures, float32 (n, dimensions). `groups`: group number of each image, int (n,); images of one group
    are similar. `dissimilar`: index pairs of images that are not similar, int (p, 2), even within a group.
    """

    values: Floats
    groups: Indices
    dissimilar: Indices

    def subset(self, groups: Iterable[int]) -> TrainingSet:
        """Return the images of these groups, with the dissimilar pairs among them."""
        indices = np.flatnonzero(np.isin(self.groups, list(groups)))
        new_index = np.full(len(self.groups), -1)
        new_index[indices] = np.arange(len(indices))
        pairs = new_index[self.dissimilar]
        return TrainingSet(self.values[indices], self.groups[indices], pairs[(pairs >= 0).all(axis=1)])

    def split(self, seed: int) -> tuple[TrainingSet, TrainingSet]:
        """Return two halves with whole groups, drawn at random."""
        groups = np.random.default_rng(seed).permutation(np.unique(self.groups))
        return self.subset(groups[::2]), self.subset(groups[1::2])

    @cached_property
    def centering(self) -> tuple[Floats, Floats]:
        """The projection that only takes the mean off."""
        return self.values.mean(axis=0), np.eye(self.values.shape[1], dtype=np.float32)

    @cached_property
    def _variation(self) -> tuple[Floats, Floats, Floats]:
        """Principal directions within groups, (k, dimensions), their variances, (k,), and those of dissimilar pairs."""
        from sklearn.decomposition import PCA

        numbers = np.unique(self.groups, return_inverse=True)[1]
        sums = np.zeros((numbers.max() + 1, self.values.shape[1]), np.float32)
        np.add.at(sums, numbers, self.values)
        within = self.values - (sums / np.bincount(numbers)[:, None])[numbers]
        size = min(MAX_DIRECTIONS, *(np.array(within.shape) - 1))
        pca = PCA(size, svd_solver="randomized", random_state=0).fit(within)
        differences = self.values[self.dissimilar[:, 0]] - self.values[self.dissimilar[:, 1]]
        between = ((differences @ pca.components_.T) ** 2).sum(axis=0) / (2 * max(len(differences), 1))
        return pca.components_, pca.explained_variance_, between

    def fit(self, ridge: float, contrast: float) -> tuple[Floats, Floats]:
        """Return the mean, (dimensions,), and the matrix, (dimensions, dimensions), to damp differences in groups.

        Args:
            ridge: variance, as a share of the largest one, up to which a direction is hardly damped.
            contrast: weight of the variance between dissimilar images, which protects a direction from damping.
        """
        directions, within, between = self._variation
        protected = ridge * within[0] + contrast * between + 1e-12
        gains = np.sqrt(protected / (protected + within))
        matrix = np.eye(self.values.shape[1]) + (directions.T * (gains - 1)) @ directions
        return self.values.mean(axis=0), matrix.astype(np.float32)

    def average_precisions(self, projection: tuple[Floats, Floats] | None = None) -> Floats:
        """Return the average precision of every image as a query among the others, (n,); NaN if it is no query."""
        mean, matrix = projection or (np.float32(0), np.eye(self.values.shape[1], dtype=np.float32))
        projected = (self.values - mean) @ matrix
        projected /= np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)
        precisions = np.full(len(projected), np.nan, np.float32)
        queries = np.random.default_rng(0).permutation(len(projected))[:MAX_QUERIES]
        for start in range(0, len(queries), BLOCK):
            chunk = queries[start : start + BLOCK]
            relevant = self._relevant(chunk)
            chunk, relevant = chunk[relevant.any(axis=1)], relevant[relevant.any(axis=1)]
            distances = 1 - projected[chunk] @ projected.T
            distances[np.arange(len(chunk)), chunk] = np.inf
            if len(chunk):
                precisions[chunk] = ranking_metrics(distances, relevant)[:, 0]
        return precisions

    def _relevant(self, queries: Indices) -> NDArray[np.bool_]:
        """Tell which images are similar to each query, (q, n)."""
        relevant: NDArray[np.bool_] = self.groups[queries][:, None] == self.groups
        relevant[np.arange(len(queries)), queries] = False
        rows = {query: row for row, query in enumerate(queries.tolist())}
        for a, b in np.concatenate([self.dissimilar, self.dissimilar[:, ::-1]]).tolist():
            if a in rows:
                relevant[rows[a], b] = False
        return relevant

    def select_parameters(self) -> tuple[float, float]:
        """Return the ridge and the contrast with the best precision, learned on one half and evaluated on the other."""
        first, second = self.split(0)
        contrasts = (0.0, 1.0) if len(self.dissimilar) else (0.0,)
        options = [(ridge, contrast) for ridge in RIDGES for contrast in contrasts]
        totals = {
            option: np.nansum(
                np.concatenate([b.average_precisions(a.fit(*option)) for a, b in ((first, second), (second, first))])
            )
            for option in options
        }
        return max(options, key=lambda option: totals[option])

"""An evaluation of rankings: retrieval by every label of a set, then robustness to modified copies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import conf
from ..imaging.decode import UnreadableImage
from ..imaging.opencv import single_core
from ..search.ranking import Ranking
from .description import DescribedSet, decode_image
from .keypoint_reranking import KeypointReranker
from .labeled_images import LabeledImage, sample_indices
from .neighbor_reranking import NeighborReranker
from .report import EvaluationResult
from .retrieval import RANDOM, Retrieval, query_indices, retrieve
from .robustness import Robustness, evaluate_robustness
from .transforms import Pixels

DEFAULT_MODIFIED = 100
"""Number of images of a set without labels that are modified by default."""


@dataclass(frozen=True)
class Evaluator:
    """Evaluates rankings on sets of images.

    `rankings`: weights by method, by the ranking's title. `progress`: wraps an iterable to show progress, as tqdm does.
    `warn`: reports a message. `label`: the only label to evaluate; None for all. `every`: search with every Nth image.
    `reranked_by`: also re-rank blends, by "keypoints" or "neighbors". `modified`: how many images of each set to
    modify; None for DEFAULT_MODIFIED where there are no labels, otherwise none. `reranked_title`: the only ranking to
    re-rank; None for all of several methods.
    """

    rankings: Mapping[str, Ranking]
    progress: Callable[..., Iterable[Any]]
    warn: Callable[[str], object]
    label: str | None = None
    every: int = 1
    reranked_by: Collection[str] = ()
    modified: int | None = None
    reranked_title: str | None = None

    @property
    def reranked(self) -> dict[tuple[str, str], Ranking]:
        """The rankings that are also re-ranked, by title and by what."""
        blends = {
            title: weights
            for title, weights in self.rankings.items()
            if (title == self.reranked_title if self.reranked_title else len(weights) > 1)
        }
        return {(title, name): weights for name in self.reranked_by for title, weights in blends.items()}

    @property
    def titles(self) -> list[str]:
        """Titles of everything that is evaluated, but for the random order."""
        return [*self.rankings, *(reranked_title(*key) for key in self.reranked)]

    def evaluate(self, name: str, described: DescribedSet) -> EvaluationResult:
        """Evaluate every ranking on a set of this name."""
        retrieval = self._evaluate_retrieval(name, described)
        count = self.modified if self.modified is not None else DEFAULT_MODIFIED * (not retrieval)
        robustness = self._evaluate_robustness(name, described, count) if described.images and count else {}
        return EvaluationResult(name, described, retrieval, robustness)

    def _evaluate_retrieval(self, name: str, described: DescribedSet) -> dict[str, dict[str, Retrieval]]:
        signatures, results = described.signatures, {}
        keypoints: KeypointReranker | None = None
        for label, labels in self._informative_labels(name, described.images):
            rankings = self.progress(
                {**self.rankings, RANDOM: {}}.items(), unit=" methods", desc=f"{name}: retrieval by {label}"
            )
            results[label] = {
                title: retrieve(weights, signatures, labels, every=self.every) for title, weights in rankings
            }
            if self.reranked:
                if "keypoints" in self.reranked_by:
                    keypoints = keypoints or KeypointReranker(described.images, conf.get().max_pixels)
                rankings = self.progress(self.reranked.items(), unit=" rankings", desc=f"{name}: re-ranking")
                for (title, by), weights in rankings:
                    by_keypoints = keypoints if by == "keypoints" else None
                    rerank = (by_keypoints or NeighborReranker(weights, signatures)).rerank
                    retrieval = retrieve(weights, signatures, labels, every=self.every, rerank=rerank)
                    results[label][reranked_title(title, by)] = retrieval
        return results

    def _informative_labels(self, set_name: str, images: list[LabeledImage]) -> Iterator[tuple[str, list[str]]]:
        """Yield the labels that some images share, but not all."""
        for name in dict.fromkeys(name for image in images for name in image.labels):
            if self.label in (name, None):
                labels = [image.labels[name] for image in images]
                if len(query_indices(labels)) and len(set(labels)) > 1:
                    yield name, labels
                else:
                    shared = "all images have the same one" if len(set(labels)) == 1 else "no two images have the same"
                    self.warn(f"{set_name}: nothing can be measured by the label {name}, as {shared}.")

    def _evaluate_robustness(self, name: str, described: DescribedSet, count: int) -> dict[str, Robustness]:
        indices = self.progress(
            sample_indices(len(described.images), count), unit=" images", desc=f"{name}: modified copies"
        )
        rerank = {
            reranked_title(title, by): (title, NeighborReranker(weights, described.signatures).rerank)
            for (title, by), weights in self.reranked.items()
            if by == "neighbors"
        }
        originals = self._decode(described.images, indices)
        with single_core():
            return evaluate_robustness(self.rankings, described.signatures, originals, rerank)

    def _decode(self, images: list[LabeledImage], indices: Iterable[int]) -> Iterator[tuple[int, Pixels]]:
        for index in indices:
            try:
                yield index, decode_image(images[index], conf.get().max_pixels)
            except (UnreadableImage, OSError) as error:
                self.warn(f"{images[index].name}: {error}")


def reranked_title(title: str, reranked_by: str) -> str:
    """Return the title of a ranking that is re-ranked."""
    return f"{title} + {reranked_by}"

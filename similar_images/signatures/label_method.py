"""Labels as a signature: how surely an image shows each of some classes, kept for people; nothing is searched by it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .base import Method, Metric, StorageType
from .embedding import Embedding
from .embedding.labels import class_probabilities, imagenet_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_STORED_LABELS = 5
"""Classes of an image that are kept, at most: the most probable ones."""


class LabelMethod(Method):
    """A classifier whose most probable classes are kept of every image.

    A signature has the probabilities of these classes by their indexes: some 50 bytes an image.
    """

    name = "labels"
    storage: ClassVar[StorageType] = "sparsevec"
    metric: ClassVar[Metric] = "l1"
    curve = ((0, 100), (2, 0))

    @property
    @abstractmethod
    def label_names(self) -> Sequence[str]:
        """Names of all classes, in the order of their indexes; they may be lazy translations."""

    @abstractmethod
    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return how surely an upright RGB image shows each class, 0 to 1: (classes,)."""

    @property
    def dimensions(self) -> int:
        """Number of classes."""
        return len(self.label_names)

    def compute(self, pixels: NDArray[np.uint8]) -> dict[int, float]:
        """Return the probabilities of the most probable classes, by index."""
        import numpy as np

        scores = self.score(pixels)
        best = np.argsort(-scores, kind="stable")[:MAX_STORED_LABELS]
        return {int(index): float(scores[index]) for index in best if scores[index] > 0}


class ImageNetLabels(LabelMethod):
    """The 1000 classes of ImageNet, by a built-in EfficientNet-Lite.

    Args:
        options: arguments of `Embedding`.

    Raises:
        ValueError: they are of another network, which knows no classes.
    """

    def __init__(self, **options: Any) -> None:
        self._network = Embedding(**options)
        if not self._network.classifies:
            raise ValueError("labels need a built-in network, such as the preset efficientnet-lite0")

    @property
    def version(self) -> str:
        """Version of the network, and how many labels are kept."""
        return f"{self._network.version}-top{MAX_STORED_LABELS}"

    @property
    def label_names(self) -> Sequence[str]:
        """The English names of the classes."""
        return imagenet_labels()

    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the probability of each class, float64 (1000,), of sum 1."""
        return class_probabilities(self._network.classify(pixels))

    def check(self) -> list[str]:
        """Return one message per problem of the network."""
        return self._network.check()

"""Labels for what an image shows: the ImageNet classes that the default network was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING

from . import conf, plugins
from .imaging import decode, timeouts
from .imaging.files import Readable, read_bounded
from .signatures.embedding import Embedding
from .signatures.embedding.labels import class_probabilities, imagenet_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Label:
    """An ImageNet class, e.g. "Egyptian cat", and its probability, 0 to 1, among all 1000 classes."""

    name: str
    score: float


def labels(picture: Readable, *, limit: int = 5) -> list[Label]:
    """Classify the image in an open binary file: return the most probable of the 1000 classes of ImageNet, best first.

    The network is the first EfficientNet-Lite among SIMILAR_IMAGES["METHODS"], or else Lite0.

    Raises:
        UnreadableImage: the file can't be read as an image.
        SearchTimeout: it took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    settings = conf.get()
    end = monotonic() + settings.request_timeout
    data = read_bounded(picture, max_bytes=settings.search_max_bytes)
    with timeouts.report_timeout():
        image = decode.decode(data, max_pixels=settings.search_max_pixels, timeout=settings.request_timeout)
    return timeouts.run_for_request(max(end - monotonic(), 0), classify_pixels, image.pixels, limit)


def classify_pixels(pixels: NDArray[np.uint8], limit: int) -> list[Label]:
    """Return the most probable classes of an upright RGB image, uint8 (height, width, 3), by the network of `labels`.

    Raises:
        RuntimeError: the network can't be used.
    """
    import numpy as np

    scores = class_probabilities(_select_network().classify(pixels))
    return [
        Label(imagenet_labels()[index], float(scores[index])) for index in np.argsort(-scores, kind="stable")[:limit]
    ]


def _select_network() -> Embedding:
    methods = plugins.enabled_methods().values()
    return next(
        (method for method in methods if isinstance(method, Embedding) and method.classifies), _default_network()
    )


@cache
def _default_network() -> Embedding:
    return Embedding()

"""What is in a picture, in words: the ImageNet classes that the default network was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from . import conf, plugins
from .imaging import decode, timeouts
from .imaging.files import Readable, read_bounded
from .signatures.embedding import Embedding
from .signatures.embedding.labels import imagenet_labels


@dataclass(frozen=True)
class Label:
    """An ImageNet class, e.g. "Egyptian cat", and its probability, 0 to 1, among the 1000 there are."""

    name: str
    score: float


def labels(picture: Readable, *, limit: int = 5) -> list[Label]:
    """Name what is in a picture, in an open binary file: the likeliest of the 1000 classes of ImageNet, best first.

    The network is the first method of SIMILAR_IMAGES["METHODS"] that is an EfficientNet-Lite, or else Lite0.

    Raises:
        UnreadableImage: the file is no picture that can be read.
        SearchTimeout: it took longer than SIMILAR_IMAGES["REQUEST_TIMEOUT"].
    """
    return timeouts.run_for_request(
        conf.get().request_timeout, _label, read_bounded(picture, max_bytes=conf.get().search_max_bytes), limit
    )


def _label(data: bytes, limit: int) -> list[Label]:
    import numpy as np

    logits = _network().classify(decode.decode(data, max_pixels=conf.get().search_max_pixels).pixels).astype(np.float64)
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    return [
        Label(imagenet_labels()[place], float(scores[place])) for place in np.argsort(-scores, kind="stable")[:limit]
    ]


def _network() -> Embedding:
    methods = plugins.enabled_methods().values()
    return next((method for method in methods if isinstance(method, Embedding) and method.classifies), _default())


@cache
def _default() -> Embedding:
    return Embedding()

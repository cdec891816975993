"""Trials of encoders: which there are, how fast they are here, and what they find nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from django.core.exceptions import ImproperlyConfigured

from .. import plugins
from ..encoders.catalog import CATALOG, KnownEncoder
from ..encoders.store import AddedEncoder, UnknownEncoder, encoder_options, list_added
from ..imaging.opencv import single_core
from ..signatures.distances import similarities_from_distances
from ..signatures.embedding import Embedding
from ..signatures.embedding.presets import PRESETS
from .description import DescribedSet
from .transforms import Pixels

TIMED_IMAGES = 5
"""Images by which the speed of an encoder is measured, after one that opens its model."""

TIMED_SIDE = 640
"""Side of these images, in pixels."""

METHOD_NAME = "embedding"
"""Method by which an encoder is tried."""


@dataclass(frozen=True)
class ListedEncoder:
    """A known or added encoder.

    Attributes:
        name: its name.
        bytes: size of its file; None if unknown.
        dimensions: length of its vectors; None if unknown.
        license: name of its license, or "unknown".
        milliseconds: median processor time for an image on this host; None if it can't be used here.
        quality: a figure measured with this project, or "unknown".
        to_use: how to use it, or what is to be done first.
    """

    name: str
    bytes: int | None
    dimensions: int | None
    license: str
    milliseconds: float | None
    quality: str
    to_use: str

    def as_json(self) -> dict[str, Any]:
        """Return the attributes for scripts."""
        return asdict(self)

    def as_row(self) -> tuple[str, ...]:
        """Return the attributes as texts, in their order."""
        size = "unknown" if self.bytes is None else f"{self.bytes / 1e6:.1f} MB"
        time = "" if self.milliseconds is None else f"{self.milliseconds:.1f}"
        return self.name, size, str(self.dimensions or "unknown"), self.license, time, self.quality, self.to_use


def list_encoders() -> list[ListedEncoder]:
    """Return the known encoders, then other ones that were added; those that can be used here are timed."""
    added = list_added()
    others = [name for name in added if name not in CATALOG]
    return [_list_encoder(name, CATALOG.get(name), added.get(name)) for name in (*CATALOG, *others)]


def _list_encoder(name: str, known: KnownEncoder | None, added: AddedEncoder | None) -> ListedEncoder:
    try:
        method = find_encoder(name)
        milliseconds = measure_milliseconds(method)
        to_use = f'"encoder": "{name}"' if added else f'"preset": "{name}"'
    except (UnknownEncoder, ImproperlyConfigured, RuntimeError) as error:
        method, milliseconds = None, None
        package = known and known.package
        to_use = str(error) if added else f"encoders add {name}" if package else f"encoders add {name} --file MODEL"
    package = known.package if known else None
    return ListedEncoder(
        name,
        added.bytes if added else package.bytes if package else None,
        method.dimensions if method else PRESETS[name].dimensions if name in PRESETS else None,
        added.license if added else known.license if known else "unknown",
        milliseconds,
        (known and known.quality) or "unknown",
        to_use,
    )


def find_encoder(name: str) -> Embedding:
    """Return a method that describes images by an encoder: one that was added, or else the preset of a package.

    Raises:
        UnknownEncoder: there is none of this name.
        ImproperlyConfigured: it can't be used on this host; the message says why.
    """
    method = plugins.load_method(METHOD_NAME, encoder_options(name))
    if not isinstance(method, Embedding):
        raise TypeError(f"{METHOD_NAME} is no longer the method of encoders.")
    return method


def measure_milliseconds(method: Embedding) -> float:
    """Return the median processor time, over all cores, that an encoder takes for an image here.

    Raises:
        RuntimeError: the model can't be used.
    """
    pixels, seconds = _make_noise(), []
    with single_core():
        method.compute(pixels)
        for _number in range(TIMED_IMAGES):
            start = process_time()
            method.compute(pixels)
            seconds.append(process_time() - start)
    return 1000 * median(seconds)


def _make_noise() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (TIMED_SIDE, TIMED_SIDE, 3), np.uint8)


def describe_encoder(method: Embedding) -> dict[str, str]:
    """Return what an encoder takes and gives, as its model declares it and as its options have it.

    Raises:
        RuntimeError: the model can't be used.
    """
    options, signature = method.options, method.model_signature
    ((name, tensor),) = signature.inputs.items()
    output = signature.select_output(options.output)
    normalized = (
        "none: it takes bytes"
        if tensor.dtype == "uint8"
        else f"mean {_numbers(options.mean)}, standard deviation {_numbers(options.std)}"
    )
    geometry = (
        "squashed" if options.squash == 1 else "cropped" if options.squash == 0 else f"squashed by {options.squash:g}"
    )
    vector = method.compute(_make_noise())
    return {
        "input": f"{name} {tensor}, {options.layout}, {options.channels}",
        "image": f"the inner {options.crop:g} of each side, {geometry} to a square of {options.size} pixels",
        "normalization": normalized,
        "output": f"{output} {signature.outputs[output]}, pooling {options.pooling}",
        "vector": f"{vector.size} numbers, of length {float(np.linalg.norm(vector)):.3f}",
        "version": method.version,
    }


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in dict.fromkeys(values))


def find_nearest(described: DescribedSet) -> list[tuple[str, str, float]]:
    """Return the name of each image, of the image nearest to it, and how similar it is in percent."""
    signatures = described.signatures[METHOD_NAME]
    distances = np.concatenate(list(signatures.distances(signatures)))
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    similarities = similarities_from_distances(signatures.method, distances.min(axis=1))
    names = [image.name for image in described.images]
    return [
        (name, names[index], float(percent)) for name, index, percent in zip(names, nearest, similarities, strict=True)
    ]

"""Signatures of images, and what computing them costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from ..imaging import decode
from ..imaging.opencv import single_core
from ..signatures.base import Method
from ..signatures.centering import center
from ..signatures.distances import SignatureArray
from ..signatures.projection import can_project
from ..signatures.tightening import MAX_IMAGES, different_pairs, tighten_curve
from .labeled_images import LabeledImage, sample_indices
from .transforms import Pixels

if TYPE_CHECKING:
    from ..signatures.base import Value


@dataclass(frozen=True)
class DescribedSet:
    """The readable images of a set, and their signatures by method, in the same order.

    `milliseconds`: median processor time, over all cores, that a method took for an image, regardless of other load on
    the machine. `unreadable`: the reason by image name.
    """

    images: list[LabeledImage]
    signatures: dict[str, SignatureArray]
    milliseconds: dict[str, float]
    unreadable: dict[str, str]


def center_set(described: DescribedSet, min_images: int | None) -> DescribedSet:
    """Return a set as a source of its images is searched: from so many on, without their mean where that gains."""
    if min_images is None or len(described.images) < min_images:
        return described
    signatures = dict(described.signatures)
    for name, array in described.signatures.items():
        if array.method.gains_by_centering and can_project(array.method):
            centered = center(array.method, array.dense)
            signatures[name] = SignatureArray(centered, centered.project(array.dense))
    return replace(described, signatures=signatures)


def calibrate_set(described: DescribedSet, min_images: int | None) -> DescribedSet:
    """Return a set as a source of its images is searched: from so many on, with stricter curves where needed."""
    if min_images is None or len(described.images) < min_images:
        return described
    sample = np.array(sample_indices(len(described.images), MAX_IMAGES))
    pairs = different_pairs([array.take(sample) for array in described.signatures.values()])
    signatures = {}
    for (name, array), distances in zip(described.signatures.items(), pairs, strict=True):
        signatures[name] = copy(array)
        signatures[name].method = copy(array.method)
        signatures[name].method.curve = tighten_curve(array.method.curve, distances)
    return replace(described, signatures=signatures)


def decode_image(image: LabeledImage, max_pixels: int) -> Pixels:
    """Return the image's RGB pixels.

    Raises:
        UnreadableImage, OSError: the image can't be read.
    """
    return decode.decode(image.read(), max_pixels=max_pixels).pixels


def describe_images(images: Iterable[LabeledImage], methods: Mapping[str, Method], max_pixels: int) -> DescribedSet:
    """Compute the signatures of images by every method, one image after another; skip unreadable images."""
    readable: list[LabeledImage] = []
    unreadable: dict[str, str] = {}
    values: dict[str, list[Value]] = {name: [] for name in methods}
    times: dict[str, list[float]] = {name: [] for name in methods}
    with single_core():
        for image in images:
            try:
                pixels = decode_image(image, max_pixels)
            except (decode.UnreadableImage, OSError) as error:
                unreadable[image.name] = str(error)
                continue
            readable.append(image)
            for name, method in methods.items():
                start = process_time()
                values[name].append(method.compute(pixels))
                times[name].append(process_time() - start)
    return DescribedSet(
        readable,
        {name: SignatureArray(method, values[name]) for name, method in methods.items()} if readable else {},
        {name: 1000 * median(seconds) for name, seconds in times.items() if seconds},
        unreadable,
    )

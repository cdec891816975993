"""Signatures of pictures, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

from ..imaging import decode as images
from ..imaging.opencv import single_core
from ..signatures.base import Method
from ..signatures.distances import SignatureArray
from .labeled_images import Item
from .transforms import Pixels

if TYPE_CHECKING:
    from ..signatures.base import Value


@dataclass(frozen=True)
class DescribedSet:
    """Pictures that could be read, and what every method saw in them, in the same order.

    `milliseconds`: the median processor time, of all cores together, that a method took for one, whatever else the
    machine did meanwhile. `unreadable`: names and reasons.
    """

    items: list[Item]
    signatures: dict[str, SignatureArray]
    milliseconds: dict[str, float]
    unreadable: dict[str, str]


def decode_item(item: Item, max_pixels: int) -> Pixels:
    """The picture's pixels.

    Raises:
        UnreadableImage, OSError: there is no picture that can be used.
    """
    return images.decode(item.read(), max_pixels=max_pixels).pixels


def describe_items(items: Iterable[Item], methods: Mapping[str, Method], max_pixels: int) -> DescribedSet:
    """Describe pictures by every method, one after the other; those that can't be read are left out."""
    readable: list[Item] = []
    unreadable: dict[str, str] = {}
    values: dict[str, list[Value]] = {name: [] for name in methods}
    times: dict[str, list[float]] = {name: [] for name in methods}
    with single_core():
        for item in items:
            try:
                pixels = decode_item(item, max_pixels)
            except (images.UnreadableImage, OSError) as error:
                unreadable[item.name] = str(error)
                continue
            readable.append(item)
            for name, method in methods.items():
                start = process_time()
                values[name].append(method.compute(pixels))
                times[name].append(process_time() - start)
    return DescribedSet(
        readable,
        {name: SignatureArray(method, values[name]) for name, method in methods.items()} if readable else {},
        {name: 1000 * median(taken) for name, taken in times.items() if taken},
        unreadable,
    )

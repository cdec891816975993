"""Perceptual hashes: a few bits on where an image is light and dark. They find resized and recompressed copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.translation import gettext_lazy

from .base import Method, Metric, StorageType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Hash(Method):
    """Perceptual hash of the image, reduced to a few gray pixels.

    Each of these pixels is the mean of the area it covers. OpenCV and ImageHash reduce images differently, so their
    hashes differ from these by a few bits. All images of a single color have the same hash.
    """

    storage: ClassVar[StorageType] = "bit"
    metric: ClassVar[Metric] = "hamming"
    dimensions: int = 64


class PHash(Hash):
    """pHash as in OpenCV: 64 bits for the lowest frequencies of 32 x 32 pixels, set where above their mean.

    The mean excludes the image's brightness. The median, which other implementations compare with, is 0 with noise
    for symmetric images, and finds less (measured). An image of a single color has no bit set.
    """

    name = "phash"
    title = gettext_lazy("Perceptual hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 1 for 95 in 100; of random pairs 1 in 10,000 is
    # below 16.
    curve = ((0, 100), (16, 70), (22, 30), (32, 2), (42, 0))
    version = "phash-mean-area32-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash an image: bool (64,), by rows of vertical frequency."""
        import cv2

        return _unpack_bits(cv2.img_hash.pHash(_reduce_to_gray(pixels, 32, 32)))


class DHash(Hash):
    """Difference hash (Krawetz) as in ImageHash: 64 bits, set where 9 x 8 pixels get lighter from left to right.

    An image of a single color has no bit set; neither has one that darkens to the right.
    """

    name = "dhash"
    title = gettext_lazy("Difference hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 2 for 95 in 100; of random pairs 1 in 10,000 is
    # below 12.5.
    curve = ((0, 100), (12.5, 70), (20, 30), (32, 2), (43, 0))
    version = "dhash-area9x8-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash an image: bool (64,), by rows."""
        small = _reduce_to_gray(pixels, 9, 8)
        bits: NDArray[np.bool_] = (small[:, 1:] > small[:, :-1]).ravel()
        return bits


class AHash(Hash):
    """Average hash as in OpenCV: 64 bits, set where 8 x 8 pixels are lighter than their mean.

    Fast and robust, but many images share a light top or center. An image of a single color has no bit set.
    """

    name = "ahash"
    title = gettext_lazy("Average hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 1 for 95 in 100; of random pairs 1 in 10,000 is
    # below 5.5.
    curve = ((0, 100), (5.5, 70), (15, 30), (32, 2), (49, 0))
    version = "ahash-area8-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash an image: bool (64,), by rows."""
        import cv2

        return _unpack_bits(cv2.img_hash.averageHash(_reduce_to_gray(pixels, 8, 8)))


class BlockMean(Hash):
    """Block mean hash as in OpenCV: 256 bits, set where 16 x 16 blocks are at least as light as the image's mean.

    Yang, Gu and Niu, "Block Mean Value Based Image Perceptual Hashing" (2006), without overlap.
    An image of a single color has all bits set.
    """

    name = "blockmean"
    title = gettext_lazy("Block mean hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 1 for 95 in 100; of random pairs 1 in 10,000 is
    # below 32.5.
    curve = ((0, 100), (32.5, 70), (68, 30), (127, 2), (186, 0))
    version = "blockmean-mode0-area256-1"
    dimensions = 256

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash an image: bool (256,), by rows."""
        import cv2

        return _unpack_bits(
            cv2.img_hash.blockMeanHash(_reduce_to_gray(pixels, 256, 256), mode=cv2.img_hash.BLOCK_MEAN_HASH_MODE_0)
        )


def _reduce_to_gray(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[Any]:
    import cv2

    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small: NDArray[Any] = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
    return small


def _unpack_bits(packed: NDArray[Any]) -> NDArray[np.bool_]:
    import numpy as np

    return np.unpackbits(packed.ravel(), bitorder="little").astype(bool)

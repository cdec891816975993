"""How light and dark lie in a picture, in a few bits: finds copies, resized or recompressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.translation import gettext_lazy

from .base import Method, Metric, StorageType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Hash(Method):
    """A perceptual hash of the gray picture, squashed to a small one.

    Each pixel of the small picture is the mean of what it covers. OpenCV and ImageHash shrink a picture in other
    ways, and their hashes of it are a few bits away from these.

    Plain pictures, whatever their color, all have one and the same hash: it says that nothing is lighter than
    anything else.
    """

    storage: ClassVar[StorageType] = "bit"
    metric: ClassVar[Metric] = "hamming"
    dimensions: int = 64


class PHash(Hash):
    """Which of the 64 lowest frequencies of 32 x 32 pixels are above their mean: 64 bits, pHash as in OpenCV.

    The mean leaves the picture's brightness out. The median, which others cut at, would be 0 for symmetric
    pictures, with noise about it; measured, it finds less. A plain picture has no bit set.
    """

    name = "phash"
    title = gettext_lazy("Perceptual hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 1 for 95 in 100; of random pairs 1 in 10,000 is
    # below 16.
    curve = ((0, 100), (16, 70), (22, 30), (32, 2), (42, 0))
    version = "phash-mean-area32-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash a picture: 64 bits, by rows of vertical frequency."""
        import cv2

        return _bits(cv2.img_hash.pHash(_gray(pixels, 32, 32)))


class DHash(Hash):
    """Where 9 x 8 pixels get lighter from left to right: 64 bits, Krawetz's difference hash as in ImageHash.

    A plain picture has no bit set, and neither has one that darkens to the right.
    """

    name = "dhash"
    title = gettext_lazy("Difference hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 2 for 95 in 100; of random pairs 1 in 10,000 is
    # below 12.5.
    curve = ((0, 100), (12.5, 70), (20, 30), (32, 2), (43, 0))
    version = "dhash-area9x8-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash a picture: 64 bits, by rows."""
        small = _gray(pixels, 9, 8)
        bits: NDArray[np.bool_] = (small[:, 1:] > small[:, :-1]).ravel()
        return bits


class AHash(Hash):
    """Which of 8 x 8 pixels are lighter than their mean: 64 bits, the average hash as in OpenCV.

    Quick and robust, but many pictures share a light top or center. A plain picture has no bit set.
    """

    name = "ahash"
    title = gettext_lazy("Average hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 1 for 95 in 100; of random pairs 1 in 10,000 is
    # below 5.5.
    curve = ((0, 100), (5.5, 70), (15, 30), (32, 2), (49, 0))
    version = "ahash-area8-1"

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash a picture: 64 bits, by rows."""
        import cv2

        return _bits(cv2.img_hash.averageHash(_gray(pixels, 8, 8)))


class BlockMean(Hash):
    """Which of 16 x 16 blocks are at least as light as the picture's mean: 256 bits.

    Yang, Gu and Niu, "Block Mean Value Based Image Perceptual Hashing" (2006), without overlap, as in OpenCV.
    A plain picture has all bits set.
    """

    name = "blockmean"
    title = gettext_lazy("Block mean hash")
    # 300 photos: re-encoded at JPEG quality 60 the median is 0, 1 for 95 in 100; of random pairs 1 in 10,000 is
    # below 32.5.
    curve = ((0, 100), (32.5, 70), (68, 30), (127, 2), (186, 0))
    version = "blockmean-mode0-area256-1"
    dimensions = 256

    def compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Hash a picture: 256 bits, by rows."""
        import cv2

        return _bits(cv2.img_hash.blockMeanHash(_gray(pixels, 256, 256), mode=cv2.img_hash.BLOCK_MEAN_HASH_MODE_0))


def _gray(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[Any]:
    import cv2

    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small: NDArray[Any] = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
    return small


def _bits(packed: NDArray[Any]) -> NDArray[np.bool_]:
    import numpy as np

    return np.unpackbits(packed.ravel(), bitorder="little").astype(bool)

"""The interface of a measure: its meaning, range and direction; two images compared, and the drawings of the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.utils.functional import cached_property

from ..imaging import decode
from ..signatures.base import Curve, similarity_from_distance

if TYPE_CHECKING:
    import numpy as np
    from django.utils.functional import _StrPromise
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Gray = NDArray[np.uint8]

LONG_SIDE = 640
"""Pixels on the long side to which images are reduced before they are compared, which bounds the work."""

CachedValue = TypeVar("CachedValue")


class ComparisonImage:
    """An image that is compared, with whatever measures compute from it alone cached.

    Args:
        pixels: an upright RGB image of shape (height, width, 3), as `imaging.decode` returns it; any size.
        size: width and height of the file, if `pixels` were reduced.
    """

    def __init__(self, pixels: Pixels, size: tuple[int, int] | None = None) -> None:
        self.original_pixels = pixels
        self.width: int = size[0] if size else pixels.shape[1]
        self.height: int = size[1] if size else pixels.shape[0]
        self._cache: dict[Any, Any] = {}

    @classmethod
    def wrap(cls, image: Pixels | ComparisonImage) -> ComparisonImage:
        """Return an image of this class unchanged, and wrap an array of pixels."""
        return image if isinstance(image, ComparisonImage) else cls(image)

    @classmethod
    def from_file(
        cls, data: bytes, *, max_pixels: int, long_side: int | None = None, timeout: float | None = None
    ) -> ComparisonImage:
        """Decode an image file within `timeout` seconds, and reduce it to `long_side` pixels on its long side if given.

        Raises:
            UnreadableImage: it can't be decoded, or has more than `max_pixels`.
            DecoderUnavailable: there was no time.
        """
        image = decode.decode(data, max_pixels=max_pixels, timeout=timeout)
        pixels = image.pixels if long_side is None else reduce_to(image.pixels, long_side)
        return cls(pixels, (image.width, image.height))

    @cached_property
    def pixels(self) -> Pixels:
        """RGB of shape (height, width, 3), at most LONG_SIDE on the long side."""
        return reduce_to(self.original_pixels, LONG_SIDE)

    @cached_property
    def gray(self) -> Gray:
        """`pixels` in gray, of shape (height, width)."""
        import cv2
        import numpy as np

        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    def cached(self, key: Any, compute: Callable[[], CachedValue]) -> CachedValue:
        """Return the value of `compute`, which is called only the first time for this key."""
        if key not in self._cache:
            self._cache[key] = compute()
        value: CachedValue = self._cache[key]
        return value


def reduce_to(pixels: Pixels, long_side: int) -> Pixels:
    """Reduce an image to at most `long_side` pixels on its long side, at least one on the other; never enlarge it."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


class Unavailable(Exception):
    """The installation lacks what a measure needs; the message says what to install."""


@dataclass(frozen=True)
class MeasureResult:
    """The result of a measure for two images.

    Attributes:
        value: in the measure's own unit.
        details: more figures, ready for JSON.
        artifacts: intermediate data that `draw` needs.
    """

    value: float
    details: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Any = None


class Measure(ABC):
    """One way to compare two images that are both at hand.

    Class attributes describe the measure; constructor arguments are its options.
    Creating a measure is cheap: heavy libraries load on the first `measure()`.
    """

    name: str
    """Identifier in `measures=` and in results."""

    title: str | _StrPromise
    """Name that visitors read."""

    meaning: str | _StrPromise
    """One sentence that explains the value to visitors."""

    best: float
    """Value of an image with itself."""

    worst: float
    """Value of two images that have nothing in common; `inf` if there is no bound."""

    curve: Curve
    """(distance from `best`, similarity) points, from (0, 100) down to 0 percent, tuned on photos."""

    drawings: ClassVar[Mapping[str, str | _StrPromise]] = {}
    """Titles of the drawings that explain a result, by name."""

    def measure(self, a: Pixels | ComparisonImage, b: Pixels | ComparisonImage) -> MeasureResult:
        """Compare two upright RGB images of shapes (height, width, 3), each of any size.

        Raises:
            Unavailable: the installation lacks what the measure needs.
        """
        return self.compare(ComparisonImage.wrap(a), ComparisonImage.wrap(b))

    @abstractmethod
    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Compare two images: the one method that a custom measure must implement.

        Must be deterministic, and symmetric unless the measure warps b onto a.

        Args:
            a: an image; `pixels` and `gray` are bounded in size, and `cached` keeps what is computed from it.
            b: another, of any other shape.

        Returns:
            The value, between `best` and `worst`: `best` for an image and itself.

        Raises:
            Unavailable: the installation lacks what the measure needs, and `check` could not tell.
        """

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw one of `drawings` for the two images of the result: RGB of any size.

        Raises:
            KeyError: there is no drawing of this name.
        """
        raise KeyError(name)

    def caption(self, result: MeasureResult) -> str:
        """Return a sentence to show below the drawings; empty by default."""
        return ""

    def similarity(self, result: MeasureResult) -> float:
        """Convert a result to percent: 100 for an image and itself, 0 for two that have nothing in common."""
        return similarity_from_distance(self.curve, abs(result.value - self.best))

    def check(self) -> list[str]:
        """Return one message per missing package or feature; loads no heavy library."""
        return []

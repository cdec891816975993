"""What every measure is: what it means, its range and direction, how it compares two pictures and draws it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..imaging import decode
from ..signatures.base import Curve, similarity_from_distance

if TYPE_CHECKING:
    import numpy as np
    from django.utils.functional import _StrPromise
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Gray = NDArray[np.uint8]

LONG_SIDE = 640
"""Pictures are reduced so that their long side has at most this many pixels, so that work is bounded."""

CachedValue = TypeVar("CachedValue")


class ComparisonImage:
    """A picture that is compared, with what measures make of it, each made once.

    Args:
        pixels: an upright RGB picture of shape (height, width, 3), as `images.decode` gives it; any size.
        size: width and height in the file, where `pixels` are a reduced picture.
    """

    def __init__(self, pixels: Pixels, size: tuple[int, int] | None = None) -> None:
        self.decoded = pixels
        self.width: int = size[0] if size else pixels.shape[1]
        self.height: int = size[1] if size else pixels.shape[0]
        self._made: dict[Any, Any] = {}

    @classmethod
    def of(cls, picture: Pixels | ComparisonImage) -> ComparisonImage:
        return picture if isinstance(picture, ComparisonImage) else cls(picture)

    @classmethod
    def from_file(cls, data: bytes, *, max_pixels: int, long_side: int | None = None) -> ComparisonImage:
        """The picture in these bytes, at most `long_side` pixels on its long side where that is told.

        Raises:
            UnreadableImage: it can't be decoded, or has more than `max_pixels`.
        """
        picture = decode.decode(data, max_pixels=max_pixels)
        pixels = picture.pixels if long_side is None else reduce_to(picture.pixels, long_side)
        return cls(pixels, (picture.width, picture.height))

    @cached_property
    def pixels(self) -> Pixels:
        """RGB of shape (height, width, 3), at most LONG_SIDE on the long side."""
        return reduce_to(self.decoded, LONG_SIDE)

    @cached_property
    def gray(self) -> Gray:
        """`pixels` in gray, of shape (height, width)."""
        import cv2
        import numpy as np

        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    def once(self, key: Any, make: Callable[[], CachedValue]) -> CachedValue:
        """What `make` returns for this picture, made at the first call with this key."""
        if key not in self._made:
            self._made[key] = make()
        result: CachedValue = self._made[key]
        return result


def reduce_to(pixels: Pixels, long_side: int) -> Pixels:
    """The picture with at most so many pixels on its long side, and at least one on the other; never enlarged."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    factor = long_side / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


class Unavailable(Exception):
    """This installation lacks what a measure needs; the message says what to install."""


@dataclass(frozen=True)
class MeasureResult:
    """What a measure says of two pictures.

    `value` is in the measure's own unit; `details` are more figures, ready for JSON; `evidence` is what `draw` needs.
    """

    value: float
    details: Mapping[str, Any] = field(default_factory=dict)
    evidence: Any = None


class Measure(ABC):
    """One way to compare two pictures that are both at hand.

    A class attribute says what the measure is; constructor arguments are its options.
    Creating a measure is cheap: heavy libraries load on the first `measure()`.
    """

    name: str
    """What `measures=` and the results call it."""

    title: str | _StrPromise
    """What people call it."""

    meaning: str | _StrPromise
    """What its value tells, in a sentence."""

    best: float
    """The value of a picture with itself."""

    worst: float
    """The value of two pictures that have nothing in common; `inf` where there is no bound."""

    curve: Curve
    """(distance from `best`, similarity) points, from (0, 100) down to 0 percent, measured on photos."""

    drawings: ClassVar[Mapping[str, str | _StrPromise]] = {}
    """Name → title of the pictures that explain a reading."""

    def measure(self, a: Pixels | ComparisonImage, b: Pixels | ComparisonImage) -> MeasureResult:
        """Compare two upright RGB pictures of shapes (height, width, 3), each of any size.

        Raises:
            Unavailable: the installation lacks what it takes.
        """
        return self.compare(ComparisonImage.of(a), ComparisonImage.of(b))

    @abstractmethod
    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """The one method that a measure of your own has to have.

        The same pictures must always give the same value, and either way round, too, unless one is laid on the other.

        Args:
            a: a picture; `pixels` and `gray` are bounded in size, and `once` keeps what is made of them.
            b: another, of any other shape.

        Returns:
            The value, between `best` and `worst`: `best` of a picture and itself.

        Raises:
            Unavailable: the installation lacks what it takes, and `check` could not tell.
        """

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        """One of `drawings`, of the same pictures that gave the reading: RGB of any size."""
        raise KeyError(name)

    def caption(self, reading: MeasureResult) -> str:
        """What there is to say below the drawings, if anything."""
        return ""

    def similarity(self, reading: MeasureResult) -> float:
        """A reading in percent: 100 for a picture and itself, 0 for two that have nothing in common."""
        return similarity_from_distance(self.curve, abs(reading.value - self.best))

    def check(self) -> list[str]:
        """What this installation lacks for the measure, in a sentence each; loads no heavy library."""
        return []

"""Pictures laid over each other: where their structure, what people see of them, or their blocks differ."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .base import ComparisonImage, Measure, MeasureResult, Unavailable
from .geometry.registered_pair import RegisteredPair, register_pair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .base import Pixels


class Ssim(Measure):
    """The structural similarity of the gray pictures.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity" (2004):
    means, variances and covariance in a Gaussian window of 11 pixels and sigma 1.5, averaged over the windows that lie
    wholly inside.
    """

    title = gettext_lazy("Structure (SSIM)")
    meaning = gettext_lazy("How alike brightness, contrast and structure are around every point of the two pictures.")
    best = 1.0
    worst = -1.0
    curve = ((0, 100), (0.4, 70), (0.45, 52), (0.55, 30), (0.86, 2), (1, 0))
    drawings = {"ssim": gettext_lazy("Both pictures, and where their structure differs (bright)")}

    LONG_SIDE = 320
    WINDOW = 11

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        import cv2
        import numpy as np

        from .geometry.registration import affine_guess

        pair = register_pair(a, b, self.LONG_SIDE, affine_guess(a, b))
        one, other = pair.grays
        quality = cv2.quality.QualitySSIM.create(one)
        quality.compute(other)
        likeness = quality.getQualityMap()
        window = np.ones((self.WINDOW, self.WINDOW), np.uint8)
        inside = cv2.erode(pair.shown.astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        value = float(likeness[inside if inside.any() else pair.shown].mean(dtype=float))
        return MeasureResult(value, evidence=(pair, likeness))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        pair, likeness = reading.evidence
        return _panel(pair, 1 - likeness)


class Flip(Measure):
    """The difference that a person sees who flips between the two pictures on a screen.

    Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild, "FLIP: A Difference Evaluator for Alternating
    Images" (2020), by its authors' package, seen from their default distance of 67 pixels per degree.
    """

    title = gettext_lazy("Perceptual difference (FLIP)")
    meaning = gettext_lazy("How much a person sees change who looks at one picture and then at the other.")
    best = 0.0
    worst = 1.0
    curve = ((0, 100), (0.46, 70), (0.52, 50), (0.59, 30), (0.76, 2), (0.95, 0))
    drawings = {"difference": gettext_lazy("Both pictures, and where people see a difference (bright)")}

    LONG_SIDE = 320
    VISIBLE = 0.3
    """What JPEG of quality 85 does to a photo stays below."""
    SMALLEST_SHARE = 0.001

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        import numpy as np

        if problems := self.check():
            raise Unavailable(" ".join(problems))
        import flip_evaluator

        from .geometry.registration import affine_guess

        pair = register_pair(a, b, self.LONG_SIDE, affine_guess(a, b))
        reference, test = (pixels.astype(np.float32) / 255 for pixels in (pair.a, pair.b))
        error = flip_evaluator.evaluate(reference, test, "LDR", True, False)[0][..., 0]
        seen = (error > self.VISIBLE) & pair.shown
        share = float(seen[pair.shown].mean())
        details: dict[str, Any] = {"visible": share >= self.SMALLEST_SHARE, "share": share}
        if details["visible"]:
            details["region"] = _biggest_region(seen)
        return MeasureResult(float(error[pair.shown].mean(dtype=float)), details, (pair, error))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, reading: MeasureResult) -> Pixels:
        pair, error = reading.evidence
        return _panel(pair, error, reading.details.get("region"))

    def check(self) -> list[str]:
        if find_spec("flip_evaluator"):
            return []
        return [_("Perceptual differences take a package more: pip install similar_images[compare]")]


class ExactBlocks(Measure):
    """How far two pictures agree, read block by block until the first that differs.

    A block differs where its mean red, green or blue does. Blocks are read in an order that is soon everywhere: one
    that begins at the upper left reads much of many a picture's white margin first.

    Args:
        blocks: a picture is cut into so many rows, and so many columns.
        tolerance: means may differ by so much, of 255.
    """

    title = gettext_lazy("Exact blocks")
    meaning = gettext_lazy("The share of the picture read and found equal before the first block that differs.")
    best = 1.0
    worst = 0.0
    curve = ((0, 100), (31 / 32, 70), (63 / 64, 50), (1, 0))

    def __init__(self, *, blocks: int = 8, tolerance: float = 4.0) -> None:
        if blocks < 1:
            raise ValueError("“blocks” must be 1 or more")
        if tolerance < 0:
            raise ValueError("“tolerance” must be 0 or more")
        self.blocks = blocks
        self.tolerance = tolerance

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        import numpy as np

        count = self.blocks**2
        golden = (np.arange(count) * (5**0.5 - 1) / 2) % 1
        details: dict[str, Any] = {"blocks": count, "read": count}
        for read, number in enumerate(np.argsort(golden).tolist()):
            row, column = divmod(number, self.blocks)
            means = [self._block(view.pixels, row, column).mean((0, 1), dtype=float) for view in (a, b)]
            if np.abs(means[0] - means[1]).max() > self.tolerance:
                side = 1 / self.blocks
                region = [column * side, row * side, side, side]
                return MeasureResult(read / count, details | {"read": read + 1, "region": region})
        return MeasureResult(1.0, details)

    def _block(self, pixels: Pixels, row: int, column: int) -> Pixels:
        """One block; of a picture of fewer pixels than blocks, blocks share pixels."""
        rows, columns = (
            slice(part * side // self.blocks, max((part + 1) * side // self.blocks, part * side // self.blocks + 1))
            for part, side in zip((row, column), pixels.shape[:2], strict=True)
        )
        return pixels[rows, columns]


def _biggest_region(seen: NDArray[np.bool_]) -> list[float]:
    """Left, top, width and height of the biggest patch, in fractions of the sides; small gaps are closed."""
    import cv2
    import numpy as np

    height, width = seen.shape
    near = np.ones((max(3, height // 24), max(3, width // 24)), np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(seen.astype(np.uint8), near))
    labels[~seen] = 0
    biggest = np.bincount(labels.ravel(), minlength=count)[1:].argmax() + 1
    x, y, w, h = cv2.boundingRect((labels == biggest).astype(np.uint8))
    return [x / width, y / height, w / width, h / height]


def _panel(pair: RegisteredPair, differing: NDArray[np.float32], region: list[float] | None = None) -> Pixels:
    """Both pictures as they were compared, and where they differ from 0 to 1, beside each other; a region framed."""
    import cv2
    import numpy as np

    from .drawing import canvas

    outside = ~pair.shown[..., None]
    pictures = [np.where(outside, canvas.GROUND, shown) for shown in (pair.b, canvas.heat_map(differing))]
    placed = [canvas.fit_into(picture.astype(np.uint8), 320).copy() for picture in (pair.a, *pictures)]
    height, width = placed[0].shape[:2]
    if region:
        x, y, w, h = (round(part * side) for part, side in zip(region, (width, height) * 2, strict=True))
        corners = (max(0, x - 3), max(0, y - 3)), (min(width - 1, x + w + 2), min(height - 1, y + h + 2))
        for picture in placed:
            cv2.rectangle(picture, *corners, canvas.GROUND, 4)
            cv2.rectangle(picture, *corners, canvas.BAD, 2)
    gap = np.full((height, canvas.GAP, 3), canvas.GROUND, np.uint8)
    return np.hstack([placed[0], gap, placed[1], gap, placed[2]])

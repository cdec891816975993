"""Images laid over each other: differences in their structure, in what people see, or in their blocks."""

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


def _align_and_register(a: ComparisonImage, b: ComparisonImage, long_side: int) -> RegisteredPair:
    from .geometry.registration import find_crop_or_rotation

    return register_pair(a, b, long_side, find_crop_or_rotation(a, b))


class Ssim(Measure):
    """The structural similarity of the gray images.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity" (2004):
    means, variances and covariance in a Gaussian window of 11 pixels and sigma 1.5, averaged over the windows that lie
    wholly inside.
    """

    title = gettext_lazy("Structural similarity (SSIM)")
    meaning = gettext_lazy("How similar brightness, contrast and structure are around each point (−1 to 1).")
    best, worst = 1.0, -1.0
    curve = ((0, 100), (0.4, 70), (0.45, 52), (0.55, 30), (0.86, 2), (1, 0))
    drawings = {"ssim": gettext_lazy("Both images and where their structure differs (bright)")}

    LONG_SIDE = 320
    WINDOW = 11

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Average the SSIM map; the result's artifacts are the RegisteredPair and the map."""
        import cv2
        import numpy as np

        pair = _align_and_register(a, b, self.LONG_SIDE)
        first, second = pair.grays
        quality = cv2.quality.QualitySSIM.create(first)
        quality.compute(second)
        ssim_map = quality.getQualityMap()
        window = np.ones((self.WINDOW, self.WINDOW), np.uint8)
        valid = pair.valid_mask.astype(np.uint8)
        inside = cv2.erode(valid, window, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        value = float(ssim_map[inside if inside.any() else pair.valid_mask].mean(dtype=float))
        return MeasureResult(value, artifacts=(pair, ssim_map))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw both images and 1 - SSIM."""
        from .drawing.difference import draw_difference

        pair, ssim_map = result.artifacts
        return draw_difference(pair, 1 - ssim_map)


class Flip(Measure):
    """The difference that a person sees who flips between the two images on a screen.

    Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild, "FLIP: A Difference Evaluator for Alternating
    Images" (2020), by its authors' package, seen from their default distance of 67 pixels per degree.
    """

    title = gettext_lazy("Perceptual difference (FLIP)")
    meaning = gettext_lazy("How much difference a person notices when flipping between the two images (0–1).")
    best, worst = 0.0, 1.0
    curve = ((0, 100), (0.46, 70), (0.52, 50), (0.59, 30), (0.76, 2), (0.95, 0))
    drawings = {"difference": gettext_lazy("Both images and where people see a difference (bright)")}

    LONG_SIDE = 320
    VISIBLE_ERROR = 0.3
    """Error above which a pixel visibly differs; JPEG of quality 85 stays below it on photos."""
    MIN_VISIBLE_SHARE = 0.001

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Average the FLIP error; the result's artifacts are the RegisteredPair and the error map."""
        import numpy as np

        if problems := self.check():
            raise Unavailable(" ".join(problems))
        import flip_evaluator

        pair = _align_and_register(a, b, self.LONG_SIDE)
        reference, test = (pixels.astype(np.float32) / 255 for pixels in (pair.a, pair.b))
        error = flip_evaluator.evaluate(reference, test, "LDR", True, False)[0][..., 0]
        visible = (error > self.VISIBLE_ERROR) & pair.valid_mask
        share = float(visible[pair.valid_mask].mean())
        details: dict[str, Any] = {"visible": share >= self.MIN_VISIBLE_SHARE, "share": share}
        if details["visible"]:
            details["region"] = _find_largest_region(visible)
        return MeasureResult(float(error[pair.valid_mask].mean(dtype=float)), details, (pair, error))

    def draw(self, name: str, a: ComparisonImage, b: ComparisonImage, result: MeasureResult) -> Pixels:
        """Draw both images and the error, with the largest visible region framed."""
        from .drawing.difference import draw_difference

        pair, error = result.artifacts
        return draw_difference(pair, error, result.details.get("region"))

    def check(self) -> list[str]:
        """Return a message if the package flip-evaluator is missing."""
        if find_spec("flip_evaluator"):
            return []
        return [_("FLIP needs an extra package: pip install similar_images[compare]")]


class ExactBlocks(Measure):
    """The share of blocks that two images agree in, read one by one until the first that differs.

    A block differs if its mean red, green or blue does. The order spreads over the whole image from the start: reading
    from the upper left would begin with the white margin that many images have.

    Args:
        blocks: number of rows, and of columns, that an image is cut into.
        tolerance: largest difference of two means that counts as equal, 0 to 255.
    """

    title = gettext_lazy("Identical blocks")
    meaning = gettext_lazy("Share of the image read before the first block that differs.")
    best, worst = 1.0, 0.0
    curve = ((0, 100), (31 / 32, 70), (63 / 64, 50), (1, 0))

    def __init__(self, *, blocks: int = 8, tolerance: float = 4.0) -> None:
        if blocks < 1:
            raise ValueError("“blocks” must be 1 or more")
        if tolerance < 0:
            raise ValueError("“tolerance” must be 0 or more")
        self.blocks = blocks
        self.tolerance = tolerance

    def compare(self, a: ComparisonImage, b: ComparisonImage) -> MeasureResult:
        """Read blocks until the first that differs; `details` say how many, and where that one is."""
        import numpy as np

        count = self.blocks**2
        golden_ratio_order = np.argsort((np.arange(count) * (5**0.5 - 1) / 2) % 1)
        details: dict[str, Any] = {"blocks": count, "read": count}
        for read, index in enumerate(golden_ratio_order.tolist()):
            row, column = divmod(index, self.blocks)
            means = [self._block(image.pixels, row, column).mean((0, 1), dtype=float) for image in (a, b)]
            if np.abs(means[0] - means[1]).max() > self.tolerance:
                side = 1 / self.blocks
                region = [column * side, row * side, side, side]
                return MeasureResult(read / count, details | {"read": read + 1, "region": region})
        return MeasureResult(1.0, details)

    def _block(self, pixels: Pixels, row: int, column: int) -> Pixels:
        """Cut out one block; if an image has fewer pixels than blocks, blocks share pixels."""
        rows, columns = (
            slice(part * side // self.blocks, max((part + 1) * side // self.blocks, part * side // self.blocks + 1))
            for part, side in zip((row, column), pixels.shape[:2], strict=True)
        )
        return pixels[rows, columns]


def _find_largest_region(mask: NDArray[np.bool_]) -> list[float]:
    """Return left, top, width and height of the largest patch in fractions of the sides, across small gaps."""
    import cv2
    import numpy as np

    height, width = mask.shape
    kernel = np.ones((max(3, height // 24), max(3, width // 24)), np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(mask.astype(np.uint8), kernel))
    labels[~mask] = 0
    largest = np.bincount(labels.ravel(), minlength=count)[1:].argmax() + 1
    x, y, w, h = cv2.boundingRect((labels == largest).astype(np.uint8))
    return [x / width, y / height, w / width, h / height]

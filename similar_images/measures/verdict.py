"""The relation between two images: the same file, the same image edited, the same object, similar, or unrelated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from django.utils.translation import gettext as _

from .base import ComparisonImage
from .geometry.homography import Matrix, image_corners, jacobian, scale_matrix, transform_points
from .geometry.registration import MIN_RECOLOR_DIFFERENCE, RETOUCHED_BELOW, Registration, register

if TYPE_CHECKING:
    from ..imaging.decode import Box

VerdictKind = Literal["same-file", "same-picture", "same-object", "alike", "unrelated"]

MIN_ALIKE_SIMILARITY = 70.0
"""Similarity in percent from which on two images are alike."""

MIN_ROTATION = 0.5
"""Degrees above which an image was turned."""

MIN_LOG_SCALE = 0.015
"""Logarithm of the scale above which an image was resized."""

FULL_OVERLAP = 0.97
"""Share of an image that the other has to cover, not to be a crop of it."""


@dataclass(frozen=True)
class GeometricTransform:
    """The geometry by which the second image was made from the first.

    Attributes:
        is_mirrored: whether it was mirrored left to right, before all else.
        angle: degrees counterclockwise, from -180 to 180.
        scale: pixels of the second file for one of the first.
        part: left, top, width and height of what the second shows of the first, in fractions of the first one's sides.
        whole: the same of what the first shows of the second.
    """

    is_mirrored: bool
    angle: float
    scale: float
    part: Box
    whole: Box


@dataclass(frozen=True)
class Verdict:
    """The relation between two images, and how one was edited to make the other.

    `changes` are any of resized, cropped, extended, turned, mirrored, recolored, retouched and re-encoded.
    """

    kind: VerdictKind
    changes: tuple[str, ...] = ()
    transform: GeometricTransform | None = None

    @property
    def title(self) -> str:
        """The verdict in two words or so."""
        return {
            "same-file": _("Same file"),
            "same-picture": _("Same image"),
            "same-object": _("Same object"),
            "alike": _("Similar"),
            "unrelated": _("Unrelated"),
        }[self.kind]

    @property
    def text(self) -> str:
        """The verdict in a sentence, with the changes and their amounts."""
        if self.kind == "same-picture" and self.changes not in ((), ("re-encoded",)):
            message = _("The second image is an edited version of the first: %(changes)s.")
            return message % {"changes": self.changes_text}
        return {
            "same-file": _("Both files are identical."),
            "same-picture": _("The second image is a re-encoded version of the first."),
            "same-object": _("Matching details line up geometrically: both images show the same object."),
            "alike": _("The images are different but look similar."),
            "unrelated": _("No relation between the two images was found."),
        }[self.kind]

    @property
    def changes_text(self) -> str:
        """The changes with their amounts; empty if none are known."""
        if self.transform is None:
            return ""
        phrases = {
            "mirrored": _("mirrored"),
            "turned": _rotation_text(self.transform.angle),
            "cropped": _crop_text(*self.transform.part[2:]),
            "extended": _("extended at the edges"),
            "resized": _("resized to %(percent)s%%") % {"percent": _percent(self.transform.scale)},
            "recolored": _("recolored"),
            "retouched": _("partly edited"),
            "re-encoded": _("re-encoded"),
        }
        # A crop of less than 1% of each side, as a rotation may leave, is worth a word only if there is nothing else.
        return ", ".join(filter(None, (phrases[change] for change in self.changes))) or _("slightly cropped")


def _rotation_text(angle: float) -> str:
    amount = {"angle": f"{abs(round(angle, 1)):g}"}
    if angle < 0:
        return _("rotated %(angle)s° clockwise") % amount
    return _("rotated %(angle)s° counterclockwise") % amount


def _crop_text(width: float, height: float) -> str:
    sizes = {"width": _percent(width), "height": _percent(height)}
    is_narrower, is_lower = (round(100 * side) < 99 for side in (width, height))
    if is_narrower and is_lower:
        return _("cropped to %(width)s%% of its width and %(height)s%% of its height") % sizes
    if is_narrower:
        return _("cropped to %(width)s%% of its width") % sizes
    return _("cropped to %(height)s%% of its height") % sizes if is_lower else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.01 else f"{100 * share:.1g}"


def judge_pair(
    a: ComparisonImage, b: ComparisonImage, similarity: Callable[[], float], *, is_same_file: bool = False
) -> Verdict:
    """Determine the relation between two images.

    Args:
        a: an image.
        b: another.
        similarity: returns how similar a search finds the two, in percent; called only if their geometry is not enough.
        is_same_file: whether their files have the same bytes.
    """
    if is_same_file:
        return Verdict("same-file")
    registration = register(a, b)
    if registration is not None and registration.is_same_picture:
        transform = _describe_transform(a, b, registration.matrix)
        return Verdict("same-picture", _find_changes(registration, transform), transform)
    if registration is not None and registration.is_same_object:
        return Verdict("same-object")
    return Verdict("alike" if similarity() >= MIN_ALIKE_SIMILARITY else "unrelated")


def _describe_transform(a: ComparisonImage, b: ComparisonImage, matrix: Matrix) -> GeometricTransform:
    """Decompose the geometry from a to b, in pixels of the files."""
    shape_a, shape_b = (a.height, a.width), (b.height, b.width)
    to_a: Matrix = scale_matrix(a.pixels.shape, shape_a) @ matrix @ scale_matrix(shape_b, b.pixels.shape)
    to_b: Matrix = np.linalg.inv(to_a).astype(np.float64)
    box = _covered_box(to_a, shape_b, shape_a)
    linear = jacobian(to_b, np.array([(box[0] + box[2] / 2) * a.width, (box[1] + box[3] / 2) * a.height]))
    is_mirrored = bool(np.linalg.det(linear) < 0)
    if is_mirrored:
        linear = linear @ np.diag([-1, 1])
    angle = np.degrees(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))
    scale = np.sqrt(abs(np.linalg.det(linear)))
    whole = _covered_box(to_b, shape_a, shape_b)
    return GeometricTransform(is_mirrored, _round_float(angle, 2), _round_float(scale, 4), box, whole)


def _covered_box(matrix: Matrix, shape: tuple[int, int], onto: tuple[int, int]) -> Box:
    """Return left, top, width and height of what one image covers of another, in fractions of that one's sides."""
    corners = transform_points(matrix, image_corners(shape))
    size = np.array([onto[1], onto[0]])
    low, high = (np.clip((corner + 0.5) / size, 0, 1) for corner in (corners.min(axis=0), corners.max(axis=0)))
    left, top, right, bottom = (float(value) for value in (*low, *high))
    return _round_float(left, 4), _round_float(top, 4), _round_float(right - left, 4), _round_float(bottom - top, 4)


def _round_float(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0  # adding 0.0 turns -0.0 into 0.0


def _find_changes(registration: Registration, transform: GeometricTransform) -> tuple[str, ...]:
    is_changed = {
        "mirrored": transform.is_mirrored,
        "turned": abs(transform.angle) > MIN_ROTATION,
        "cropped": registration.overlap_a < FULL_OVERLAP,
        "extended": registration.overlap_b < FULL_OVERLAP,
        "resized": abs(np.log(transform.scale)) > MIN_LOG_SCALE,
        "recolored": registration.color_difference > MIN_RECOLOR_DIFFERENCE,
        "retouched": registration.agreement < RETOUCHED_BELOW,
    }
    return tuple(change for change, is_true in is_changed.items() if is_true) or ("re-encoded",)

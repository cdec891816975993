"""The relation between two images: one file, one picture or a part of it, one object, similar, or unrelated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from django.utils.translation import gettext as _

from .base import ComparisonImage
from .geometry.color_change import name_color_change
from .geometry.detail_change import name_detail_change
from .geometry.homography import Matrix, image_corners, jacobian, scale_matrix, transform_points
from .geometry.insets import is_inset
from .geometry.registration import Registration, register
from .geometry.shared_frame import share_frame

if TYPE_CHECKING:
    from ..imaging.decode import Box
    from .geometry.color_change import ColorChange
    from .geometry.detail_change import DetailChange

    _PixelChanges = tuple[ColorChange | None, DetailChange | None]

VerdictKind = Literal["same-file", "same-picture", "edited-picture", "contains", "same-object", "alike", "unrelated"]

COPY_KINDS: tuple[VerdictKind, ...] = ("same-file", "same-picture", "edited-picture", "contains")
"""Kinds of one picture in both images."""

MIN_ALIKE_SIMILARITY = 70.0
"""Similarity in percent from which on two images are alike."""

MIN_ROTATION = 0.5
"""Degrees above which an image was turned."""

MIN_CORNER_PIXELS = 1.0
"""Pixels of the smaller image by which its sides have to move at their ends, too: less is the error of a thumbnail."""

MIN_LOG_SCALE = 0.015
"""Logarithm of the scale above which an image was resized."""

MIN_LOG_STRETCH = 0.03
"""Logarithm of the ratio of two scales, across each other, above which an image was stretched."""

MIN_TILT = 1.03
"""Tilt above which an image was brought into another perspective."""

RIGHT_ANGLE_TOLERANCE = 1.0
"""Degrees within which a rotation is one by right angles, which leaves no corner empty."""

ROTATED_OVERLAP = 0.75
"""Share of an image, rotated by another angle, from which on what is missing of it are the corners."""

INSET_OVERLAP = 0.9, 0.52
"""Share of an image that has to lie in the other, and of that one which it may cover, to be but a part of it."""

FULL_OVERLAP = 0.97
"""Share of an image that the other has to cover, not to be a crop of it."""


@dataclass(frozen=True)
class GeometricTransform:
    """The geometry by which the second image was made from the first.

    Attributes:
        is_mirrored: whether it was mirrored left to right, before all else.
        angle: degrees counterclockwise, from -180 to 180.
        scale: pixels of the second file for one of the first.
        stretch: logarithm of the ratio of the scales in two directions; 0 if proportions are kept.
        part: left, top, width and height of what the second shows of the first, in fractions of the first one's sides.
        whole: the same of what the first shows of the second.
    """

    is_mirrored: bool
    angle: float
    scale: float
    part: Box
    whole: Box
    stretch: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The relation between two images, and how one was edited to make the other.

    Attributes:
        kind: the relation.
        changes: any of mirrored, turned, cropped, extended, tilted, stretched, inverted, gray, brighter, darker,
            contrast, recolored, retouched, softened, sharpened, noisy, resized and re-encoded, in this order.
        transform: the geometry of a copy.
        probability: that both are one picture, 0 to 1.
    """

    kind: VerdictKind
    changes: tuple[str, ...] = ()
    transform: GeometricTransform | None = None
    probability: float = 0.0

    @property
    def title(self) -> str:
        """The verdict in two words or so."""
        return {
            "same-file": _("Same file"),
            "same-picture": _("Same image"),
            "edited-picture": _("Edited image"),
            "contains": _("Part of the other image"),
            "same-object": _("Same object"),
            "alike": _("Similar"),
            "unrelated": _("Unrelated"),
        }[self.kind]

    @property
    def text(self) -> str:
        """The verdict in a sentence, with the changes and their amounts."""
        if self.kind == "edited-picture":
            message = _("The second image is an edited version of the first: %(changes)s.")
            return message % {"changes": self.changes_text}
        if self.kind == "contains":
            return self._containment_text
        return {
            "same-file": _("Both files are identical."),
            "same-picture": self._same_picture_text,
            "same-object": _("Matching details line up geometrically: both images show the same object."),
            "alike": _("The images are different but look similar."),
            "unrelated": _("No relation between the two images was found."),
        }[self.kind]

    @property
    def changes_text(self) -> str:
        """The changes with their amounts, the most important first; empty if none are known."""
        if self.transform is None:
            return ""
        phrases = {
            "mirrored": _("mirrored"),
            "turned": _rotation_text(self.transform.angle),
            "cropped": _crop_text(*self.transform.part[2:]),
            "extended": _("extended at the edges"),
            "stretched": _("stretched"),
            "tilted": _("in another perspective"),
            "inverted": _("with inverted colors"),
            "gray": _("in black and white"),
            "brighter": _("made brighter"),
            "darker": _("made darker"),
            "contrast": _("with other contrast"),
            "recolored": _("recolored"),
            "retouched": _("partly edited"),
            "softened": _("softened"),
            "sharpened": _("sharpened"),
            "noisy": _("with added noise"),
            "resized": _("resized to %(percent)s%%") % {"percent": _percent(self.transform.scale)},
            "re-encoded": _("re-encoded"),
        }
        # A crop of less than 1% of each side, as a rotation may leave, is worth a word only if there is nothing else.
        return ", ".join(filter(None, (phrases[change] for change in self.changes))) or _("slightly cropped")

    @property
    def _same_picture_text(self) -> str:
        if self.changes == ("resized",) and self.transform:
            percent = {"percent": _percent(self.transform.scale)}
            return _("Both images are the same; the second is resized to %(percent)s%% of the first.") % percent
        return _("The second image is a re-encoded version of the first.")

    @property
    def _containment_text(self) -> str:
        is_first_inside = self.transform is None or _area(self.transform.whole) < _area(self.transform.part)
        message = (
            _("The second image contains the first") if is_first_inside else _("The first image contains the second")
        )
        return f"{message}: {self.changes_text}." if self.changes else f"{message}."


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


def _area(box: Box) -> float:
    return box[2] * box[3]


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
        return Verdict("same-file", probability=1.0)
    registration = register(a, b)
    probability = registration.probability if registration else 0.0
    if registration is not None and registration.is_same_picture:
        return _judge_copy(a, b, registration)
    if registration is not None and registration.is_same_object:
        return Verdict("same-object", probability=probability)
    return Verdict("alike" if similarity() >= MIN_ALIKE_SIMILARITY else "unrelated", probability=probability)


def _judge_copy(a: ComparisonImage, b: ComparisonImage, registration: Registration) -> Verdict:
    transform = _describe_transform(a, b, registration.matrix)
    side = min(a.width, a.height, b.width, b.height)
    changes = _find_changes(registration, transform, _name_pixel_changes(a, b, registration), side)
    details = transform, registration.probability
    if _is_part(a, b, registration):
        beside = {"cropped", "extended", "resized", "re-encoded"}
        return Verdict("contains", tuple(change for change in changes if change not in beside), *details)
    if changes in ((), ("resized",)):
        return Verdict("same-picture", changes or ("re-encoded",), *details)
    return Verdict("edited-picture", changes, *details)


def _is_part(a: ComparisonImage, b: ComparisonImage, registration: Registration) -> bool:
    """Return whether one image lies in the other as in a collage, which goes on beyond it with something else."""
    inside, covering = INSET_OVERLAP
    if registration.overlap_a >= inside and registration.overlap_b < covering:
        return is_inset(a, b, np.linalg.inv(registration.matrix).astype(np.float64))
    if registration.overlap_b >= inside and registration.overlap_a < covering:
        return is_inset(b, a, registration.matrix)
    return False


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
    long, short = np.linalg.svd(linear, compute_uv=False)
    stretch = _round_float(np.log(long / max(short, 1e-9)), 4)
    return GeometricTransform(is_mirrored, _round_float(angle, 2), _round_float(scale, 4), box, whole, stretch)


def _covered_box(matrix: Matrix, shape: tuple[int, int], onto: tuple[int, int]) -> Box:
    """Return left, top, width and height of what one image covers of another, in fractions of that one's sides."""
    corners = transform_points(matrix, image_corners(shape))
    size = np.array([onto[1], onto[0]])
    low, high = (np.clip((corner + 0.5) / size, 0, 1) for corner in (corners.min(axis=0), corners.max(axis=0)))
    left, top, right, bottom = (float(value) for value in (*low, *high))
    return _round_float(left, 4), _round_float(top, 4), _round_float(right - left, 4), _round_float(bottom - top, 4)


def _round_float(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0  # adding 0.0 turns -0.0 into 0.0


def _name_pixel_changes(a: ComparisonImage, b: ComparisonImage, registration: Registration) -> _PixelChanges:
    """Name what was done to the colors, and to the fine detail."""
    frame = share_frame(a, b, registration.matrix)
    if frame is None or np.array_equal(frame.a, frame.b):
        return None, None
    detail_change = name_detail_change(frame, is_retouched=registration.is_retouched)
    return name_color_change(frame, registration), detail_change


def _find_changes(
    registration: Registration, transform: GeometricTransform, pixel_changes: _PixelChanges, side: int
) -> tuple[str, ...]:
    """Return what was done, the most important first; nothing where nothing but the encoding changed.

    `side` is the shortest of both images, in pixels, on which it depends what can be told of their geometry.
    """
    color_change, detail_change = pixel_changes
    least_shift = 2 * MIN_CORNER_PIXELS / side
    right_angles = abs(transform.angle) % 90
    leaves_corners = min(right_angles, 90 - right_angles) > RIGHT_ANGLE_TOLERANCE
    least = ROTATED_OVERLAP if leaves_corners else FULL_OVERLAP
    is_changed = {
        "mirrored": transform.is_mirrored,
        "turned": abs(transform.angle) > max(MIN_ROTATION, np.degrees(least_shift)),
        "cropped": registration.overlap_a < least,
        "extended": registration.overlap_b < least,
        "tilted": registration.tilt > MIN_TILT,
        "stretched": registration.tilt <= MIN_TILT and transform.stretch > max(MIN_LOG_STRETCH, least_shift),
        "inverted": registration.is_inverted,
        str(color_change): color_change is not None,
        "retouched": registration.is_retouched and detail_change != "softened",
        str(detail_change): detail_change is not None,
        "resized": abs(np.log(transform.scale)) > MIN_LOG_SCALE,
    }
    return tuple(change for change, is_true in is_changed.items() if is_true)

"""What two pictures are to each other, in words a person understands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from django.utils.translation import gettext as _

from .. import conf, plugins, ranking_presets
from .base import ComparisonImage
from .geometry import keypoint_detection
from .geometry.registered_pair import scaling
from .geometry.registration import RECOLORED, RETOUCHED_BELOW, Registration, corners_of, register
from .signature import BySignature

if TYPE_CHECKING:
    from ..imaging.decode import Box
    from .geometry.keypoint_detection import Matrix

VerdictKind = Literal["same-file", "same-picture", "same-object", "alike", "unrelated"]

ALIKE = 70.0
"""Similarity in percent, by the default ranking, from which on two pictures are alike."""

TURNED = 0.5
"""Degrees from which on a picture is turned."""

RESIZED = 0.015
"""Logarithm of the scale from which on it is resized."""

COVERED = 0.97
"""Share of a picture that the other has to cover, not to be a crop of it."""


@dataclass(frozen=True)
class Transform:
    """How the second picture came from the first, as far as geometry tells.

    `angle` is in degrees counterclockwise, from -180 to 180, after mirroring left to right where `is_mirrored`;
    `scale` is in pixels of the second file for one of the first. `part` is the left, top, width and height of what the
    second shows of the first, in fractions of the first one's sides, and `whole` of what the first shows of the second.
    """

    is_mirrored: bool
    angle: float
    scale: float
    part: Box
    whole: Box


@dataclass(frozen=True)
class Verdict:
    """What the pictures are to each other, and what was done to one to make the other.

    `changes` are any of resized, cropped, extended, turned, mirrored, recolored, retouched and re-encoded.
    """

    kind: VerdictKind
    changes: tuple[str, ...] = ()
    transform: Transform | None = None

    @property
    def title(self) -> str:
        return {
            "same-file": _("The same file"),
            "same-picture": _("The same picture"),
            "same-object": _("The same object"),
            "alike": _("Alike"),
            "unrelated": _("Unrelated"),
        }[self.kind]

    @property
    def text(self) -> str:
        """The verdict in a sentence, with the changes and their amounts."""
        if self.kind == "same-file":
            return _("Both files are the same, byte for byte.")
        if self.kind == "same-object":
            return _("Points of one picture lie in the other as one geometry has it: they show the same thing.")
        if self.kind == "alike":
            return _("The pictures differ, but look alike.")
        if self.kind == "unrelated":
            return _("Nothing proves that the pictures have to do with each other.")
        return _("The second picture is the first one, %(changes)s.") % {"changes": self.told}

    @property
    def told(self) -> str:
        """What was done, with the amounts; empty where nothing is known of it."""
        if self.transform is None:
            return ""
        percent = {"width": f"{100 * self.transform.part[2]:.0f}", "height": f"{100 * self.transform.part[3]:.0f}"}
        words = {
            "mirrored": _("mirrored"),
            "turned": _("turned by %(angle)s°") % {"angle": f"{round(self.transform.angle, 1):g}"},
            "cropped": _("cropped to %(width)s %% of its width and %(height)s %% of its height") % percent,
            "extended": _("with something added around it"),
            "resized": _("resized to %(percent)s %%") % {"percent": f"{100 * self.transform.scale:.3g}"},
            "recolored": _("recolored"),
            "retouched": _("changed in places"),
            "re-encoded": _("encoded anew"),
        }
        return ", ".join(words[change] for change in self.changes)


def judge_pair(
    a: ComparisonImage, b: ComparisonImage, *, is_same_file: bool = False, similarity: float | None = None
) -> Verdict:
    """Say what two pictures are to each other.

    Args:
        a: a picture.
        b: another.
        is_same_file: whether their files have the same bytes.
        similarity: what a search tells of the two, in percent, where that is known; else it is computed.
    """
    if is_same_file:
        return Verdict("same-file")
    alignment = register(a, b)
    if alignment is not None and alignment.is_same_picture:
        transform = _transform(a, b, alignment.matrix)
        return Verdict("same-picture", _changes(a, b, alignment, transform), transform)
    if alignment is not None and alignment.is_same_object:
        return Verdict("same-object")
    found = likeness(a, b) if similarity is None else similarity
    return Verdict("alike" if found >= ALIKE else "unrelated")


def likeness(a: ComparisonImage, b: ComparisonImage) -> float:
    """The similarity that a search tells of the two, in percent, by SIMILAR_IMAGES["RANKING"]."""
    methods = plugins.enabled_methods()
    ranking = ranking_presets.resolve_preset(conf.get().ranking, methods)
    measures = {name: BySignature(methods[name]) for name, weight in ranking.items() if weight}
    return ranking_presets.fuse_scores(
        {name: one.similarity(one.compare(a, b)) for name, one in measures.items()}, ranking
    )


def _transform(a: ComparisonImage, b: ComparisonImage, matrix: Matrix) -> Transform:
    """The geometry from a to b, in pixels of the files."""
    file_a, file_b = (a.height, a.width), (b.height, b.width)
    to_a: Matrix = scaling(a.pixels.shape, file_a) @ matrix @ scaling(file_b, b.pixels.shape)
    to_b: Matrix = np.linalg.inv(to_a).astype(np.float64)
    box = _box(to_a, file_b, file_a)
    linear = keypoint_detection.jacobian(
        to_b, np.array([(box[0] + box[2] / 2) * a.width, (box[1] + box[3] / 2) * a.height])
    )
    is_mirrored = bool(np.linalg.det(linear) < 0)
    if is_mirrored:
        linear = linear @ np.diag([-1, 1])
    angle = np.degrees(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))
    scale = np.sqrt(abs(np.linalg.det(linear)))
    return Transform(is_mirrored, _rounded(angle, 2), _rounded(scale, 4), box, _box(to_b, file_a, file_b))


def _box(matrix: Matrix, shape: tuple[int, int], onto: tuple[int, int]) -> Box:
    """Left, top, width and height of what a picture of one shape covers of another, in fractions of its sides."""
    corners = keypoint_detection.transform_points(matrix, corners_of(shape))
    size = np.array([onto[1], onto[0]])
    low, high = (np.clip((places + 0.5) / size, 0, 1) for places in (corners.min(axis=0), corners.max(axis=0)))
    left, top, right, bottom = (float(value) for value in (*low, *high))
    return _rounded(left, 4), _rounded(top, 4), _rounded(right - left, 4), _rounded(bottom - top, 4)


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0  # no -0.0


def _changes(a: ComparisonImage, b: ComparisonImage, alignment: Registration, transform: Transform) -> tuple[str, ...]:
    found = {
        "mirrored": transform.is_mirrored,
        "turned": abs(transform.angle) > TURNED,
        "cropped": alignment.overlap_a < COVERED,
        "extended": alignment.overlap_b < COVERED,
        "resized": abs(np.log(transform.scale)) > RESIZED,
        "recolored": alignment.color_difference > RECOLORED,
        "retouched": alignment.agreement < RETOUCHED_BELOW,
    }
    return tuple(change for change, is_true in found.items() if is_true) or ("re-encoded",)

"""Where one picture lies on the other: the geometry that takes one to the other, and how well they agree there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import cv2
import numpy as np

from ..base import ComparisonImage, reduce_to
from ..drawing import canvas
from . import color_residual, keypoint_detection
from .registered_pair import scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base import Gray, Pixels
    from .keypoint_detection import Matrix

SIDE = 192
"""Long side of the larger picture when two aligned ones are compared pixel by pixel."""

WINDOW = 11
"""Side of the windows, in pixels of that size, which are compared each for itself."""

GOOD_AGREEMENT = 0.9
"""Agreement that needs no finer geometry."""

TEXTURE = 4.0
"""Standard deviation in a window, of 255, from which on it shows something."""

AGREES = 0.8
"""Correlation of two windows from which on they show the same."""

MIN_AGREEMENT = 0.7
"""Agreement of a picture and its copy: of 700 edited copies of photos all had 0.75, of 1,000 other pairs none."""

RETOUCHED_BELOW = 0.97
"""Agreement under which something was changed in places."""

MIN_FIDELITY = 0.978
"""Fidelity of what was not: of another picture of the thing it is less."""

RECOLORED = 8.0
"""Mean difference of colors, of 255, from which on a picture is recolored."""

RECOLOR_MIN_AGREEMENT = 0.95
"""Agreement everywhere of a picture that was recolored, and nothing else."""

MAX_COLOR_RESIDUAL = 6.0
"""Difference that editing the whole may leave: a thing photographed in another color leaves more."""

STRETCHED = 0.03
"""Logarithm of how much one side may be stretched more than the other, in a whole that is laid on a whole."""

FEW_KEYPOINTS = 30
"""Of fewer keypoints than this, a geometry is taken as simple as it can be."""

WHITE_LEVEL = 243
"""The darkest channel of a color that counts as white ground is at least this."""

MIN_OVERLAP = 0.9
"""Share of one picture that has to lie on the other, for one to be a part of the other."""

MAX_TILT = 1.1
"""Tilt up to which a picture is not seen from another side."""

MIN_CORNER_SHIFT = 0.02
"""Share of the long side by which a corner has to be elsewhere, for the picture to be cropped or turned."""

MIN_INLIERS = 12
"""Keypoints that prove the same thing, whatever else is in the pictures."""

THUMBNAIL_SIDE = 64
"""Long side of the pictures by which a whole is looked for where there are no points to go by."""


@dataclass(frozen=True)
class Registration:
    """How the second picture lies on the first.

    `matrix` (3, 3) takes places of b.pixels to places of a.pixels. `overlap_a` and `overlap_b` are the shares of
    either picture that lie on the other, from 0 to 1. `agreement` is the share, of the windows there that show
    something, that show the same: without what may have been laid over one of the two, and `everywhere` with it.
    `fidelity` is the correlation in those that do, by their contrast. `color_difference` is the mean difference of
    colors in steps of 255, and `unexplained` what is left of it when the whole is edited. `proven` is the number of
    keypoints that the geometry is by, 0 where it is not by any; `tilt` how many times nearer one corner of b is than
    another, seen from a: 1 where the picture was only turned, stretched or sheared.
    """

    matrix: Matrix
    overlap_a: float
    overlap_b: float
    agreement: float
    everywhere: float
    fidelity: float
    color_difference: float
    unexplained: float
    proven: int
    tilt: float

    @property
    def is_mirrored(self) -> bool:
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def is_same_picture(self) -> bool:
        """Whether one picture is, but for editing, a part of the other or all of it."""
        if self.proven < MIN_INLIERS:  # a white box is like many others
            least = GOOD_AGREEMENT if self.fidelity >= MIN_FIDELITY else RETOUCHED_BELOW
            agrees = self.everywhere >= least and self.color_difference <= MAX_COLOR_RESIDUAL
        elif self.color_difference > RECOLORED:  # a thing in another color, photographed alike, is seldom quite alike
            agrees = (
                self.everywhere >= RECOLOR_MIN_AGREEMENT
                and self.fidelity >= MIN_FIDELITY
                and self.unexplained <= MAX_COLOR_RESIDUAL
            )
        else:
            covered = self.agreement < RETOUCHED_BELOW and self.fidelity >= MIN_FIDELITY
            agrees = self.agreement >= (MIN_AGREEMENT if covered else RETOUCHED_BELOW)
        return agrees and max(self.overlap_a, self.overlap_b) >= MIN_OVERLAP and self.is_flat

    @property
    def is_same_object(self) -> bool:
        """Whether both show the same thing, if not as the same picture."""
        return self.proven >= MIN_INLIERS or self.agreement >= MIN_AGREEMENT

    @property
    def is_flat(self) -> bool:
        """Whether the picture was turned and stretched at most, not seen from another side."""
        return self.tilt <= MAX_TILT


def register(a: ComparisonImage, b: ComparisonImage) -> Registration | None:
    """The geometry between two pictures that show the same; None where there is none to be found."""
    return a.once(("alignment", ref(b)), lambda: _register(a, b))


def affine_guess(a: ComparisonImage, b: ComparisonImage) -> Matrix | None:
    """The matrix that takes b to a, where they show the same and one was cropped, turned or mirrored."""
    alignment = register(a, b)
    if alignment is None or alignment.agreement < MIN_AGREEMENT:
        return None
    corners = corners_of(b.pixels.shape)
    stretched = keypoint_detection.transform_points(scaling(b.pixels.shape, a.pixels.shape), corners)
    off = np.abs(keypoint_detection.transform_points(alignment.matrix, corners) - stretched).max()
    return alignment.matrix if off > MIN_CORNER_SHIFT * max(a.pixels.shape) else None


def _register(a: ComparisonImage, b: ComparisonImage) -> Registration | None:
    if np.array_equal(a.pixels, b.pixels):
        return Registration(np.eye(3), 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0, 1.0)
    found = [_evaluate_pose(a, b, matrix, proven) for matrix, proven in _align_by_keypoints(a, b)]
    found += [
        _evaluate_pose(a, b, _refined(a, b, rough.matrix), rough.proven)
        for rough in found
        if rough.agreement < GOOD_AGREEMENT
    ]
    if not any(alignment.is_same_picture for alignment in found):
        found += [_evaluate_pose(a, b, matrix, 0) for matrix in _align_by_correlation(a, b)]
    # Of poses that fit alike, as of a thing that is symmetric, the first is the simplest.
    return max(found, key=lambda alignment: (alignment.is_same_picture, round(alignment.agreement, 1)), default=None)


def _align_by_keypoints(a: ComparisonImage, b: ComparisonImage) -> list[tuple[Matrix, int]]:
    """The homographies that keypoints prove, with b as it is and mirrored, and how many points prove each."""
    of_a, found = keypoint_detection.detect(a, "rootsift"), []
    for mirrored in (False, True):
        of_b = keypoint_detection.detect(b, "rootsift", mirrored=mirrored)
        matches = keypoint_detection.verify_geometry(
            of_a, of_b, keypoint_detection.ratio_test(of_a, of_b, 0.8, both_ways=True), at_least=5
        )
        if matches.matrix is not None:
            pairs = matches.pairs[matches.proven]
            matrix = _simplest(of_b.places[pairs[:, 1]], of_a.places[pairs[:, 0]], matches.matrix)
            found.append(
                (matrix @ keypoint_detection.mirror_matrix(b.pixels.shape[1]) if mirrored else matrix, len(pairs))
            )
    return found


def _simplest(from_b: Any, to_a: Any, matrix: Matrix) -> Matrix:
    """The affine matrix that explains the same points as this homography, where it does so nearly as well."""
    affine, _ = cv2.estimateAffine2D(from_b, to_a, method=cv2.LMEDS)
    if affine is None:
        return matrix
    simpler = np.vstack([affine, [0, 0, 1]])
    off = [np.linalg.norm(keypoint_detection.transform_points(m, from_b) - to_a, axis=1) for m in (matrix, simpler)]
    enough = max(
        keypoint_detection.REPROJECTION_THRESHOLD
        if len(to_a) < FEW_KEYPOINTS
        else keypoint_detection.REPROJECTION_THRESHOLD / 2,
        1.5 * np.quantile(off[0], 0.9),
    )
    return simpler if np.quantile(off[1], 0.9) <= enough else matrix


def _align_by_correlation(a: ComparisonImage, b: ComparisonImage) -> list[Matrix]:
    """The matrices that lay the whole of b on the whole of a, turned by right angles and mirrored, where that fits."""
    look_a, found = _thumbnail(a.pixels), []
    for pose, matrix in _poses(b.pixels):
        y, x = (own / other for own, other in zip(a.pixels.shape[:2], pose.shape[:2], strict=True))
        if abs(np.log(y / x)) > STRETCHED:
            continue
        look_b = cv2.resize(_thumbnail(pose), look_a.shape[1::-1], interpolation=cv2.INTER_AREA)
        if _correlation(look_a, np.asarray(look_b, np.uint8)) > 0.5:
            found.append(scaling(pose.shape, a.pixels.shape) @ matrix)
    return found


def _thumbnail(pixels: Pixels) -> Gray:
    """Small, by the brightest channel, which a turned hue leaves alone."""
    return _brightest(reduce_to(pixels, THUMBNAIL_SIDE))


def _poses(pixels: Pixels) -> list[tuple[Pixels, Matrix]]:
    """The picture in its 8 right-angled poses, each with the matrix that takes places of the picture there."""
    found = []
    for mirrored in (False, True):
        pose = pixels[:, ::-1] if mirrored else pixels
        matrix = keypoint_detection.mirror_matrix(pixels.shape[1]) if mirrored else np.eye(3)
        for _ in range(4):
            found.append((pose, matrix))
            # A quarter counterclockwise takes (x, y) to (y, width - 1 - x).
            matrix = np.array([[0, 1, 0], [-1, 0, pose.shape[1] - 1], [0, 0, 1]], float) @ matrix
            pose = np.rot90(pose)
    return found


def _correlation(a: Gray, b: Gray) -> float:
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0]) if a.std() and b.std() else 0.0


def _refined(a: ComparisonImage, b: ComparisonImage, matrix: Matrix) -> Matrix:
    """The affine matrix near this one under which b fits a best; this one, where none is found.

    Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization" (2008).
    """
    one, other = (_brightest(reduce_to(view.pixels, SIDE)) for view in (a, b))
    to_one, to_other = scaling(a.pixels.shape, one.shape), scaling(b.pixels.shape, other.shape)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        start = np.linalg.inv(to_one @ matrix @ np.linalg.inv(to_other))
        affine = (start / start[2, 2])[:2].astype(np.float32)
        everywhere = np.full(one.shape, 255, np.uint8)
        _, found = cv2.findTransformECC(one, other, affine, cv2.MOTION_AFFINE, criteria, everywhere, 5)
        refined = np.linalg.inv(to_one) @ np.linalg.inv(np.vstack([found, [0, 0, 1]]).astype(float)) @ to_other
    except (cv2.error, np.linalg.LinAlgError):  # it did not converge
        return matrix
    return np.asarray(refined, np.float64)


def _evaluate_pose(a: ComparisonImage, b: ComparisonImage, matrix: Matrix, proven: int) -> Registration:
    small = reduce_to(a.pixels, SIDE)
    to_small = scaling(a.pixels.shape, small.shape) @ matrix
    warped = warp(b.pixels, to_small, small.shape)
    covered = warp(np.ones(b.pixels.shape[:2], np.uint8), to_small, small.shape, cv2.INTER_NEAREST).astype(bool)
    agreement, everywhere, fidelity, shows = _agreement(small, warped, covered)
    # White ground is alike in many pictures.
    colored = shows | (covered & (np.minimum(small, warped).min(axis=2) < WHITE_LEVEL))
    soft = [_softened(picture)[colored] for picture in (small, warped)]
    color_difference, unexplained = color_residual.color_residuals(*soft)
    whole_a, whole_b = (corners_of(view.pixels.shape) for view in (a, b))
    on_a = keypoint_detection.transform_points(matrix, whole_b)
    shared = cv2.intersectConvexConvex(on_a, whole_a)[0]
    overlap_a, overlap_b = (shared / max(cv2.contourArea(whole), 1e-6) for whole in (whole_a, on_a))
    depths = whole_b @ matrix[2, :2] + matrix[2, 2]
    tilt = float(depths.max() / max(depths.min(), 1e-9))
    told = agreement, everywhere, fidelity, color_difference, unexplained
    return Registration(matrix, overlap_a, overlap_b, *told, proven, tilt)


def warp(picture: Pixels, matrix: Matrix, shape: tuple[int, ...], interpolation: int = cv2.INTER_LINEAR) -> Pixels:
    """The picture in another one's frame of this shape, black where it has nothing there."""
    return np.asarray(cv2.warpPerspective(picture, matrix, (shape[1], shape[0]), flags=interpolation), np.uint8)


def corners_of(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The corners (4, 2) of a picture of this shape: the outer ones of its corner pixels."""
    height, width = shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5


def _agreement(a: Pixels, b: Pixels, both: NDArray[np.bool_]) -> tuple[float, float, float, NDArray[np.bool_]]:
    """The shares of windows that show the same in two pictures of one size, how well, and where these windows are.

    What was laid over one picture shows nothing of the other. So for the first share it is the windows in which the
    first shows something, or those in which the second does, that count: of which more agree, if they are not much
    rarer. For the second share all of them count.
    """
    inside = cv2.erode(both.astype(np.uint8), np.ones((WINDOW, WINDOW), np.uint8)).astype(bool)
    best = 0.0, 0.0, 0.0, np.zeros(inside.shape, bool)
    for look in (_brightest, _gray):
        one, other = (cv2.GaussianBlur(look(picture).astype(np.float32), (0, 0), 1.0) for picture in (a, b))
        means = [cv2.blur(values, (WINDOW, WINDOW)) for values in (one, other)]
        variances = [
            np.maximum(cv2.blur(values * values, (WINDOW, WINDOW)) - mean * mean, 0)
            for values, mean in zip((one, other), means, strict=True)
        ]
        together = cv2.blur(one * other, (WINDOW, WINDOW)) - means[0] * means[1]
        contrast = np.sqrt(np.maximum(variances[0] * variances[1], 1e-3))
        agrees = together > AGREES * contrast
        shows = [inside & (variance > TEXTURE**2) for variance in variances]
        either = shows[0] | shows[1]
        fidelity = float(together[agrees & either].sum() / max(contrast[agrees & either].sum(), 1e-3))
        for windows in shows:
            if windows.any() and windows.sum() > either.sum() / 3:
                found = float(agrees[windows].mean()), float(agrees[either].mean()), fidelity, windows
                best = max(best, found, key=lambda each: each[0])
    return best


def _softened(pixels: Pixels) -> Pixels:
    """Without fine edges, of which a pixel's shift makes another color."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.0), np.uint8)


def _brightest(pixels: Pixels) -> Gray:
    return np.asarray(pixels.max(axis=2), np.uint8)


def _gray(pixels: Pixels) -> Gray:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def overlay(a: ComparisonImage, b: ComparisonImage, alignment: Registration) -> Pixels:
    """Both pictures in one frame, the second half transparent, each framed: the first solid, the second dashed."""
    outlines = [
        corners_of(a.pixels.shape),
        keypoint_detection.transform_points(alignment.matrix, corners_of(b.pixels.shape)),
    ]
    low, high = (extreme(np.concatenate(outlines), axis=0) for extreme in (np.min, np.max))
    factor = canvas.WIDE / float(max(high - low))
    frame = np.array([[factor, 0, -low[0] * factor], [0, factor, -low[1] * factor], [0, 0, 1]])
    shape = tuple(int(max(1, round(float(side)))) for side in ((high - low) * factor)[::-1])
    panel = np.full((*shape, 3), canvas.GROUND, np.uint8)
    for view, matrix, share in ((a, frame, 1.0), (b, frame @ alignment.matrix, 0.5)):
        there = warp(np.ones(view.pixels.shape[:2], np.uint8), matrix, shape, cv2.INTER_NEAREST).astype(bool)
        mixed = share * warp(view.pixels, matrix, shape)[there] + (1 - share) * panel[there]
        panel[there] = np.rint(mixed).astype(np.uint8)
    canvas.draw_outline(panel, [keypoint_detection.transform_points(frame, outlines[0])])
    canvas.draw_outline(panel, [keypoint_detection.transform_points(frame, outlines[1])], dashed=True)
    return panel

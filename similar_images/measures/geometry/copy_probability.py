"""The probability that two registered images are one picture, by a logistic regression over the evidence.

The weights were fitted on one half of labeled sets, by `python -m benchmarks copy_probability`, to copies edited in
many ways, and to look-alikes that a shop or an archive has: variants in one pose, shots of one series, forms filled in
differently.
"""

from __future__ import annotations

from math import exp, log, log1p
from typing import NamedTuple

from .evidence import FrameEvidence

LOOKALIKE_WEIGHT = 4
"""Copies that a look-alike counts as much as in the fit: a site has more of them, and a wrong copy costs more than a
missed one."""

MAX_COUNTED_INLIERS = 200
"""Inliers beyond which more of them prove no more."""


class PairEvidence(NamedTuple):
    """All evidence on two registered images.

    Attributes:
        frame: that of the part which they share.
        inliers: matches of keypoints that the geometry explains.
        matches: matches of keypoints in the part that both show.
        keypoints: keypoints of the image that has fewer.
        tilt: as in Registration.
    """

    frame: FrameEvidence
    inliers: int
    matches: int
    keypoints: int
    tilt: float


def evidence_terms(evidence: PairEvidence) -> dict[str, float]:
    """Return the terms of the regression, by name; shares by their logarithm, as the rare exception tells.

    That of outliers follows Laplace's rule of succession, so that few matches prove little.
    """
    frame = evidence.frame
    unexplained = log(frame.unexplained_region + 3e-4)
    return {
        "inliers": log1p(min(evidence.inliers, MAX_COUNTED_INLIERS)),
        "outliers": log((evidence.matches - evidence.inliers + 1) / (evidence.matches + 2)),
        "keypoints": log1p(evidence.keypoints),
        "detail": frame.detail,
        "disagreement": log(max(1 - frame.edge_agreement, 0.01)),
        "differing region": log(frame.differing_region + 3e-3),
        "differing detail": log(frame.differing_detail + 3e-4),
        "imbalance": frame.imbalance,
        "color difference": log(frame.color_difference + 3),
        "color residual": log(frame.color_residual + 3),
        "unexplained region": unexplained,
        "unexplained on plain": unexplained * frame.plain,
        "tilt": min(evidence.tilt - 1, 0.5),
        "content difference": log(frame.content_difference + 3),
        "background difference": log(frame.background_difference + 3),
    }


INTERCEPT = -13.132

WEIGHTS = {
    "inliers": -0.181,
    "outliers": -1.79,
    "keypoints": -0.572,
    "detail": 1.96,
    "disagreement": -0.234,
    "differing region": -0.52,
    "differing detail": -0.625,
    "imbalance": 1.076,
    "color difference": -1.426,
    "color residual": 1.682,
    "unexplained region": -0.942,
    "unexplained on plain": 0.677,
    "tilt": -12.74,
    "content difference": -0.24,
    "background difference": 1.21,
}


def copy_probability(evidence: PairEvidence) -> float:
    """Return the probability that two registered images are one picture, edited or not: 0 to 1."""
    logit = INTERCEPT + sum(WEIGHTS[name] * value for name, value in evidence_terms(evidence).items())
    return 1 / (1 + exp(-max(min(logit, 30), -30)))

"""Detectors, matching strategies and estimators of keypoint pipelines, and what they need; loads no heavy library."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from django.utils.translation import gettext as _

from ...imaging import opencv

Detector = Literal["sift", "rootsift", "surf", "kaze", "akaze", "orb"]
MatchingStrategy = Literal["ratio", "cross-check", "distance"]
Estimator = Literal["magsac", "ransac"]

MAX_KEYPOINTS = 1000
"""Keypoints per image, at most: the strongest."""

OPENCV_FEATURES = {"sift": "SIFT", "rootsift": "SIFT", "kaze": "KAZE", "akaze": "AKAZE", "orb": "ORB"}
"""OpenCV's name of each detector that it has."""


def find_missing_packages(detector: Detector) -> list[str]:
    """Return one message per package that this detector needs and the installation lacks."""
    if detector == "surf":
        return [] if find_spec("mahotas") else [missing_mahotas()]
    feature = OPENCV_FEATURES[detector]
    return [] if opencv.declares_feature(feature) else [opencv.describe_missing_feature(feature)]


def missing_mahotas() -> str:
    """Return what to install for SURF."""
    return _("SURF needs mahotas: pip install similar_images[compare]")

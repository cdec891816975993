"""Measures: two images compared, one figure each; a module a family. They know no Django model and no setting."""

from __future__ import annotations

BUILT_IN_MEASURES = {
    "alignment": f"{__name__}.overlap.Overlap",
    "keypoints-rootsift": f"{__name__}.keypoints.RootSiftMeasure",
    "keypoints-sift": f"{__name__}.keypoints.SiftMeasure",
    "keypoints-surf": f"{__name__}.keypoints.SurfMeasure",
    "keypoints-kaze": f"{__name__}.keypoints.KazeMeasure",
    "keypoints-akaze": f"{__name__}.keypoints.AkazeMeasure",
    "keypoints-orb": f"{__name__}.keypoints.OrbMeasure",
    "ssim": f"{__name__}.structure.Ssim",
    "flip": f"{__name__}.structure.Flip",
    "exact-blocks": f"{__name__}.structure.ExactBlocks",
    "block-motion": f"{__name__}.motion.BlockMotion",
    "affine-motion": f"{__name__}.motion.AffineMotion",
    "optical-flow": f"{__name__}.motion.OpticalFlow",
    "intersection": f"{__name__}.histograms.Intersection",
    "correlation": f"{__name__}.histograms.Correlation",
    "correlation-rgb": f"{__name__}.histograms.RgbCorrelation",
    "chi-square": f"{__name__}.histograms.ChiSquare",
    "bhattacharyya": f"{__name__}.histograms.Bhattacharyya",
    "emd-color": f"{__name__}.transport.EmdColor",
    "emd-gray": f"{__name__}.transport.EmdGray",
    "silhouette": f"{__name__}.silhouette.Silhouette",
}
"""Dotted path of each built-in measure class, by name; every signature method is a measure, too."""

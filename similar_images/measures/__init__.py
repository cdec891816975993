"""Measures: two pictures at hand, compared; one file a family. They know no Django model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.translation import gettext as _

from .. import conf, plugins, signatures
from .base import Measure
from .signature import BySignature, MissingMethod

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
    "chi-square": f"{__name__}.histograms.ChiSquare",
    "bhattacharyya": f"{__name__}.histograms.Bhattacharyya",
    "emd-color": f"{__name__}.transport.EmdColor",
    "emd-gray": f"{__name__}.transport.EmdGray",
    "silhouette": f"{__name__}.silhouette.Silhouette",
}


@lru_cache(maxsize=1)
def available_measures() -> Mapping[str, Measure]:
    """The built-in measures, those of SIMILAR_IMAGES["MEASURES"], and every signature method, by name.

    Raises:
        ImproperlyConfigured: a measure can't be imported or refuses its options; the message names it.
    """
    options = conf.get().measures
    names = [*BUILT_IN_MEASURES, *(name for name in options if name not in BUILT_IN_MEASURES)]
    measures = {measure.name: measure for measure in (load_measure(name, options.get(name, {})) for name in names)}
    measures |= {name: _by_method(name) for name in signatures.BUILT_IN_METHODS}
    measures |= {name: BySignature(method) for name, method in signatures.enabled_methods().items()}
    return MappingProxyType(measures)


def _by_method(name: str) -> Measure:
    try:
        return BySignature(signatures.load_method(name, {}))
    except ImproperlyConfigured as error:  # this installation lacks something for it
        return MissingMethod(name, str(error))


def select_measures(names: Iterable[str] | None = None) -> dict[str, Measure]:
    """The measures of these names; all of them, where none are given.

    Raises:
        ValueError: there is none of a name; the message says which there are.
    """
    known = available_measures()
    if names is None:
        return dict(known)
    for name in (names := list(names)):
        if name not in known:
            message = _("There is no measure “%(name)s”; there are: %(known)s.")
            raise ValueError(message % {"name": name, "known": ", ".join(known)})
    return {name: known[name] for name in names}


def load_measure(name: str, options: dict[str, Any]) -> Measure:
    """A measure by built-in name or dotted path; the option "class", where given, is that, and the name free to choose.

    Raises:
        ImproperlyConfigured: it can't be imported, is no Measure, or refuses the options.
    """
    key = f"SIMILAR_IMAGES['MEASURES'][{name!r}]"
    named = "class" in options
    kind = plugins.load_class(key, options.get("class", name), Measure, BUILT_IN_MEASURES)
    if named:
        plugins.check_name(key, name)
    measure = plugins.instantiate_class(
        key, kind, {option: value for option, value in options.items() if option != "class"}
    )
    if named or name in BUILT_IN_MEASURES:
        measure.name = name
    return measure


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIMILAR_IMAGES":
        available_measures.cache_clear()

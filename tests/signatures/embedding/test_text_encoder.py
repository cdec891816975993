from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from similar_images.signatures.base import Method
from similar_images.signatures.color import Color
from similar_images.signatures.embedding import Embedding
from similar_images.signatures.embedding.options import is_curve
from similar_images.signatures.embedding.presets import PRESETS
from tests import encoders


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return encoders.pair(tmp_path)


def solid_color(color: str) -> NDArray[np.uint8]:
    value = {"red": (200, 20, 30), "green": (20, 190, 40), "blue": (10, 30, 180)}[color]
    return np.full((40, 40, 3), value, np.uint8)


def test_compute_text__is_close_to_images_that_fit(options: dict[str, Any]) -> None:
    method = Embedding(**options)
    assert method.takes_text
    assert method.check() == []
    for word in encoders.COLORS:
        vector = method.compute_text(word)
        assert (vector.shape, vector.dtype) == ((3,), np.float32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
        cosines = {color: float(vector @ method.compute(solid_color(color))) for color in encoders.COLORS}
        assert max(cosines, key=lambda color: cosines[color]) == word


def test_compute_text__length_and_padding_do_not_matter(options: dict[str, Any], tmp_path: Path) -> None:
    method = Embedding(**options)
    assert method.compute_text("red ! " * 1000).shape == (3,)
    np.testing.assert_allclose(method.compute_text("Red"), Embedding(**options | {"context": 64}).compute_text("red"))
    bare = Embedding(**options | {"text_file": encoders.text_encoder(tmp_path / "bare.onnx", mask=False)})
    np.testing.assert_allclose(bare.compute_text("red"), method.compute_text("red"), atol=0.02)


def test_compute_text__pads_with_the_chosen_token(options: dict[str, Any], tmp_path: Path) -> None:
    text_file = encoders.text_encoder(tmp_path / "bare.onnx", mask=False)
    blue = Embedding(**options | {"text_file": text_file, "padding": 4})
    assert float(blue.compute_text("red") @ blue.compute_text("blue")) > 0.5


def test_version__does_not_depend_on_the_text_encoder(options: dict[str, Any]) -> None:
    pictures = {name: value for name, value in options.items() if name not in ("text_file", "tokenizer", "context")}
    assert Embedding(**options).version == Embedding(**pictures).version


def test_text_similarity__has_a_curve_of_its_own(options: dict[str, Any]) -> None:
    method = Embedding(**options, text_curve=[[0, 100], [0.5, 40], [1, 0]])
    assert method.text_similarity(0.5) == 40
    assert method.similarity(0.05) == 95
    for encoder in PRESETS.values():
        assert is_curve(encoder.curve)
        assert is_curve(encoder.text_curve)


def test_compute_text__methods_without_a_text_encoder() -> None:
    method: Method
    for method in (Embedding(), Color()):
        assert not method.takes_text
        with pytest.raises(TypeError, match=method.name):
            method.compute_text("red")
    assert Color().text_similarity(0.2) == Color().similarity(0.2)


@pytest.mark.parametrize(
    ("sizes", "options", "reason"),
    [
        (
            {"dimensions": 4},
            {},
            r"gives as 'text_embeds' float32 \(any, 4\), not one vector of 3 numbers",
        ),
        ({"length": 77}, {}, r"takes as 'input_ids' int64 \(any, 77\), not int64 \(1, 8\): set context"),
        ({}, {"text_output": "pooled"}, r"has no output 'pooled': name one of text_embeds"),
    ],
)
def test_find_problems__in_checks_and_on_use(
    sizes: dict[str, Any], options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    given = encoders.pair(tmp_path) | options
    encoders.text_encoder(tmp_path / "text.onnx", **sizes)
    method = Embedding(**given)
    (problem,) = method.check()
    assert problem.startswith(f"{tmp_path}/text.onnx ")
    assert re.search(reason, problem)
    with pytest.raises(RuntimeError, match=reason):
        method.compute_text("red")


def test_find_problems__image_encoder_as_text_encoder(options: dict[str, Any]) -> None:
    (problem,) = Embedding(**options | {"text_file": options["file"]}).check()
    assert "takes as 'picture' float32" in problem


def test_check__wrong_tokenizer(options: dict[str, Any]) -> None:
    Path(options["tokenizer"]).write_text('{"version": "1.0"}')
    method = Embedding(**options)
    (problem,) = method.check()
    assert "tokenizer.json is no tokenizer.json: " in problem
    with pytest.raises(RuntimeError, match=r"is no tokenizer\.json"):
        method.compute_text("red")


def test_init__missing_tokenizer(options: dict[str, Any]) -> None:
    Path(options["tokenizer"]).unlink()
    with pytest.raises(ValueError, match=r"tokenizer: there is no file .*tokenizer\.json"):
        Embedding(**options)


def test_check__missing_package(options: dict[str, Any]) -> None:
    code = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from similar_images.signatures.embedding import Embedding\n"
        f"method = Embedding(**{options!r}); print(*method.check()); method.compute_text('red')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    reason = 'the package tokenizers is not installed: pip install "similar_images[clip]"'
    assert run.stdout.strip() == f"{reason}."
    assert run.stderr.strip().endswith(reason)

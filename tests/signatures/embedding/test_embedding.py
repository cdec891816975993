from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from similar_images import plugins
from similar_images.signatures.embedding import Embedding
from tests import encoders
from tests.methods import PX
from tests.signatures.contract import MethodContract, draw
from tests.signatures.embedding.samples import MAP_OPTIONS


class TestEmbedding(MethodContract):
    @pytest.fixture
    def method(self, embedding: Embedding) -> Embedding:
        return embedding

    def test_has_unit_length(self, method: Embedding) -> None:
        assert np.linalg.norm(method.compute(draw(90, 60))) == pytest.approx(1, abs=1e-6)


class TestFeatureMap(MethodContract):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        return MAP_OPTIONS | {"file": str(encoders.image_encoder(folder / "nchw.onnx"))}

    @pytest.fixture
    def method(self, options: dict[str, Any]) -> Embedding:
        return Embedding(**options)


class TestTokens(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        file = str(encoders.image_encoder(folder / "tokens.onnx"))
        return {"file": file, "size": 32, "output": "tokens", "pooling": "mean", "dimensions": 48}


class TestChannelsLast(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        file = str(encoders.image_encoder(folder / "nhwc.onnx", layout="NHWC"))
        return MAP_OPTIONS | {"file": file, "layout": "NHWC", "pooling": "gem"}


class TestHalfPrecision(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        return MAP_OPTIONS | {"file": str(encoders.image_encoder(folder / "half.onnx", kind=TensorProto.FLOAT16))}


class TestBytes(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        file = str(encoders.byte_encoder(folder / "bytes.onnx", dimensions=48))
        return {"file": file, "size": 32, "layout": "NHWC", "dimensions": 48}


class TestWide(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        file = str(encoders.image_encoder(folder / "wide.onnx", dimensions=2048))
        return {"file": file, "size": 32, "output": "vector", "dimensions": 2048}


@pytest.mark.parametrize("size", [32, "side"])
def test_compute__layouts_and_channel_orders_give_the_same_vector(folder: Path, size: Any) -> None:
    first = Embedding(file=encoders.image_encoder(folder / "first.onnx", size=size), **MAP_OPTIONS)
    last = Embedding(
        file=encoders.image_encoder(folder / "last.onnx", size=size, layout="NHWC"), layout="NHWC", **MAP_OPTIONS
    )
    np.testing.assert_allclose(first.compute(draw(90, 60)), last.compute(draw(90, 60)), atol=1e-6)
    mirrored = Embedding(file=folder / "first.onnx", channels="BGR", mean=[0.1, 0.2, 0.3], **MAP_OPTIONS)
    same = Embedding(file=folder / "first.onnx", mean=[0.3, 0.2, 0.1], std=[0.225, 0.224, 0.229], **MAP_OPTIONS)
    np.testing.assert_allclose(mirrored.compute(draw(90, 60)[..., ::-1]), same.compute(draw(90, 60)), atol=0.02)


def test_compute__a_model_that_normalizes_itself_gives_the_same_vector(folder: Path) -> None:
    floats = Embedding(file=encoders.image_encoder(folder / "floats.onnx"), size=32, output="vector")
    own = Embedding(file=encoders.byte_encoder(folder / "own.onnx", dimensions=48), size=32, layout="NHWC")
    assert own.check() == []
    np.testing.assert_allclose(own.compute(draw(90, 60)), floats.compute(draw(90, 60)), atol=1e-6)


def test_dimensions__are_read_from_the_file(folder: Path) -> None:
    path = encoders.image_encoder(folder / "untold.onnx")
    for output, pooling in (("map", "gem"), ("tokens", "cls"), ("vector", "none")):
        method = Embedding(file=path, size=32, output=output, pooling=pooling)
        assert method.dimensions == 48
        assert method.check() == []


def test_dimensions__must_be_given_where_the_file_does_not_declare_them(tmp_path: Path) -> None:
    path = encoders.save(
        tmp_path / "free.onnx",
        [helper.make_node("Flatten", ["x"], ["y"])],
        {"x": (TensorProto.FLOAT, (1, 3, "height", "width"))},
        {"y": (TensorProto.FLOAT, (1, "length"))},
        {},
    )
    method = Embedding(file=path, size=4)
    (problem,) = method.check()
    assert problem.endswith("does not declare how long its output is: set dimensions.")
    with pytest.raises(RuntimeError, match="set dimensions"):
        method.compute(draw(8, 8))
    assert Embedding(file=path, size=4, dimensions=48).check() == []
    assert Embedding(file=path, size=4, dimensions=48).compute(draw(8, 8)).shape == (48,)
    with pytest.raises(RuntimeError, match="the model of embedding gave 48 numbers instead of 40"):
        Embedding(file=path, size=4, dimensions=40).compute(draw(8, 8))


def test_output__may_be_omitted_if_there_is_only_one(folder: Path) -> None:
    method = Embedding(file=encoders.color_encoder(folder / "one.onnx"), size=32)
    assert method.dimensions == 3
    assert method.compute(draw(40, 40)).shape == (3,)


def test_compute__is_equal_in_two_processes(folder: Path) -> None:
    path = encoders.image_encoder(folder / "bits.onnx", dimensions=512)
    options = MAP_OPTIONS | {"file": str(path), "dimensions": 512}
    code = (
        "import sys; from similar_images.signatures.embedding import Embedding\n"
        "from tests.signatures.contract import draw\n"
        f"sys.stdout.buffer.write(Embedding(**{options!r}).compute(draw(200, 300)).tobytes())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] == Embedding(**options).compute(draw(200, 300)).tobytes()


@pytest.mark.parametrize("factor", [0.0, float("inf"), float("nan")])
def test_compute__refuses_zeros_and_infinite_numbers(factor: float, tmp_path: Path) -> None:
    path = encoders.save(
        tmp_path / "odd.onnx",
        [helper.make_node("GlobalAveragePool", ["x"], ["y"]), helper.make_node("Mul", ["y", "factor"], ["z"])],
        {"x": (TensorProto.FLOAT, (1, 3, 8, 8))},
        {"z": (TensorProto.FLOAT, (1, 3, 1, 1))},
        {"factor": np.array([factor], np.float32)},
    )
    method = Embedding(file=path, size=8)
    assert method.check() == []
    with pytest.raises(RuntimeError, match="zeros only, or numbers that are not finite"):
        method.compute(np.full((9, 9, 3), 250, np.uint8))


def test_providers__are_checked(folder: Path) -> None:
    path = encoders.image_encoder(folder / "providers.onnx")
    chosen = Embedding(file=path, **MAP_OPTIONS, providers=["CPUExecutionProvider"])
    assert chosen.check() == []
    assert np.array_equal(chosen.compute(draw(40, 40)), Embedding(file=path, **MAP_OPTIONS).compute(draw(40, 40)))
    with_options = Embedding(file=path, **MAP_OPTIONS, providers=[["CPUExecutionProvider", {}]])
    assert with_options.check() == []
    (problem,) = Embedding(file=path, **MAP_OPTIONS, providers=["MagicExecutionProvider"]).check()
    assert "no 'MagicExecutionProvider'; it has: " in problem
    assert "CPUExecutionProvider" in problem


def test_version__changes_with_the_file(folder: Path) -> None:
    path = encoders.image_encoder(folder / "version.onnx")
    first = Embedding(file=path, **MAP_OPTIONS)
    before = first.version
    assert len(before) <= 64
    encoders.image_encoder(path, seed=1)
    changed = Embedding(file=path, **MAP_OPTIONS).version
    assert changed != before
    assert first.version == before  # what this process stores is still what it says
    with pytest.raises(RuntimeError, match="has changed since this process started: restart it"):
        first.compute(draw(40, 40))
    copy = folder / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    assert Embedding(file=copy, **MAP_OPTIONS).version == changed


@pytest.mark.parametrize(
    "option",
    [
        {"size": 40},
        {"mean": [0.5, 0.5, 0.5]},
        {"std": [0.5, 0.5, 0.5]},
        {"layout": "NHWC"},
        {"channels": "BGR"},
        {"crop": 1},
        {"squash": 1},
        {"output": "tokens"},
        {"pooling": "gem"},
        {"preset": "resnet50"},
    ],
    ids=str,
)
def test_version__changes_with_options_that_change_values(folder: Path, option: dict[str, Any]) -> None:
    path = encoders.image_encoder(folder / "options.onnx")
    before = Embedding(file=path, **MAP_OPTIONS).version
    changed = Embedding(file=path, **{**MAP_OPTIONS, **option}).version
    assert changed != before
    assert len(changed) <= 64


@pytest.mark.parametrize(
    "option",
    [
        {"threads": 2},
        {"curve": [[0, 100], [1, 0]]},
        {"finds_copies": True},
        {"dimensions": None},
        {"mean": (0.485, 0.456, 0.406)},
    ],
)
def test_version__does_not_change_with_other_options(folder: Path, option: dict[str, Any]) -> None:
    path = encoders.image_encoder(folder / "options.onnx")
    assert Embedding(file=path, **{**MAP_OPTIONS, **option}).version == Embedding(file=path, **MAP_OPTIONS).version


def test_version__of_the_default() -> None:
    own = "efficientnet-lite0-57934424-gem3-center-1"
    assert Embedding().version == Embedding(preset="efficientnet-lite0", threads=2).version == own
    assert Embedding(crop=1).version.startswith(f"{own}-")
    assert len(Embedding(crop=1).version) <= 64


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"preset": "resnet"}, r"there is no preset 'resnet'; there are: efficientnet-lite0, "),
        ({"preset": "clip-vit-b-32"}, "the preset 'clip-vit-b-32' needs a file"),
        ({"file": "/no/where.onnx"}, "file: there is no file /no/where.onnx"),
        ({"file": ""}, "file: there is no file"),
        ({"file": "~/no-such-model.onnx"}, f"file: there is no file {Path.home()}/no-such-model.onnx"),
        ({"text_file": "x"}, "text_file and tokenizer belong together"),
        ({"tokenizer": "x"}, "text_file and tokenizer belong together"),
        ({"text_file": "/no/text.onnx", "tokenizer": "/no/t.json"}, "text_file: there is no file /no/text.onnx"),
        ({"threads": 0}, "threads must be"),
        ({"threads": "2"}, "threads must be"),
        ({"providers": []}, "providers must be"),
        ({"providers": "CPUExecutionProvider"}, "providers must be"),
        ({"providers": [[]]}, "providers must be"),
        ({"size": 0}, "size must be a whole number from 1 to 4096"),
        ({"size": 22.5}, "size must be"),
        ({"size": True}, "size must be"),
        ({"mean": [123, 117, 104]}, "mean must be three numbers from 0 to 1"),
        ({"mean": 0.5}, "mean must be"),
        ({"std": [0, 1, 1]}, "std must be three numbers above 0"),
        ({"std": [1, 1]}, "std must be"),
        ({"std": [1, 1, float("nan")]}, "std must be"),
        ({"layout": "CHW"}, 'layout must be "NCHW" or "NHWC"'),
        ({"channels": "rgb"}, "channels must be"),
        ({"crop": 0}, "crop must be"),
        ({"squash": 2}, "squash must be"),
        ({"output": ""}, "output must be a name"),
        ({"output": 3}, "output must be a name"),
        ({"pooling": "max"}, "pooling must be"),
        ({"dimensions": 4001}, "dimensions must be a whole number from 1 to 4000"),
        ({"dimensions": 0}, "dimensions must be"),
        ({"context": 0}, "context must be"),
        ({"padding": -1}, "padding must be"),
        ({"finds_copies": 1}, "finds_copies must be True or False"),
        ({"curve": [[0, 100]]}, "^curve must be"),
        ({"curve": [[0, 90], [1, 0]]}, "curve must be"),
        ({"curve": [[0, 100], [1, 10]]}, "curve must be"),
        ({"curve": [[0, 100], [0.5, 20], [0.5, 10], [1, 0]]}, "curve must be"),
        ({"curve": [[0, 100], [0.5, 20], [0.6, 30], [1, 0]]}, "curve must be"),
        ({"curve": [[0, 100], [1, "0"]]}, "curve must be"),
        ({"curve": "steep"}, "curve must be"),
        ({"text_curve": []}, "^text_curve must be"),
        ({"size": 0, "crop": 2}, "size must be.*; crop must be"),
        ({"shade": 3}, "unexpected keyword argument 'shade'"),
    ],
    ids=str,
)
def test_init__refuses_wrong_options(options: dict[str, Any], reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        Embedding(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"output": "nope"}, "the built-in model has no output 'nope': name one of embedding, average, logits"),
        ({"output": "logits"}, "the built-in model gives 1000 numbers as 'logits', not 1280"),
        ({"layout": "NHWC"}, "the built-in model takes as 'image' float32"),
    ],
)
def test_check__options_that_do_not_fit_the_built_in_model(options: dict[str, Any], reason: str) -> None:
    method = Embedding(**options)
    (problem,) = method.check()
    assert problem.startswith(reason)
    with pytest.raises(RuntimeError, match=reason):
        method.compute(draw(40, 40))
    assert Embedding(output="logits", dimensions=1000, size=192).compute(draw(40, 40)).shape == (1000,)


def test_file__may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoders.image_encoder(tmp_path / "near.onnx")
    monkeypatch.chdir(tmp_path)
    method = Embedding(file="near.onnx", **MAP_OPTIONS)
    monkeypatch.chdir("/")
    assert method.check() == []


def test_load_method__class_allows_any_name(folder: Path) -> None:
    options = {"class": "embedding", **MAP_OPTIONS, "file": encoders.image_encoder(folder / "named.onnx")}
    method = plugins.load_method("my-encoder_2", options)
    assert method.name == "my-encoder_2"
    assert isinstance(method, Embedding)
    assert Embedding.name == "embedding"
    assert "class" in options
    own = plugins.load_method("average", {"class": "tests.methods.Mean"})
    assert (own.name, own.version) == ("average", f"1{PX}")

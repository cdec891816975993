"""Two images compared by measures, and the duplicates of a folder or a source in a report."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import unicodedata
from contextlib import closing
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from PIL import Image, ImageOps

from similar_images.duplicates import report, verification
from similar_images.duplicates.folder import SCAN_CACHE_NAME
from similar_images.duplicates.scan_cache import ScanCache
from similar_images.measures import verdict
from similar_images.measures.base import ComparisonImage, reduce_to
from similar_images.measures.verdict import Verdict
from similar_images.signatures.hashes import PHash
from tests import commands, drawing
from tests.testapp.models import Picture

QUICK = ("--method", "phash")

run = partial(commands.run, "compare_images")


class MeanColorJudge:
    """Gives a verdict by the mean colors of two images, and counts the pairs."""

    def __init__(self) -> None:
        self.pairs = 0
        self.fails_after = 10**6

    def __call__(self, a: ComparisonImage, b: ComparisonImage, similarity: Any) -> Verdict:
        self.pairs += 1
        if self.pairs > self.fails_after:
            raise KeyboardInterrupt
        return self.judge_pair(a, b)

    @staticmethod
    def judge_pair(a: ComparisonImage, b: ComparisonImage, *args: Any, is_same_file: bool = False) -> Verdict:
        means = [reduce_to(image.pixels, 32).mean((0, 1)) for image in (a, b)]
        return Verdict("same-picture" if np.abs(means[0] - means[1]).max() < 4 else "alike")


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> MeanColorJudge:
    judge = MeanColorJudge()
    monkeypatch.setattr(verification, "judge_pair", judge)
    monkeypatch.setattr(verdict, "judge_pair", judge.judge_pair)
    monkeypatch.setattr(report, "DRAWN_MEASURES", {})
    return judge


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of eight images, and copies: 0 as JPEG, 1 mirrored, 2 turned, and 3 as the same file."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for seed in range(8):
        drawing.scene(seed).save(folder / f"{seed}.png")
    drawing.scene(0).save(folder / "below" / "0.jpg", quality=60)
    ImageOps.mirror(drawing.scene(1)).save(folder / "1-mirrored.png")
    drawing.scene(2).rotate(90, expand=True).save(folder / "2-turned.png")
    shutil.copy(folder / "3.png", folder / "below" / "3-again.png")
    return folder


COPIES = {
    ("0.png", "below/0.jpg", "same-picture"),
    ("1-mirrored.png", "1.png", "same-picture"),
    ("2-turned.png", "2.png", "same-picture"),
    ("3.png", "below/3-again.png", "same-file"),
}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "comparison"


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "pairs.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def reported_pairs(output: Path) -> set[tuple[str, str, str]]:
    return {(row["a"], row["b"], row["kind"]) for row in rows(output)}


def visible_text(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", html))


# Two images


def test_two_images__are_compared_by_the_given_measures(tmp_path: Path) -> None:
    for seed in (1, 2):
        drawing.scene(seed).save(tmp_path / f"{seed}.png")
    out, err = run(tmp_path / "1.png", tmp_path / "2.png", "--measures", "phash,tiny")
    title, _text, head, *table = out.splitlines()
    assert (title, err) == ("Similar", "")
    assert head.split() == ["measure", "value", "percent", "ms"]
    assert [line.split()[0] for line in table] == ["phash", "tiny"]
    _name, value, percent, _ms = table[0].split()
    assert float(value) > 0
    assert 0 <= float(percent) < 100


def test_two_images__as_json(tmp_path: Path, configure: Any) -> None:
    configure(COMPARE_MEASURES=["dhash"])
    drawing.scene(1).save(tmp_path / "1.png")
    drawing.scene(1).save(tmp_path / "2.bmp")
    result = json.loads(run(tmp_path / "1.png", tmp_path / "2.bmp", "--json")[0])
    assert result["verdict"]["kind"] == "same-picture"
    assert list(result["measures"]) == ["dhash"]
    assert (result["measures"]["dhash"]["value"], result["measures"]["dhash"]["similarity"]) == (0.0, 100.0)
    assert result["measures"]["dhash"]["problem"] == ""


def test_two_images__by_all_measures(tmp_path: Path) -> None:
    drawing.scene(1).save(tmp_path / "1.png")
    result = json.loads(run(tmp_path / "1.png", tmp_path / "1.png", "--measures", "all", "--json")[0])
    assert {"phash", "color", "embedding", "kaze"} <= result["measures"].keys()


def test_two_images__with_the_drawings_that_explain(tmp_path: Path) -> None:
    for seed in (1, 2):
        drawing.scene(seed).save(tmp_path / f"{seed}.png")
    drawings = tmp_path / "new" / "shown"
    run(tmp_path / "1.png", tmp_path / "2.png", "--measures", "alignment,phash", "--pictures", drawings)
    assert [path.name for path in drawings.iterdir()] == ["alignment-alignment.png"]
    with Image.open(drawings / "alignment-alignment.png") as file:
        assert file.format == "PNG"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((), "Name two images"),
        (("a.png", "b.png", "c.png"), "Name two images"),
        (("a.png", "--source", "testapp.Picture.image"), "Name two images"),
        (("a.png", "missing.png", "--measures", "phash"), "missing.png"),
        (("a.png", "text.png", "--measures", "phash"), "supported format"),
        (("a.png", "a.png", "--measures", "nonsense"), "no measure"),
        (("a.png",), "not a folder"),
        ((".", "--kinds", "same-file,twins"), "twins"),
        ((".", "--threshold", "0"), "--threshold"),
        ((".", "--threshold", "nan"), "--threshold"),
        ((".", "--nearest", "0"), "--nearest"),
        ((".", "--jobs", "0"), "--jobs"),
        ((".", "--measures", "phash"), "two images"),
        ((".", "--method", "nonsense"), "nonsense"),
        ((".", "--output", "."), "other files"),
        ((".", "--output", "a.png"), "not a folder"),
        (("--source", "testapp.Unregistered.image"), "not a source"),
        (("--source", "testapp.Picture.image", "--method", "nonsense"), "nonsense"),
        (("empty",), "no images"),
    ],
)
def test_wrong_arguments__are_refused(
    args: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    monkeypatch.chdir(tmp_path)
    drawing.scene(1).save("a.png")
    Path("text.png").write_text("no picture")
    Path("empty").mkdir()
    with pytest.raises(CommandError, match=reason):
        run(*args)


# A folder


def test_folder__copies_are_found_and_reported(folder: Path, output: Path) -> None:
    out, err = run(folder, "--output", output, *QUICK)
    assert err == ""
    assert reported_pairs(output) == COPIES
    assert "12 images" in out
    assert "3 same-picture" in out
    assert "1 same-file" in out
    assert str(output / "index.html") in out
    (copy,) = [row for row in rows(output) if row["a"] == "0.png"]
    assert float(copy["similarity"]) == float(copy["phash"]) > 90
    assert [copy[name] for name in ("a_width", "a_height", "b_width", "b_height")] == ["160", "120", "160", "120"]


def test_folder__as_json(folder: Path, output: Path) -> None:
    result = json.loads(run(folder, "--output", output, "--json", *QUICK)[0])
    assert result.pop("seconds") >= 0
    assert result.pop("candidates") >= 3
    assert result == {
        "pictures": 12,
        "found": {"same-file": 1, "same-picture": 3},
        "groups": 4,
        "plain": [],
        "left_out": 0,
        "report": str(output / "index.html"),
    }


def test_kinds__selects_the_reported_verdicts(folder: Path, output: Path) -> None:
    run(folder, "--output", output, "--kinds", "same-file", *QUICK)
    assert {row["kind"] for row in rows(output)} == {"same-file"}
    run(folder, "--output", output, "--kinds", "same-picture,alike", "--threshold", "5", "--method", "tiny")
    assert {row["kind"] for row in rows(output)} == {"same-picture", "alike"}


def test_report__needs_no_other_file_and_escapes_names(tmp_path: Path, output: Path) -> None:
    folder = tmp_path / "<i>photos"
    folder.mkdir()
    evil = '<script>alert(1)<\\script>&".png'
    drawing.scene(1).save(folder / evil)
    drawing.scene(1).save(folder / "=HYPERLINK(1).bmp")
    run(folder, "--output", output, *QUICK)
    html = (output / "index.html").read_text()
    assert "<script" not in html
    assert "<i>" not in html
    assert evil in visible_text(html)
    assert html.count('src="data:image/jpeg;base64,') == 2
    assert not re.search(r'(src|href)="(?!data:|pictures/)', html)
    (row,) = rows(output)
    assert {row["a"], row["b"]} == {evil, "'=HYPERLINK(1).bmp"}


FORMULAS = [
    *("=1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\u3000=1", "\xa0+1", "\ufeff=1", "\u200b=1"),
    *("＝1", "＋1", "－1", "＠1", " ＝1", "\u200d=1", "\x1c=1", "﹦1"),
]


@pytest.mark.parametrize("name", FORMULAS)
def test_table__no_name_is_a_formula_to_a_spreadsheet(name: str, tmp_path: Path, output: Path) -> None:
    """Also where it trims or normalizes a cell."""
    folder = tmp_path / "photos"
    folder.mkdir()
    drawing.scene(1).save(folder / f"{name}.png")
    drawing.scene(1).save(folder / "~a;=1.png")
    run(folder, "--output", output, *QUICK)
    (row,) = rows(output)
    assert row["b"] == "~a;=1.png" or row["a"] == "~a;=1.png"
    for cell in row.values():
        assert unicodedata.normalize("NFKC", cell).strip(" \t\r\n\ufeff\u200b\u200d")[:1] not in {*"=+-@"}
        assert cell.isprintable() or "\u3000" in cell or "\xa0" in cell or "\u200d" in cell
    assert all(line.startswith('"') for line in (output / "pairs.csv").read_text("utf-8-sig").splitlines())


def test_names__control_neither_terminal_nor_report(tmp_path: Path, output: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    bad = "\x1b]0;owned\x07\x9b2J\u202e\nFound: 99"
    drawing.scene(1).save(folder / f"{bad}.png")
    drawing.scene(1).save(folder / "a.png")
    (folder / f"{bad}.jpg").write_bytes(b"nothing")
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError):
        call_command("compare_images", folder, "--output", output, *QUICK, stdout=out, stderr=err)
    html = (output / "index.html").read_text()
    for text in (out.getvalue(), err.getvalue(), html, (output / "pairs.csv").read_text("utf-8-sig")):
        assert not any(char in text for char in "\x1b\x07\x9b\u202e")
        assert "\nFound: 99" not in text
    shown = r"\u001b]0;owned\u0007\u009b2J\u202e\nFound: 99"
    assert f"{shown}.jpg: " in err.getvalue()
    assert f"{shown}.png" in html
    assert f"{shown}.png" in {rows(output)[0]["a"], rows(output)[0]["b"]}


def test_report__without_duplicates(tmp_path: Path, output: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    drawing.scene(1).save(folder / "1.png")
    out, _err = run(folder, "--output", output, *QUICK)
    assert "Found: none" in out
    assert "No duplicates found" in (output / "index.html").read_text()
    assert rows(output) == []


def test_report__of_many_pairs_has_pages(
    folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch, judge: MeanColorJudge
) -> None:
    (output / "pictures").mkdir(parents=True)
    (output / SCAN_CACHE_NAME).touch()
    (output / "page-9.html").write_text("of a former run")
    monkeypatch.setattr(report, "PAIRS_PER_PAGE", 2)
    for number in range(5):
        drawing.scene(0).save(folder / f"0-{number}.jpg", quality=50 + 5 * number)
    run(folder, "--output", output, "--nearest", "20", *QUICK)
    pages = sorted(output.glob("*.html"))
    count = len(rows(output))
    assert count > 15  # all pairs of the six copies of one picture, and the three others
    assert [page.name for page in pages] == ["index.html", *sorted(f"page-{n}.html" for n in range(2, len(pages) + 1))]
    htmls = [page.read_text() for page in pages]
    assert sum(html.count('class="pair"') for html in htmls) == count
    assert max(html.count('class="pair"') for html in htmls) == 2
    assert "(continued)" in visible_text((output / "page-2.html").read_text())
    assert all(f'href="{page.name}"' in html for page in pages for html in htmls)
    names = re.findall('<nav aria-label="(.+?)">', htmls[0])
    assert len(set(names)) == len(names) == 2


def test_report__shows_drawings_that_explain_verdicts(
    folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "DRAWN_MEASURES", {"same-picture": "alignment"})
    run(folder, "--output", output, *QUICK)
    files = list((output / "pictures").iterdir())
    assert len(files) == 3  # of the same file nothing needs to be shown
    html = (output / "index.html").read_text()
    assert all(f'href="pictures/{file.name}"' in html for file in files)
    assert html.count('src="data:image/jpeg;base64,') == 8 + 3


def test_broken_image__is_reported_and_left_out(folder: Path, output: Path) -> None:
    (folder / "broken.png").write_bytes(b"nonsense")
    (folder / "empty.jpg").touch()
    err = io.StringIO()
    with pytest.raises(CommandError, match="could not be compared: 2") as caught:
        run(folder, "--output", output, *QUICK, stderr=err)
    assert caught.value.returncode == 1
    assert reported_pairs(output) == COPIES
    for text in (err.getvalue(), visible_text((output / "index.html").read_text())):
        assert "broken.png: " in text
        assert "empty.jpg: " in text


def test_failing_pair__is_reported_and_left_out(
    folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch, judge: MeanColorJudge
) -> None:
    def fail(a: ComparisonImage, b: ComparisonImage, similarity: Any) -> Verdict:
        if (a.width, a.height) != (b.width, b.height):
            raise RuntimeError("this judge dislikes turns")
        return judge(a, b, similarity)

    monkeypatch.setattr(verification, "judge_pair", fail)
    with pytest.raises(CommandError, match="could not be compared"):
        run(folder, "--output", output, *QUICK)
    assert reported_pairs(output) == {row for row in COPIES if row[0] != "2-turned.png"}


def test_second_run__repeats_no_work(
    folder: Path, output: Path, judge: MeanColorJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = []
    compute = PHash.compute
    monkeypatch.setattr(PHash, "compute", lambda *args: described.append(1) or compute(*args))
    run(folder, "--output", output, *QUICK)
    before, pairs = rows(output), judge.pairs
    assert len(described) in (8 * 11, 8 * 12)  # the same file twice at once may be described twice
    assert pairs >= 3
    described.clear()
    run(folder, "--output", output, *QUICK)
    assert (rows(output), judge.pairs, described) == (before, pairs, [])


def test_changed_and_new_files__are_described_again(folder: Path, output: Path, judge: MeanColorJudge) -> None:
    run(folder, "--output", output, *QUICK)
    (folder / "1-mirrored.png").rename(folder / "renamed.png")
    drawing.scene(7).save(folder / "2-turned.png")
    drawing.scene(5).save(folder / "new.jpg", quality=60)
    run(folder, "--output", output, *QUICK)
    assert reported_pairs(output) == {
        ("0.png", "below/0.jpg", "same-picture"),
        ("1.png", "renamed.png", "same-picture"),
        ("2-turned.png", "7.png", "same-file"),
        ("3.png", "below/3-again.png", "same-file"),
        ("5.png", "new.jpg", "same-picture"),
    }


def test_again__discards_former_results(folder: Path, output: Path, judge: MeanColorJudge) -> None:
    run(folder, "--output", output, *QUICK)
    pairs = judge.pairs
    run(folder, "--output", output, "--again", *QUICK)
    assert judge.pairs == 2 * pairs


def test_stopped_run__is_continued(folder: Path, output: Path, judge: MeanColorJudge) -> None:
    judge.fails_after = 2
    kinds = ("--kinds", "same-file,same-picture,alike")  # for which every candidate is compared
    args = (folder, "--output", output, "--jobs", "1", "--threshold", "5", *QUICK, "--method", "tiny", *kinds)
    with pytest.raises(CommandError, match="run the same command again") as caught:
        run(*args)
    assert caught.value.returncode == 130
    assert not (output / "index.html").exists()
    judge.fails_after = 10**6
    judge.pairs = 0
    result = json.loads(run(*args, "--json")[0])
    assert judge.pairs == result["candidates"] - 2
    assert reported_pairs(output) >= COPIES


def test_cache_of_another_run__is_left_alone(folder: Path, output: Path) -> None:
    output.mkdir()
    cache = ScanCache(output / SCAN_CACHE_NAME)
    try:
        with pytest.raises(CommandError, match="another run"):
            run(folder, "--output", output, *QUICK)
    finally:
        cache.close()
    run(folder, "--output", output, *QUICK)
    assert reported_pairs(output) == COPIES


def test_damaged_cache__is_reported(folder: Path, output: Path) -> None:
    output.mkdir()
    (output / SCAN_CACHE_NAME).write_bytes(b"something else" * 1000)
    with pytest.raises(CommandError, match="--again"):
        run(folder, "--output", output, *QUICK)
    run(folder, "--output", output, "--again", *QUICK)
    assert reported_pairs(output) == COPIES


@pytest.mark.parametrize(
    ("statement", "is_computed_again"),
    [
        ('UPDATE pair SET verdict = \'{"kind": "stolen", "text": "", "is_series": 0, "a": 1}\'', True),
        ("UPDATE file SET sha256 = '../../../../../../tmp/name'", True),
        ("UPDATE pair SET verdict = '['", False),
        ("UPDATE signature SET value = CAST('x' AS BLOB)", False),
        ("UPDATE image SET width = 'wide'", False),
    ],
)
def test_cache_that_another_program_wrote__is_computed_again_or_reported(
    statement: str, is_computed_again: bool, folder: Path, output: Path
) -> None:
    run(folder, "--output", output, *QUICK)
    with closing(sqlite3.connect(output / SCAN_CACHE_NAME)) as connection, connection:
        assert connection.execute(statement).rowcount
    if not is_computed_again:
        with pytest.raises(CommandError, match="--again"):
            run(folder, "--output", output, *QUICK)
    else:
        run(folder, "--output", output, *QUICK)
        assert reported_pairs(output) == COPIES


def test_output_in_the_folder__is_not_scanned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DRAWN_MEASURES", {"same-picture": "alignment"})
    for _ in range(2):
        out, _err = run(folder, "--output", folder / "report", *QUICK)
        assert "12 images" in out
    assert list((folder / "report" / "pictures").iterdir())


def test_blank_images__cause_no_error(tmp_path: Path, output: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, color in enumerate(["white", "black", "red"]):
        Image.new("RGB", (40, 30), color).save(folder / f"{number}.png")
    Image.new("L", (1, 1)).save(folder / "dot.png")
    assert "4 images" in run(folder, "--output", output, "--method", "kaze", "--method", "phash")[0]


# A source


def test_source__is_compared_by_stored_signatures(
    output: Path, make_picture: Any, index_now: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(METHODS={"phash": {}, "color": {}})
    original, hidden = make_picture(1), make_picture(1, published=False)
    data = ContentFile(drawing.encoded(drawing.scene(1), "JPEG", quality=60), "copy.jpg")
    copy, _other = make_picture(image=data), make_picture(2)
    index_now()
    missing = make_picture(3)
    monkeypatch.setattr(PHash, "compute", None)
    out, err = run("--source", "testapp.Picture.image", "--output", output)
    assert "4 images" in out
    assert "testapp.Picture.image: left out as they are not indexed yet: 1." in err
    names = {item.pk: f"{item.pk}: {item.image.name}" for item in Picture.objects.all()}
    assert reported_pairs(output) == {
        (names[original.pk], names[hidden.pk], "same-file"),
        (names[original.pk], names[copy.pk], "same-picture"),
    }
    assert names[missing.pk] not in (output / "index.html").read_text()


def test_source__reports_images_without_signatures_by_the_method(
    output: Path, make_picture: Any, index_now: Any, configure: Any
) -> None:
    configure(METHODS={"phash": {}})
    make_picture(1)
    index_now()
    configure(METHODS={"phash": {}, "color": {}})
    run_on_source = partial(run, "--source", "testapp.Picture.image", "--output", output)
    assert run_on_source()[1] == ""
    assert "not indexed yet: 1." in run_on_source("--method", "color")[1]


def test_source__with_a_missing_file(output: Path, make_picture: Any, index_now: Any, configure: Any) -> None:
    configure(METHODS={"phash": {}})
    make_picture(1)
    data = ContentFile(drawing.encoded(drawing.scene(1), "JPEG", quality=60), "copy.jpg")
    gone = make_picture(image=data)
    index_now()
    gone.image.storage.delete(gone.image.name)
    with pytest.raises(CommandError, match="could not be compared: 1"):
        run("--source", "testapp.Picture.image", "--output", output)
    assert rows(output) == []

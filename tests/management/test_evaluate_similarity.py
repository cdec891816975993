from __future__ import annotations

import builtins
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import translation
from PIL import Image

from benchmarks.management.commands import evaluate_similarity
from similar_images import marks
from similar_images.evaluation import reliability, report
from similar_images.models import Signature
from similar_images.signatures import BUILT_IN_METHODS
from tests import commands, drawing
from tests.browsers import find_barriers, needs_chromium, run_chromium
from tests.datasets import DATASETS, needs
from tests.drawing import textured
from tests.testapp.models import Picture, Shelf

OWN = [flag for kind in ("Mean", "Bits", "Sparse") for flag in ("--method", f"tests.methods.{kind}")]
QUICK = ("--method", "tests.methods.Mean", "--method", "tiny")


run = partial(commands.run, "evaluate_similarity")


def fill(folder: Path, seeds: range = range(6)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        drawing.scene(seed, size=(64, 48)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six images without labels."""
    return fill(tmp_path / "photos")


@pytest.fixture
def labeled(tmp_path: Path) -> Path:
    """Six images in two sizes: the sizes of one are a group; red and blue ones are the classes."""
    folder = tmp_path / "labeled"
    folder.mkdir()
    rows = ["path,group,class"]
    for seed in range(6):
        kind = ("red", "blue")[seed % 2]
        scene = Image.blend(drawing.scene(seed, size=(64, 48)), Image.new("RGB", (64, 48), kind), 0.7)
        scene.save(folder / f"{seed}.png")
        scene.resize((32, 24)).save(folder / f"{seed}-small.jpg")
        rows += [f"{seed}.png,g{seed},{kind}", f"{seed}-small.jpg,g{seed},{kind}"]
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_labeled_images__are_evaluated_in_tables(labeled: Path) -> None:
    out, err = run(labeled, *QUICK, "--ranking", "mean:1,tiny:3")
    assert err == ""
    head, rule, *rows = [line for line in out.split("All metrics")[0].splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in head.split("|")[2:-1]] == ["labeled, group", "labeled, class", "mean"]
    assert set(rule) <= set("|-: ")
    shares = {row.split("|")[1].strip(): [float(cell) for cell in row.split("|")[2:-1]] for row in rows}
    assert shares.keys() == {"mean", "tiny", "mean:1,tiny:3", "random"}
    assert shares["tiny"][0] == 1
    assert shares["random"][0] == pytest.approx(sum(1 / rank for rank in range(1, 12)) / 11, abs=0.001)
    assert all(shares[name][2] > shares["random"][2] for name in shares.keys() - {"random"})
    assert "Cost per image" in out
    assert "modified images" not in out


def test_unlabeled_images__are_modified(photos: Path, tmp_path: Path) -> None:
    document = json.loads(run(photos, *QUICK, "--json", "-")[0])
    (result,) = document["sets"]
    assert (result["name"], result["pictures"], result["retrieval"], result["unreadable"]) == ("photos", 6, {}, {})
    tiny = result["robustness"]["tiny"]
    assert tiny["queries"] == 6
    assert len(tiny["transforms"]) == 15
    assert all(len(strengths) == 3 for strengths in tiny["transforms"].values())
    resized = tiny["transforms"]["resize"][0]
    assert resized == {"strength": "75%", "copy-AP": 1, "copy-recall@1": 1}
    assert document["costs"]["tiny"]["bytes"] == 104
    assert document["costs"]["tiny"]["milliseconds"] > 0
    assert document["means"]["tiny"]["copy-AP"] == tiny["copy-AP"]
    assert {"date", "machine", "command"} < document.keys()
    assert "recall@1 of 6 modified images among 6" in run(photos, *QUICK)[0]
    assert "recall@1 of 2 modified images among 4" in run(photos, *QUICK, "--limit", 4, "--transforms", 2)[0]
    assert "modified" not in run(photos, *QUICK, "--transforms", 0)[0]


def test_labels_and_transforms__together(labeled: Path) -> None:
    (result,) = json.loads(run(labeled, *QUICK, "--by", "class", "--transforms", 2, "--json", "-")[0])["sets"]
    assert result["retrieval"].keys() == {"class"}
    assert result["retrieval"]["class"]["tiny"]["queries"] == 12
    assert result["robustness"]["tiny"]["queries"] == 2


def test_options__write_files(labeled: Path, photos: Path, tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("figures.json", "figures.md", "figures.png", "misses.jpg")]
    flags = ("--json", "--markdown", "--plot", "--misses")
    out, _err = run(labeled, photos, *QUICK, *(part for pair in zip(flags, names, strict=True) for part in pair))
    data, page, plot, sheet = names
    assert [result["name"] for result in json.loads(data.read_text())["sets"]] == ["labeled", "photos"]
    assert out in page.read_text()
    assert "```sh\n" in page.read_text()
    for path in (plot, sheet):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 200
            assert len(image.convert("RGB").resize((200, 200)).getcolors(40_000) or []) > 20


def test_defaults__are_all_built_in_methods_and_the_configured_ranking(photos: Path) -> None:
    document = json.loads(run(photos, "--limit", 2, "--transforms", 1, "--json", "-")[0])
    assert document["costs"].keys() == set(BUILT_IN_METHODS)
    assert document["means"].keys() - BUILT_IN_METHODS == {"embedding:0.93,color:0.07"}


def test_floor__fails_if_a_mean_is_below(labeled: Path, tmp_path: Path) -> None:
    blend = ("--ranking", "tiny:1,mean:1")
    run(labeled, *QUICK, *blend, "--floor", "tiny:mAP:0.5", "--floor", "tiny:1,mean:1:recall@10:0.5")
    page = tmp_path / "page.md"
    with pytest.raises(CommandError) as error:
        run(labeled, *QUICK, "--floor", "tiny:mAP:0.5", "--floor", "mean:precision@10:0.9", "--markdown", page)
    assert error.value.returncode == 1
    assert "mean precision@10 is 0." in str(error.value)
    assert "below the floor of 0.9" in str(error.value)
    assert "tiny" not in str(error.value)
    assert page.exists()
    with pytest.raises(CommandError, match="tiny copy-AP was not measured"):
        run(labeled, *QUICK, "--floor", "tiny:copy-AP:0.5")


@pytest.mark.parametrize(
    ("floor", "message"),
    [
        ("tiny", "is not of the form"),
        ("tiny:mAP:x", "is not of the form"),
        ("tiny:mAP:0.5.5", "is not of the form"),
        ("color:mAP:0.5", "unknown ranking color. Choices: .*tiny"),
        ("tiny:speed:0.5", "unknown metric speed. Choices: mAP, precision@1"),
    ],
)
def test_floor__rejects_invalid_values(photos: Path, floor: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(photos, *QUICK, "--floor", floor)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,kind\n0.png,a", "needs the columns path and group or class; it has path, kind"),
        ("group,class\na,b", "needs the columns path"),
        ("", "needs the columns path .* it has none"),
        ("path,group\n", "lists no images"),
        ("path,group\n0.png,a\n9.png,a\n8.png,a", "lists '9.png' and 1 more, which does not exist"),
        ("path,group\n../secret.png,a", "lists '../secret.png' outside its folder"),
        ("path,group\n/etc/hostname,a", "lists '/etc/hostname' outside"),
        ("path,group\n0.png,a\n0.png,b", "lists '0.png' more than once"),
        ("path,group\n,a", "which does not exist"),
        (b"path,group\n\xff.png,a", "not a CSV file in UTF-8"),
    ],
)
def test_labels_file__with_errors(photos: Path, table: str | bytes, message: str) -> None:
    (photos.parent / "secret.png").touch()
    (photos / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(CommandError, match=message):
        run(photos, *QUICK)


def test_labels_file__with_short_rows_and_a_byte_order_mark(photos: Path) -> None:
    (photos / "labels.csv").write_text("\ufeffpath,group,class\n0.png,a\n1.png, a ,x\n2.png,b,x\n")
    (result,) = json.loads(run(photos, *QUICK, "--json", "-")[0])["sets"]
    assert {label: by["tiny"]["queries"] for label, by in result["retrieval"].items()} == {"group": 2, "class": 2}


def test_labels__that_all_or_none_share_are_ignored(photos: Path) -> None:
    rows = [f"{seed}.png,{seed},thing" for seed in range(6)]
    (photos / "labels.csv").write_text("\n".join(["path,group,class", *rows]))
    out, err = run(photos, *QUICK, "--json", "-")
    (result,) = json.loads(out)["sets"]
    assert result["retrieval"] == {}
    assert result["robustness"]["tiny"]["queries"] == 6
    assert "photos: nothing can be measured by the label group, as no two images have the same." in err
    assert "photos: nothing can be measured by the label class, as all images have the same one." in err


def test_folder__missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere is not a folder\."):
        run(tmp_path / "nowhere")
    with pytest.raises(CommandError, match=r"contains neither labels\.csv nor images"):
        run(tmp_path)


def test_unreadable_images__are_reported_and_skipped(photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("not looked at")
    out, err = run(photos, *QUICK)
    assert f"{photos / 'broken.jpg'}: This is not an image" in err
    assert f"Unreadable images skipped in {photos}: 1." in err
    assert "of 6 modified images among 6" in out
    for path in photos.glob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(CommandError, match="no images to evaluate on"):
        run(photos, *QUICK)


def test_folders__of_the_same_name_are_distinguished(photos: Path, tmp_path: Path) -> None:
    other = fill(tmp_path / "other" / "photos", range(6, 9))
    out, _err = run(photos, other, *QUICK)
    assert f"{photos}: recall@1" in out
    assert f"{other}: recall@1" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "Give either folders to evaluate on or a --source"),
        (("{photos}", "--source", "testapp.Picture.image"), "Give either folders to evaluate on or a --source"),
        (("{photos}", "--label", "title"), "--label requires --source"),
        (("{photos}", "--method", "nonsense"), "neither a built-in method"),
        (("{photos}", *QUICK, "--ranking", "tiny"), "neither of the form"),
        (("{photos}", *QUICK, "--ranking", "tiny:0"), "neither of the form"),
        (("{photos}", *QUICK, "--ranking", "tiny:-1,mean:2"), "neither of the form"),
        (("{photos}", *QUICK, "--ranking", "tiny:1,tiny:2"), "neither of the form"),
        (("{photos}", *QUICK, "--ranking", "tiny:1,color:2"), "uses methods that are not evaluated: color"),
        (("{photos}", *QUICK, "--json", "{photos}/no/such"), "--json: the folder .* does not exist"),
        (("{photos}", *QUICK, "--plot", "{photos}/a.xyz"), "--plot: the file name must end in one of .png"),
        (("{photos}", *QUICK, "--misses", "{photos}/a.xyz"), "--misses: the file name must end in one of .png"),
        (("{photos}", *QUICK, "--markdown", "{photos}"), "Could not write a file"),
        (("{photos}", *QUICK, "--transforms", "0", "--plot", "{photos}/a.png"), "nothing to draw"),
        (("{photos}", "--limit", "-1"), "--limit"),
    ],
)
def test_arguments__rejects_invalid_combinations(photos: Path, flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(*(flag.replace("{photos}", str(photos)) for flag in flags))


def test_plot__names_the_missing_package(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_similarity, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match="requires Matplotlib"):
        run(photos, "--plot", photos / "plot.png")


def test_matplotlib__is_imported_only_for_a_plot(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refusing(name: str, *args: Any, **kwargs: Any) -> Any:
        assert not name.startswith("matplotlib")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refusing)
    run(photos, *QUICK, "--misses", photos / "misses.png")


def test_describe_machine() -> None:
    assert " cores (" in report.describe_machine()


class TestSource:
    """Two shelves of three images each, one image on no shelf, one not indexed."""

    pytestmark = pytest.mark.django_db

    @pytest.fixture(autouse=True)
    def _pictures(self, make_picture: Any, index_now: Any, configure: Any) -> None:
        configure(METHODS={"tests.methods.Mean": {}, "tests.methods.Bits": {}, "tests.methods.Sparse": {}})
        configure(RANKING={"mean": 1, "bits": 1})
        shelves = [Shelf.objects.create(name=name) for name in ("left", "right")]
        for seed in range(6):
            make_picture(seed, shelf=shelves[seed % 2], published=seed != 3)
        make_picture(6)
        index_now()
        make_picture(7, shelf=shelves[0])

    def evaluate(self, *flags: Any) -> tuple[dict[str, Any], str]:
        out, err = run("--source", "testapp.Picture.image", "--json", "-", *flags)
        return json.loads(out), err

    def test_stored_signatures__with_any_label(self) -> None:
        document, err = self.evaluate("--label", "shelf__name")
        assert err == ""
        (result,) = document["sets"]
        assert (result["name"], result["pictures"], result["robustness"]) == ("testapp.Picture.image", 7, {})
        by = result["retrieval"]["shelf__name"]
        assert by.keys() == {"mean:1,bits:1", "mean", "bits", "sparse", "random"}
        assert all(figures["queries"] == 6 for figures in by.values())
        assert document["costs"]["bits"] == {"milliseconds": None, "bytes": 16}
        (by_key,) = self.evaluate("--label", "shelf")[0]["sets"]
        assert by_key["retrieval"]["shelf"]["mean"] == by["mean"]
        assert "–" in run("--source", "testapp.Picture.image", "--label", "shelf")[0]

    def test_metrics__equal_those_of_the_files(self, settings: Any, tmp_path: Path) -> None:
        (result,) = self.evaluate("--label", "shelf")[0]["sets"]
        rows = [
            f"{Path(picture.image.name).name},{picture.shelf_id or ''}"
            for picture in Picture.objects.order_by("pk")
            if picture.title != "Scene 7"
        ]
        folder = Path(settings.MEDIA_ROOT) / "pictures"
        (folder / "labels.csv").write_text("\n".join(["path,class", *rows]))
        out, _err = run(folder, *OWN, "--json", "-")
        by_file = json.loads(out)["sets"][0]["retrieval"]["class"]
        for name in ("mean", "bits", "sparse", "random"):
            assert by_file[name] == pytest.approx(result["retrieval"]["shelf"][name])

    def test_images_without_a_signature__are_reported_and_skipped(self) -> None:
        Signature.objects.filter(method="bits").earliest("pk").delete()
        document, err = self.evaluate("--label", "shelf")
        assert err == "Images skipped for lack of a current signature by bits: 1.\n"
        assert document["sets"][0]["pictures"] == 6
        Signature.objects.filter(method="mean").update(version="old")
        document, err = self.evaluate("--label", "shelf", "--method", "bits")
        assert document["sets"][0]["pictures"] == 6
        with pytest.raises(CommandError, match="no images to evaluate on"):
            self.evaluate("--label", "shelf")

    def test_transforms__of_files_in_the_storage(self, tmp_path: Path) -> None:
        first = Picture.objects.earliest("pk")
        first.image.storage.delete(first.image.name)
        document, err = self.evaluate("--method", "mean", "--misses", tmp_path / "misses.png")
        assert document["sets"][0]["robustness"]["mean"]["queries"] == 6
        assert err == f"{first.pk}: {first.image.name}: The file is missing from the storage.\n"
        with Image.open(tmp_path / "misses.png") as sheet:
            assert sheet.width > 1000
        document, _err = self.evaluate("--label", "shelf", "--limit", 4, "--transforms", 0)
        assert document["sets"][0]["pictures"] == 4

    def test_answer__stands_before_the_tables(self) -> None:
        out, err = run("--source", "testapp.Picture.image", "--label", "shelf__name")
        assert err == ""
        first, *lines = out.splitlines()
        assert first.startswith("testapp.Picture.image: Of 100 similar items that come first, ")
        assert "have the same “shelf” as the image itself. That is too few to tell: it rests on 6" in first
        assert "  As now: mean:1,bits:1: " in out
        assert "too few to tell" in "".join(line for line in lines if line.startswith("  As now, and ranked again"))
        assert "mean:1,bits:1 + neighbors" in out
        assert out.index("What this can’t tell") < out.index("Mean average precision")

    def test_page__is_about_marks_where_there_are_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_picture: Any, index_now: Any
    ) -> None:
        monkeypatch.setattr("similar_images.management.commands.evaluate_similarity.MIN_UNITS", 2)
        page, pictures = tmp_path / "page.html", list(Picture.objects.order_by("pk"))
        flags = ("--source", "testapp.Picture.image", "--page", page)
        out, err = run(*flags, "--transforms", 1)
        assert "edited copies of the site’s own images" in out
        marks.mark(pictures[0], pictures[1], alike=True)
        marks.mark(pictures[2], pictures[4], alike=True)
        marks.mark(pictures[2], pictures[5], alike=False)
        out, err = run(*flags)
        assert err == ""
        assert "Of 100 items that editors have marked as similar to an image, " in out
        assert "4 of 7 images were searched with" in out
        assert "Mean average precision" not in out, "the tables are left out"
        assert "editors mark mostly what they are shown" in page.read_text().replace("\n", " ")
        assert "of copies" not in run(*flags, "--label", "shelf")[0]

    def test_page__needs_no_other_file_and_escapes_names(self, tmp_path: Path) -> None:
        Picture.objects.update(title="<script>alert(1)</script>")
        page = tmp_path / "page.html"
        out, err = run("--source", "testapp.Picture.image", "--label", "shelf", "--page", page)
        html = page.read_text()
        assert err == ""
        assert html.count("data:image/jpeg;base64,") >= 6
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert not re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', html)
        assert re.findall(r"\sstyle=|\son\w+=", html) == []
        shown = " ".join(html.split())
        for line in out.splitlines()[:1]:
            assert line.removeprefix("testapp.Picture.image: ").split(". ")[0] in shown

    def test_page__of_copies_shows_them(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        out, _err = run("--source", "testapp.Picture.image", "--page", page)
        assert "lead to their original first" in out
        assert "editors have marked 0 pairs as similar and 0 as different, and it takes 30 of each." in out
        assert "<polyline" not in page.read_text()
        assert "An edited copy was searched with" in page.read_text()
        assert (
            "Editors’ marks connect 0 groups of images so far; from 30 on, they are used instead." in page.read_text()
        )

    def test_page__in_numbers_of_another_language_is_drawn_the_same(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        with translation.override("de"):
            run("--source", "testapp.Picture.image", "--label", "shelf", "--page", page)
        assert '<html lang="de"' in page.read_text()
        assert re.findall(r'(?:x|width)="\d+,', page.read_text()) == []

    def test_page__tells_what_percentages_mean(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_picture: Any, index_now: Any
    ) -> None:
        monkeypatch.setattr(reliability, "MIN_VERDICTS", 3)
        monkeypatch.setattr(reliability, "MIN_BAND_PAIRS", 1)
        page, pictures = tmp_path / "page.html", list(Picture.objects.order_by("pk"))
        flags = ("--source", "testapp.Picture.image", "--label", "shelf", "--page", page)
        out, err = run(*flags)
        assert err == ""
        assert "Of 100 pairs at each percentage, this many have the same “shelf”: " in out
        assert '<polyline class="line" points="0.0,' in page.read_text()
        assert "Percentages stay as they are" in page.read_text()
        for a, b, is_alike in ((0, 1, True), (1, 2, True), (4, 5, True), (0, 4, False), (2, 5, False), (0, 6, False)):
            marks.mark(pictures[a], pictures[b], alike=is_alike)
        assert "Of 100 marked pairs at each percentage, editors called this many similar: " in run(*flags)[0]
        counts = re.findall(r"</td><td>(\d+)</td></tr>", page.read_text().split("curve-title")[-1])
        assert sum(map(int, counts)) == 6

    def test_floors__are_those_of_copies_in_spite_of_marks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("similar_images.management.commands.evaluate_similarity.MIN_UNITS", 1)
        marks.mark(*Picture.objects.order_by("pk")[:2], alike=True)
        flags = ("--source", "testapp.Picture.image", "--method", "mean", "--floor")
        run(*flags, "mean:copy-recall@1:0.01")
        with pytest.raises(CommandError, match="below the floor"):
            run(*flags, "mean:copy-recall@1:1")

    @needs_chromium
    def test_page__fits_and_has_no_barriers(self, tmp_path: Path) -> None:
        page = tmp_path / "page.html"
        run("--source", "testapp.Picture.image", "--label", "shelf", "--page", page)
        with run_chromium() as browser:
            for width, scheme in ((320, "light"), (1200, "dark")):
                window = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                window.goto(page.as_uri())
                assert find_barriers(window) == []
                assert window.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (("--source", "testapp.Picture.title"), "is not a source"),
            (("--source", "nowhere"), "There is no model"),
            (("--source", "testapp.Picture.image", "--label", "colour"), "--label: Cannot resolve keyword 'colour'"),
        ],
    )
    def test_unknown_source_or_label(self, flags: tuple[str, ...], message: str) -> None:
        with pytest.raises(CommandError, match=message):
            run(*flags)


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """Six detailed scenes, each also rotated and darker: groups that a mean color does not find."""
    folder = tmp_path / "rotated"
    folder.mkdir()
    rows = ["path,group"]
    for seed in range(6):
        scene = textured(seed)
        scene.save(folder / f"{seed}.png")
        scene.rotate(90, expand=True).point(lambda level: level * 0.6).save(folder / f"{seed}-turned.png")
        rows += [f"{seed}.png,g{seed}", f"{seed}-turned.png,g{seed}"]
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_rerank__is_evaluated_beside_the_blend(rotated: Path) -> None:
    blend = "mean:1,tiny:1"
    flags = ("--ranking", blend, "--rerank", "keypoints", "--json", "-", "--floor", f"{blend} + keypoints:mAP:0.9")
    (result,) = json.loads(run(rotated, *QUICK, *flags)[0])["sets"]
    by_group = result["retrieval"]["group"]
    assert by_group[f"{blend} + keypoints"]["mAP"] == 1
    assert by_group[blend]["mAP"] < 0.9
    assert by_group.keys() == {blend, f"{blend} + keypoints", "mean", "tiny", "random"}


def test_rerank__by_neighbors_is_evaluated_beside_the_blend(rotated: Path) -> None:
    blend = "mean:1,tiny:1"
    flags = ("--ranking", blend, "--rerank", "neighbors", "--json", "-")
    (result,) = json.loads(run(rotated, *QUICK, *flags)[0])["sets"]
    by_group = result["retrieval"]["group"]
    assert by_group.keys() == {blend, f"{blend} + neighbors", "mean", "tiny", "random"}
    assert by_group[f"{blend} + neighbors"] != by_group[blend]


def test_ranking__takes_the_name_of_a_preset(rotated: Path) -> None:
    flags = ("--method", "embedding", "--method", "color", "--ranking", "photo", "--json", "-", "--limit", "6")
    (result,) = json.loads(run(rotated, *flags)[0])["sets"]
    assert result["retrieval"]["group"].keys() == {"photo", "embedding", "color", "random"}
    with pytest.raises(CommandError, match="None of the methods of the ranking preset “photo” is enabled"):
        run(rotated, "--method", "tiny", "--ranking", "photo")


@needs(DATASETS)
def test_folder__has_the_percentages_of_a_source_of_its_images(configure: Any) -> None:
    configure(CALIBRATE_FROM=60)
    flags = ("--method", "tiny", "--method", "color", "--ranking", "tiny:1,color:1", "--limit", "60", "--json", "-")
    figures = [
        json.loads(run(DATASETS / "furniture", *flags, *more)[0])["sets"][0]["retrieval"]["class"]
        for more in ((), ("--no-calibration",))
    ]
    assert figures[0]["tiny"] == figures[1]["tiny"], "one method ranks as before"
    assert figures[0]["tiny:1,color:1"] != figures[1]["tiny:1,color:1"]


@needs(DATASETS)
def test_folder__is_centered_as_a_source_of_its_images(configure: Any) -> None:
    configure(CENTER_FROM=60)
    flags = ("--method", "embedding", "--limit", "60", "--by", "class", "--json", "-")
    figures = [
        json.loads(run(DATASETS / "corel", *flags, *more)[0])["sets"][0]["retrieval"]["class"]["embedding"]["mAP"]
        for more in ((), ("--no-centering",))
    ]
    assert figures[0] > figures[1]


def test_rerank__needs_image_files() -> None:
    with pytest.raises(CommandError, match="--rerank keypoints reads image files"):
        run("--source", "testapp.Picture.image", "--rerank", "keypoints")


def test_every__searches_with_fewer_images(labeled: Path) -> None:
    (result,) = json.loads(run(labeled, *QUICK, "--every", 5, "--json", "-")[0])["sets"]
    assert result["retrieval"]["group"]["tiny"]["queries"] == 3
    with pytest.raises(CommandError, match="--every"):
        run(labeled, "--every", 0)

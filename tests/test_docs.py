"""The documentation says what the code does: tables, defaults, code, addresses, figures, and links."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import skimage.data
from django.core.management import find_commands, get_commands, load_command_class
from django.urls import Resolver404, resolve
from django.utils import translation

import similar_images
from docs.generate_reference.openapi import openapi
from docs.generate_reference.pages import PART, render
from project import services
from similar_images import conf
from similar_images.evaluation.transforms import TRANSFORMS
from similar_images.measures.base import ComparisonImage
from similar_images.measures.verdict import VerdictKind
from similar_images.search.options import SearchOptions
from similar_images.signatures import BUILT_IN_METHODS, storage
from tests import drawing, encoders

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]
NUMBERS = {"five": 5, "ten": 10}


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", path.read_text(), re.DOTALL | re.MULTILINE)


PYTHON_BLOCKS = [
    pytest.param(block, id=f"{page_id(path)}-{number}")
    for path in TEXTS
    for number, block in enumerate(code_blocks(path, "python"), start=1)
]


# What is made from the code


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_page__generated_parts_are_those_of_the_code(path: Path) -> None:
    with translation.override("en"):
        assert path.read_text() == render(path.read_text()), "Run make docs-reference."


def test_render__writes_between_the_markers_only() -> None:
    page = "Before.\n<!-- generated: css -->\nold\n<!-- /generated -->\nAfter.\n"
    rendered = render(page)
    assert rendered.startswith("Before.\n<!-- generated: css -->\n")
    assert rendered.endswith("<!-- /generated -->\nAfter.\n")
    assert "old" not in rendered
    assert "`--si-accent`" in rendered
    assert render(rendered) == rendered


def test_reference__covers_every_public_name() -> None:
    page = (DOCS / "reference/python-api.md").read_text() + (DOCS / "reference/signals-and-exceptions.md").read_text()
    for name in similar_images.__all__:
        assert f"generated: api {name} -->" in page or f"`similar_images.{name}`" in page, name


def test_reference__covers_every_argument_of_a_search() -> None:
    part = next(
        m[0] for m in PART.finditer((DOCS / "reference/python-api.md").read_text()) if m["argument"] == "similar_to"
    )
    names = inspect.signature(similar_images.similar_to).parameters
    assert {name for name in names if f"| `{name}` |" not in part} == set()


def test_reference__covers_every_endpoint() -> None:
    page = (DOCS / "reference/rest-api.md").read_text()
    operations = [operation for path in openapi()["paths"].values() for operation in path.values()]
    assert {operation["operationId"] for operation in operations} == set(re.findall(r"generated: rest (\w+) -->", page))


def test_reference__covers_every_template_tag() -> None:
    tags = importlib.import_module("similar_images.templatetags.similar_images").register.tags
    page = (DOCS / "reference/template-tags.md").read_text()
    assert {f"generated: api templatetags.similar_images.{name} -->" in page for name in tags} == {True}


def test_reference__covers_every_command() -> None:
    page = (DOCS / "reference/commands.md").read_text()
    names = set(find_commands(str(Path(similar_images.__file__).parent / "management")))
    assert names
    assert names == set(re.findall(r"^## (\w+)$", page, re.MULTILINE))


def test_dependencies__are_those_of_the_package() -> None:
    page = (DOCS / "reference/dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[<>=~!]", package)[0] for group in groups for package in group}
    names = {re.sub(r"\[[\w,]+\]$", "", name) for name in names if not name.startswith("similar_images[")}
    assert {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)} == set()
    assert set(project["optional-dependencies"]) == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def table_keys(page: str, heading: str) -> set[str]:
    """The names in the first column of the tables below a heading."""
    section = (DOCS / page).read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE))


def test_reasons__are_all_explained() -> None:
    source = inspect.getsource(importlib.import_module("similar_images.search.explain"))
    codes = set(re.findall(r"(?:Reason|_reason_at)\(\s*\"([\w-]+)\"", source))
    assert codes == table_keys("how-to/mark-and-explain.md", "## Why is that not a match?")


def test_verdicts__are_all_explained() -> None:
    assert set(get_args(VerdictKind)) == table_keys("how-to/compare-images.md", "## The verdict")


# What is written by hand


SAID: list[tuple[str, str, Any]] = [
    (
        "how-to/steer-searches.md",
        r"at least (\d+)% similar by the weights of `RANKING`",
        "conf.Conf.near_duplicate_threshold",
    ),
    ("how-to/steer-searches.md", r"more than (\d+) percentage points", "search.near_duplicates.MAX_METHOD_DEFICIT"),
    ("how-to/steer-searches.md", r"The (\d+) best matches are reordered", "search.diversity.MAX_DIVERSIFIED"),
    ("how-to/steer-searches.md", r"up to (\w+) of each", "search.options.MAX_EXAMPLES"),
    (
        "how-to/steer-searches.md",
        r"to at least (\d+) pixels on their long side",
        "imaging.decoder.protocol.WORKING_SIDE",
    ),
    ("how-to/find-copies.md", r"The (\d+) most promising", "search.rerank.copies.MAX_VERIFIED"),
    ("how-to/find-copies.md", r"`min_similarity` defaults to (\d+)", "search.rerank.copies.COPY_THRESHOLD"),
    ("how-to/find-copies.md", r"images of the (\d+) best matches", "search.rerank.keypoints.MAX_RERANKED"),
    ("how-to/find-copies.md", r"From (\d+) such keypoints", "search.rerank.keypoints.CHANCE_INLIERS"),
    ("how-to/find-copies.md", r"chance ends, to (\d+)", "search.rerank.keypoints.INLIERS_FOR_FULL_BOOST"),
    ("how-to/find-duplicates.md", r"and (\d+) decoded images", "duplicates.images.MAX_CACHED_IMAGES"),
    ("how-to/find-duplicates.md", r"the (\d+) nearest others", "duplicates.candidates.NEAREST"),
    (
        "how-to/find-duplicates.md",
        r"at least (\d+)% similar\.",
        "duplicates.candidates.CANDIDATE_THRESHOLD",
    ),
    ("how-to/find-duplicates.md", r"must then be (\d+)% similar", "duplicates.candidates.MIN_ORIENTED_SIMILARITY"),
    ("how-to/compare-images.md", r"reduced to (\d+) pixels", "measures.base.LONG_SIDE"),
    ("how-to/compare-images.md", r"rates the pair (\d+)% or higher", "measures.verdict.MIN_ALIKE_SIMILARITY"),
    ("how-to/use-other-encoders.md", r"at most (\d+) characters", "search.options.MAX_TEXT_LENGTH"),
    ("how-to/use-other-encoders.md", r"above ([\d,]+) dimensions", "signatures.embedding.options.MAX_DIMENSIONS"),
    (
        "how-to/learn-from-labels.md",
        r"At least (\d+) indexed images",
        "evaluation.projection_learning.MIN_TRAINING_IMAGES",
    ),
    ("how-to/learn-from-labels.md", r"in (\d+) groups", "evaluation.projection_learning.MIN_GROUPS"),
    (
        "how-to/learn-from-labels.md",
        r"Of more than ([\d,]+) images",
        "evaluation.projection_learning.MAX_TRAINING_IMAGES",
    ),
    ("how-to/learn-from-labels.md", r"\| (\d) \| too few labels", "management.commands.learn_projection.NOT_ACTIVATED"),
    ("how-to/index-a-library.md", r"retried after (\d+) s", "indexing.results.MIN_RETRY_DELAY"),
    ("how-to/upgrade.md", r"in the new version: up to (\d+)", "indexing.versions.MAX_LOST_RECORDS"),
    ("how-to/evaluate.md", r"get (\d+)% at the median", "evaluation.calibration.COPY_SIMILARITY"),
    ("how-to/deploy.md", r"pgvector (0\.\d) or newer", "checks.tables.MIN_PGVECTOR_VERSION"),
    ("explanation/how-it-works.md", r"given up after (\w+) attempts", "conf.Conf.max_attempts"),
    ("explanation/how-it-works.md", r"retried after (\d+) s", "indexing.results.MIN_RETRY_DELAY"),
    ("explanation/how-it-works.md", r"From ([\d,]+) signatures on", "conf.Conf.hnsw_min_rows"),
    ("explanation/how-it-works.md", r"up to (\d+) for a page of", "search.candidates.MAX_POOL"),
    ("explanation/how-it-works.md", r"for a page of (\d+)", "conf.Conf.limit"),
    ("explanation/how-it-works.md", r"at most ([\d,]+) matches", "search.querysets.QUERYSET_LIMIT"),
    ("explanation/near-duplicates.md", r"at least (\d+)% similar by", "conf.Conf.near_duplicate_threshold"),
    (
        "explanation/near-duplicates.md",
        r"more than (\d+) percentage points",
        "search.near_duplicates.MAX_METHOD_DEFICIT",
    ),
    ("explanation/near-duplicates.md", r"pairs of the (\d+) best candidates", "search.near_duplicates.MAX_FOLDED"),
    ("explanation/near-duplicates.md", r"or ([\d,]+) have been examined", "search.search.MAX_CANDIDATES"),
    ("explanation/learned-projections.md", r"improves by at least ([\d.]+)", "evaluation.cross_validation.MIN_GAIN"),
    ("explanation/ranking.md", r"finds (\d+) RootSIFT", "search.rerank.keypoints.MAX_POINTS"),
    ("reference/python-api.md", r"`limit` defaults to ([\d,]+)", "search.querysets.QUERYSET_LIMIT"),
]


@pytest.mark.parametrize(("page", "pattern", "path"), SAID, ids=[f"{page} {path}" for page, _pattern, path in SAID])
def test_number__is_that_of_the_code(page: str, pattern: str, path: str) -> None:
    """A sentence that is gone fails, too: what it said is to be checked where it went."""
    value = pkgutil.resolve_name(f"similar_images.{path}")
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, tuple):
        value = float(".".join(map(str, value)))
    said = re.findall(pattern, " ".join((DOCS / page).read_text().split()))
    assert said
    assert {float(NUMBERS.get(word, word.replace(",", "")) if isinstance(word, str) else word) for word in said} == {
        value
    }


@pytest.mark.parametrize("path", ["README.md", *map(page_id, PAGES)])
def test_default_ranking__is_named_as_it_is(path: str) -> None:
    """Wherever a page says how much color the default has."""
    weights = conf.Conf().ranking
    text = (ROOT / path).read_text()
    share = weights["color"] / sum(weights.values())
    for said in re.findall(r"default (?:ranking )?(?:is|has|with) [^.]*?(\d+)% (?:of )?`?color", text):
        assert int(said) == round(100 * share)
    for embedding, color in re.findall(r"([\d.]+)`? ?:? ?`?embedding`?,? and ([\d.]+) `color`", text):
        assert {"embedding": float(embedding), "color": float(color)} == weights


def test_default_ranking__is_explained() -> None:
    text = (DOCS / "explanation/ranking.md").read_text()
    assert re.findall(r"The default is (\d+)% `embedding` and (\d+)% `color`", text) == [("93", "7")]
    assert conf.Conf().ranking == {"embedding": 0.93, "color": 0.07}
    assert "### Why 7% color" in text


# Code


def setting_values(tree: ast.AST) -> Iterator[Any]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SIMILAR_IMAGES":
            yield ast.literal_eval(node.value)


def has_name(module: str, name: str) -> bool:
    """Tell whether a module has a name; those of integrations are read, not imported."""
    if not module.startswith("similar_images.contrib."):
        return hasattr(importlib.import_module(module), name)
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    targets = (getattr(node, "target", None) for node in tree.body)  # of what is annotated
    return name in {*(getattr(node, "name", "") for node in tree.body), *(getattr(each, "id", "") for each in targets)}


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_python__is_right(block: str) -> None:
    """Imports and names exist, settings pass the check, and searches know their arguments."""
    tree = ast.parse(block.replace("…", "None"))
    known = inspect.signature(similar_images.similar_to).parameters.keys()
    for value in setting_values(tree):
        assert conf.find_problems(value) == []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "similar_images":
            for alias in node.names:
                assert has_name(node.module or "", alias.name)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "similar_images":
            assert node.attr in similar_images.__all__
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("similar_to"):
            assert {keyword.arg for keyword in node.keywords} <= known


@pytest.mark.parametrize("path", TEXTS, ids=page_id)
def test_template_tags__have_arguments_of_a_search(path: Path) -> None:
    text = path.read_text()
    filters = {name for names in re.findall(r"filters=\[(.*?)\]", text) for name in re.findall(r"\w+", names)}
    known = {*SearchOptions.on("python"), "title", "layout", "item_template", "lazy", "cache", *filters}
    for arguments in re.findall(r"\{% similar_items(?:_widget)? \w+ ([^%]*?)(?:as \w+ )?%\}", text):
        assert set(re.findall(r"(\w+)=", arguments)) <= known


@pytest.mark.parametrize("path", TEXTS, ids=page_id)
def test_setting_keys__are_known(path: Path) -> None:
    if path.name == "CHANGELOG.md":
        return  # it names former ones
    text = path.read_text()
    assert set(re.findall(r"SIMILAR_IMAGES\[[\"'](\w+)[\"']\]", text)) <= set(conf.KEYS)
    assert not set(conf.RENAMED_KEYS) & set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("path", TEXTS, ids=page_id)
def test_check_ids__exist(path: Path) -> None:
    known = set(re.findall(r"similar_images\.[EWI]\d{3}", (DOCS / "reference/system-checks.md").read_text()))
    assert set(re.findall(r"similar_images\.[EWI]\d{3}", path.read_text())) <= known


@pytest.mark.parametrize("path", TEXTS, ids=page_id)
def test_addresses__resolve(path: Path) -> None:
    for address in re.findall(
        r"(?<![\w.])(?:https://example\.com|http://localhost:8000)?(/(?:api/)?similar-images/[\w./-]*)",
        path.read_text(),
    ):
        if address.endswith("/") and address.count("/") > (3 if "/api/" in address else 2):
            try:
                resolve(address)
            except Resolver404:
                pytest.fail(f"{address} is no address of the app.")


@pytest.mark.parametrize("path", TEXTS, ids=page_id)
def test_commands__exist_with_their_arguments(path: Path) -> None:
    for name, arguments in re.findall(r"manage\.py (\w+_\w+)([^\n`#]*)", path.read_text()):
        app = get_commands().get(name)
        if app not in ("similar_images", "benchmarks"):
            assert name in ("remove_stale_contenttypes",), name
            continue
        options = load_command_class(app, name).create_parser("manage.py", name)._option_string_actions
        for option in re.findall(r"--[a-z-]+", arguments):
            assert option in options, f"{name} {option}"


def test_method__of_the_guide_works() -> None:
    names = _run(DOCS / "how-to/write-a-method.md")
    method = names["Brightness"]()
    value = method.compute(np.zeros((7, 1, 3), np.uint8))
    storage.pack(method, value)
    assert value.tolist() == [0, 0, 0, 0]
    assert method.compute(np.full((8, 8, 3), 255, np.uint8)).tolist() == [1, 1, 1, 1]
    assert (method.similarity(0), method.similarity(1)) == (100, 0)


def test_measure__of_the_guide_works() -> None:
    names = _run(DOCS / "how-to/write-a-measure.md")
    measure = names["BrightnessDifference"]()
    dark, light = (ComparisonImage(np.full((8, 8, 3), level, np.uint8)) for level in (0, 30))
    result = measure.measure(dark, light)
    assert result.value == 30
    assert 0 < measure.similarity(result) < 70 < measure.similarity(measure.measure(dark, dark)) == 100


def test_verifier__of_the_guide_works(tmp_path: Path) -> None:
    """The network takes as the same what has the same mean color."""
    model = tmp_path / "same_product.onnx"
    encoders.pair_network(model, size=224)
    page = DOCS / "how-to/write-a-verifier.md"
    blocks = code_blocks(page, "python")
    names: dict[str, Any] = {}
    exec(blocks[0].replace("/srv/models/same_product.onnx", str(model)), names)  # noqa: S102 - the code of the guide
    exec(next(block for block in blocks if "Ssim" in block), names)  # noqa: S102 - the code of the guide
    coffee, cat = skimage.data.coffee(), skimage.data.chelsea()
    for name in ("same_product", "same_structure"):
        same, other = names[name](coffee, coffee[5:, 3:]), names[name](coffee, cat)
        assert 0 <= other < same <= 1
    assert names["same_product"](coffee, coffee) == 1


def _run(path: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code_blocks(path, "python")[0], names)  # noqa: S102 - the code of the guide
    return names


def named_blocks(page: str) -> list[tuple[str, str]]:
    """The code of a page whose first line names a file, in order."""
    text = (DOCS / page).read_text()
    return re.findall(r"^```\w+\n((?:#|\{#) (?:\w+/)+[\w.]+(?: #\})?)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def write_blocks(folder: Path, page: str) -> None:
    """Write the code of a page to the files it names; what is for the settings is added to them."""
    for title, code in named_blocks(page):
        path = folder / title.strip("{}# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.name == "settings.py" else ""
        path.write_text(before + code)


VISIT = """
from django.template import engines
from django.test import Client, RequestFactory
from shop.models import Product

client = Client(headers={"host": "localhost"})
first = Product.objects.get(name="photo-0")
page = client.get(first.get_absolute_url()).content.decode()
assert page.count("<li>") == 6, page
for address in ("/similar-images/shop.product/%s/", "/api/similar-images/shop.product/%s/similar/"):
    assert client.get(address % first.pk).status_code == 200
assert client.get("/similar-images/search/").status_code == 200
for tag in TAGS:
    template = engines["django"].from_string("{% load similar_images %}" + tag)
    assert "photo-" in template.render({"product": first}, RequestFactory().get("/")), tag
"""


def test_tutorial__and_the_guides_to_testing_and_removing_work(tmp_path: Path, open_folder: Callable[[], Path]) -> None:
    """Their code, in their order, in a new project on a server of its own."""
    for number in range(20):
        path = tmp_path / f"Pictures/photo-{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        drawing.scene(number).save(path)
    text = (DOCS / "tutorial/index.md").read_text()
    (load,) = re.findall(r"```python\n# in the shell.*?\n(.*?)```", text, re.DOTALL)
    tags = [
        tag for tag in re.findall(r"\{% similar_items_widget [^%]* %\}", text) if "diversity" in tag or "min_" in tag
    ]
    assert len(tags) == 3
    with services.postgres(open_folder()) as server:
        host = server.url.partition("host=")[2].replace("%2F", "/")
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": path}

        def run(*arguments: str) -> None:
            command = [sys.executable, *arguments]
            done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr

        run("-m", "django", "startproject", "mysite", ".")
        run("manage.py", "startapp", "shop")
        write_blocks(tmp_path, "tutorial/index.md")
        with (tmp_path / "mysite/settings.py").open("a") as file:
            file.write(f'DATABASES["default"] |= {{"HOST": "{host}", "PASSWORD": ""}}\n')
        run("manage.py", "makemigrations", "shop")
        run("manage.py", "migrate")
        run("manage.py", "shell", "--command", load)
        run("manage.py", "index_images", "--sync")
        run("manage.py", "shell", "--command", VISIT.replace("TAGS", repr(tags)))
        run("manage.py", "check")
        write_blocks(tmp_path, "how-to/test-your-project.md")
        run("manage.py", "test", "shop", "--settings", "mysite.test_settings")
        models = tmp_path / "shop/models.py"
        models.write_text(re.sub(r"^similar_images\.register\(.*\n", "", models.read_text(), flags=re.MULTILINE))
        prune = code_blocks(DOCS / "how-to/remove.md", "sh")[-1]
        run(*prune.split()[1:])
        gone = "from similar_images.models import *\nassert not IndexedImage.objects.exists()\n"
        run("manage.py", "shell", "--command", gone)
        run("manage.py", "migrate", "similar_images", "zero")


# Figures


def sections(text: str) -> Iterator[str]:
    """The parts of a page between headings, without what is made from the code."""
    text = PART.sub("", text)
    text = re.sub(r"<!-- evaluation -->.*?<!-- /evaluation -->", "Made on 2000-01-01, by", text, flags=re.DOTALL)
    yield from re.split(r"^#+ ", text, flags=re.MULTILINE)


FIGURE = re.compile(r"(?<![\w.])(?<!at least )0\.\d{3}\b|\b\d+ ms\b|\| *[\d.,]+%? *\|(?: *[\d.,]+%? *\|){2}")
DATED = re.compile(r"\b(?:[Mm]easured|[Mm]ade)\son\s\d{4}-\d{2}-\d{2}\b")


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_figures__have_their_command_or_date(path: Path) -> None:
    for section in sections(path.read_text()):
        prose = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
        assert DATED.search(prose) or not FIGURE.search(prose), section


@pytest.mark.parametrize("name", ["methods-measured", "ranking"])
def test_evaluations__are_made_by_the_command(name: str) -> None:
    text = (DOCS / f"explanation/{name}.md").read_text()
    command = rf"manage\.py evaluate_similarity [^\n]*--markdown docs/explanation/{name}\.md"
    assert re.search(rf"<!-- evaluation -->\nMeasured on \d{{4}}-\d\d-\d\d, [^\n]*\n\n```sh\n[^\n]*{command}", text)


def test_edits__are_those_of_the_evaluation() -> None:
    text = (DOCS / "explanation/methods-measured.md").read_text()
    rows = re.findall(r"^\| ([\w, ]+) \|", text.partition("### Edits")[2].partition("### ")[0], re.MULTILINE)
    assert [name for row in rows[1:] for name in row.split(", ")] == list(TRANSFORMS)


def test_methods__are_all_measured_and_explained() -> None:
    text = (DOCS / "explanation/methods-measured.md").read_text()
    block = text.partition("<!-- evaluation -->")[2].partition("<!-- /evaluation -->")[0]
    headings = re.findall(r"^### (`.*)$", text, re.MULTILINE)
    assert {name for heading in headings for name in re.findall(r"`(.*?)`", heading)} == set(BUILT_IN_METHODS)
    assert {name for name in BUILT_IN_METHODS if not re.search(rf"^\| {name} ", block, re.MULTILINE)} == set()


# Words and links


@pytest.mark.parametrize("path", TEXTS, ids=page_id)
def test_percent__has_no_space_before_it(path: Path) -> None:
    text = path.read_text().replace("not “97 %”", "").replace("{%", "").replace("%}", "")
    assert re.findall(r".{20}\d[ \u00a0]%.{5}", text) == []


@pytest.mark.parametrize("path", TEXTS[:3], ids=page_id)
def test_links__lead_to_files_and_headings(path: Path) -> None:
    """Of the pages that the strict build of the documentation does not see."""
    text = path.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _hash, anchor = target.partition("#")
        file = ROOT / name
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, target


PROMISES = DOCS / "explanation/promises.md"


def test_promises__name_tests_that_exist() -> None:
    rows = [row for row in re.findall(r"^\| (.*) \|$", PROMISES.read_text(), re.MULTILINE) if " | Tests" not in row]
    rows = [row for row in rows if not row.startswith("---")]
    assert rows
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert tests, row
        for file, name in tests:
            functions = {node.name for node in ast.parse((ROOT / file).read_text()).body if hasattr(node, "name")}
            assert name in functions, f"{file}::{name}"


def test_promises__are_linked_where_they_are_made() -> None:
    texts = [path.read_text() for path in TEXTS if path != PROMISES]
    linked = {anchor for text in texts for anchor in re.findall(r"promises\.md#([\w-]+)", text)}
    headings = re.findall(r"^## (.*)$", PROMISES.read_text(), re.MULTILINE)
    assert {heading.lower().replace(" ", "-") for heading in headings} == linked


def test_contributing__names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?:similar_images|tests|docs|\.ci)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), name
    lines = re.findall(r"^    ((?:\w+(?:\.py|/) )+)", text, re.MULTILINE)
    names = {name.rstrip("/") for line in lines for name in line.split()}
    assert names <= {path.name for path in (ROOT / "similar_images").iterdir()}
    folders = {path.parent.name for path in (ROOT / "similar_images").glob("*/__init__.py")} - {"migrations"}
    assert folders <= names

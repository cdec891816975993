"""The house: imports point in one direction, a name means one thing, and docstrings say what to do."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import similar_images

APP = Path(similar_images.__file__).parent

LAYERS = (
    {"imaging", "printable"},
    {"signatures"},
    {"measures"},
    {
        "backends",
        "conf",
        "duplicate_models",
        "encoders",
        "generations",
        "map_models",
        "models",
        "plugins",
        "ranking_presets",
        "registry",
        "sources",
        "thumbnails",
    },
    {"access", "marks", "permissions"},
    {"indexing"},
    {"search"},
    {
        "comparison",
        "image_labels",
        "status",
        "stored_labels",
        "visitor_files",
        "duplicates",
        "evaluation",
        "merging",
        "similarity_map",
    },
    {"admin", "api", "apps", "checks", "forms", "management", "mark_view", "tasks", "templatetags"}
    | {"path_converters", "urls", "views", "widgets"},
    {"contrib"},
)
"""First-level modules; each may import what stands in its own layer or in one before it."""

WITHOUT_SETTING = {"imaging", "signatures", "measures"}

SHARED_NAMES = {"Command", "__version__", "app_name", "logger", "register", "urlpatterns"}
"""Names that mean the same wherever they are: conventions of Python, Django and its commands."""

NO_IMPERATIVE = re.compile(r"(What|Whether|As|Of|By|How|Which|Who|Raises:)\b")

DJANGO_HOOKS = {"Meta", "db_type"}
"""Classes and methods that Django documents."""


def read_modules() -> dict[str, tuple[Path, ast.Module]]:
    """Return the file and the syntax tree of every module of the app, by its name below the package."""
    modules = {}
    for file in sorted(APP.rglob("*.py")):
        name = ".".join(file.relative_to(APP).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        if name and "migrations" not in name.split("."):
            modules[name] = file, ast.parse(file.read_text(encoding="utf-8"))
    return modules


MODULES = read_modules()


def imports_of(name: str) -> Iterator[str]:
    """Yield the modules of the app that a module imports, also late ones and those for type checkers only."""
    file, tree = MODULES[name]
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = (node.module or "").split(".")
        if not node.level and parts[0] != "similar_images":
            continue
        parent = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*parent, *(parts if node.level else parts[1:])]).rstrip(".")
        for alias in node.names:
            target = f"{base}.{alias.name}".lstrip(".")
            target = target if target in MODULES else base
            if target and target != name:
                yield target


def layer_of(name: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if name.split(".")[0] in layer)


def test_layers__place_every_module() -> None:
    known = set().union(*LAYERS)
    assert {name.split(".")[0] for name in MODULES} <= known


def test_imports__point_in_one_direction() -> None:
    wrong = [
        f"{name} imports {target}"
        for name in MODULES
        for target in imports_of(name)
        if layer_of(target) > layer_of(name)
    ]
    assert wrong == []


def test_imports__the_pure_rooms_know_no_setting() -> None:
    wrong = [name for name in MODULES if name.split(".")[0] in WITHOUT_SETTING and "conf" in set(imports_of(name))]
    assert wrong == []


def test_imports__nothing_but_the_decoder_reads_image_files() -> None:
    """Untrusted bytes go through `imaging.decode`, which has them decoded in another process."""
    readers = {name for name, (_file, tree) in MODULES.items() if "Image.open" in ast.unparse(tree)}
    assert readers == {"imaging.decoder.reader"}
    program = {name for name in MODULES if name.startswith("imaging.decoder.")} - {"imaging.decoder.protocol"}
    users = {name for name in MODULES if not name.startswith("imaging.decoder") and program & set(imports_of(name))}
    assert users == set()


MAX_INTEGRATION_LINES = 600

NOT_FOR_INTEGRATIONS = re.compile(r"\b(cv2|numpy|PIL|connections?|RawSQL|raw|extra|execute)\b")
"""Names by which a module would compute with pixels, or write SQL."""


def test_contrib__is_thin() -> None:
    """Integrations register, hook, and show: what computes or searches is in the layers below, for all of them."""
    lines: dict[str, int] = defaultdict(int)
    for name, (file, tree) in MODULES.items():
        if name.startswith("contrib."):
            lines[name.split(".")[1]] += len(file.read_text(encoding="utf-8").splitlines())
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert [each for each in used if NOT_FOR_INTEGRATIONS.fullmatch(each)] == [], name
    assert {name: count for name, count in lines.items() if count > MAX_INTEGRATION_LINES} == {}


def test_imports__no_property_makes_threads_wait_for_each_other() -> None:
    """Before Python 3.12, `functools.cached_property` computes for one instance at a time; Django's has no lock."""
    assert [name for name, (file, _tree) in MODULES.items() if "functools import cached_prop" in file.read_text()] == []


def test_imports__have_no_cycle() -> None:
    remaining = {name: set(imports_of(name)) for name in MODULES}
    while leaves := [name for name, targets in remaining.items() if not targets & remaining.keys()]:
        for name in leaves:
            del remaining[name]
    assert remaining == {}


def names_defined_in(tree: ast.Module) -> Iterator[str]:
    """Yield the functions, classes and variables that a module defines at its top level."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(part, ast.Name):
                        yield part.id


def test_names__mean_one_thing_each() -> None:
    modules_by_name: dict[str, set[str]] = defaultdict(set)
    for module, (_file, tree) in MODULES.items():
        for name in names_defined_in(tree):
            modules_by_name[name].add(module)
    repeated = {name: sorted(found) for name, found in modules_by_name.items() if len(found) > 1}
    assert {name: found for name, found in repeated.items() if name not in SHARED_NAMES} == {}


def documented_nodes() -> Iterator[tuple[str, ast.AST, str, bool]]:
    """Yield each module, class and function with its place, name, and whether it is public at the top or in a class."""
    for module, (_file, tree) in MODULES.items():
        yield module, tree, "module", True
        yield from _documented_in(module, tree)


def _documented_in(module: str, scope: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.AST, str, bool]]:
    for node in scope.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            is_protocol_stub = ast.unparse(node.body[-1]) == "..."
            yield module, node, node.name, not (node.name.startswith("_") or is_protocol_stub)
            if isinstance(node, ast.ClassDef):
                yield from _documented_in(module, node)


def test_docstrings__begin_with_an_imperative() -> None:
    wrong = []
    for module, node, name, _is_public in documented_nodes():
        docstring = ast.get_docstring(node) or ""
        if NO_IMPERATIVE.match(docstring):
            wrong.append(f"{module}.{name}: {docstring.splitlines()[0]}")
    assert wrong == []


def test_docstrings__are_on_everything_public() -> None:
    missing = [
        f"{module}.{name}"
        for module, node, name, is_public in documented_nodes()
        if is_public and name not in DJANGO_HOOKS and not ast.get_docstring(node)
    ]
    assert missing == []

"""The setting SIMILAR_IMAGES: a dict whose keys are the fields of `Conf` in upper case."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.functional import cached_property

from .imaging.decoder.protocol import FORMATS
from .imaging.formats import DEFAULT_FORMATS, set_formats_from
from .ranking_presets import RANKING_PRESETS

MAX_WEIGHT = 1_000_000
"""Greatest weight of a method in a ranking; only the ratio of weights counts."""


def is_valid_ranking(weights: Mapping[Any, Any]) -> bool:
    """Check that names have weights from 0 to MAX_WEIGHT, at least one of them positive."""
    are_numbers = all(isinstance(weight, (int, float)) and 0 <= weight <= MAX_WEIGHT for weight in weights.values())
    return are_numbers and any(weights.values()) and all(isinstance(name, str) for name in weights)


def _has_named_options(entries: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) and isinstance(options, dict) for name, options in entries.items())


def _validate_methods(methods: Mapping[Any, Any]) -> str | None:
    if methods and _has_named_options(methods):
        return None
    return "must name at least one method, each with a dict of options, e.g. {'embedding': {}}"


def _validate_measures(measures: Mapping[Any, Any]) -> str | None:
    return None if _has_named_options(measures) else "must map names to dicts of options, e.g. {'ssim': {}}"


def _validate_measure_names(names: Any) -> str | None:
    if names and all(isinstance(name, str) for name in names):
        return None
    return "must name at least one measure, e.g. ['ssim']"


def _validate_search_backend(options: Mapping[Any, Any] | None) -> str | None:
    if options is None or (isinstance(options.get("class"), str) and all(isinstance(name, str) for name in options)):
        return None
    return "must be a dict of options with \"class\", e.g. {'class': 'milvus', 'uri': 'http://milvus:19530'}, or None"


def _validate_formats(names: Any) -> str | None:
    wrong = [name for name in names if name not in FORMATS]
    if names and not wrong:
        return None
    return f"must have names of {', '.join(FORMATS)}" + (f", not {wrong[0]!r}" if wrong else "")


def _validate_ranking(ranking: Mapping[Any, Any] | str) -> str | None:
    if isinstance(ranking, str):
        return None if ranking in RANKING_PRESETS else f"must be a ranking preset ({', '.join(RANKING_PRESETS)})"
    if is_valid_ranking(ranking):
        return None
    return f"must have weights between 0 and {MAX_WEIGHT:,}, at least one of them positive"


def _validate_folder(folder: str | Path | None) -> str | None:
    return "must name a folder, or be None" if folder == "" else None


ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Pattern of what tells callables of two processes apart, where they are written out."""

ACCESS_LEVELS = ("everyone", "authenticated", "staff", "nobody")
"""Who may ask for costly work, where no callable decides."""

DEFAULT_RATES: Mapping[str, str | None] = MappingProxyType({"anonymous": "60/hour", "authenticated": "600/hour"})
"""Requests for costly work that a visitor is allowed in a span of time."""

RATE_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
"""Seconds of the spans of time of a rate."""


def parse_rate(rate: str) -> tuple[int, int]:
    """Read a rate such as "60/hour": return the number of requests, and the seconds.

    Raises:
        ValueError: it is none.
    """
    count, _slash, unit = rate.partition("/")
    if not (count.isascii() and count.isdecimal() and unit in RATE_UNITS):
        raise ValueError(rate)
    return int(count), RATE_UNITS[unit]


def _validate_access(value: Any) -> str | None:
    if callable(value) or value in ACCESS_LEVELS or "." in value:
        return None
    levels = ", ".join(map(repr, ACCESS_LEVELS))
    return f"must be one of {levels}, or a callable that takes a request, or its dotted path, not {value!r}"


def _validate_store_labels(value: bool | str) -> str | None:
    if isinstance(value, bool) or "." in value:
        return None
    return f"must be True, False, or the dotted path of a LabelMethod, not {value!r}"


def _validate_verifier(value: Any) -> str | None:
    if value is None or callable(value) or "." in value:
        return None
    return f"must be a callable that takes two arrays of pixels, or its dotted path, not {value!r}"


def _validate_rates(rates: Mapping[Any, Any] | None) -> str | None:
    for group, rate in (rates or {}).items():
        if group not in DEFAULT_RATES:
            return f"must have rates of {' and '.join(map(repr, DEFAULT_RATES))}, not of {group!r}"
        try:
            if rate is not None:
                parse_rate(rate)
        except (ValueError, AttributeError):
            return f"must have rates such as '60/hour' (per {', '.join(RATE_UNITS)}) or None, not {rate!r}"
    return None


ACCESS_HELP = (
    'Who may %s: "everyone", "authenticated", "staff" or "nobody"; or a callable that takes a request, or its dotted '
    "path."
)


MIN_SIMILARITY_SURFACES = ("widget", "page", "rest", "search")
"""Keys of MIN_SIMILARITY."""


def _validate_min_similarity(value: Any) -> str | None:
    by_surface = value if isinstance(value, Mapping) else dict.fromkeys(MIN_SIMILARITY_SURFACES, value)
    for surface, minimum in by_surface.items():
        if surface not in MIN_SIMILARITY_SURFACES:
            return f"has the key {surface!r}, which is none of {', '.join(MIN_SIMILARITY_SURFACES)}"
        if isinstance(minimum, bool) or not isinstance(minimum, (int, float)) or not 0 <= minimum <= 100:
            return f"must be between 0 and 100, not {minimum!r}"
    return None


def _validate_merge_ignore(labels: Any) -> str | None:
    wrong = [label for label in labels if not isinstance(label, str) or label.count(".") not in (1, 2)]
    return f'must have texts such as "app.Model" or "app.Model.field", not {wrong[0]!r}' if wrong else None


def _validate_merge_hooks(hooks: Any) -> str | None:
    wrong = [hook for hook in hooks if not (callable(hook) or (isinstance(hook, str) and "." in hook))]
    return f"must have callables or their dotted paths, not {wrong[0]!r}" if wrong else None


def key_field(
    default: Any,
    *,
    help: str,  # noqa: A002 - as in argparse and Django's fields
    minimum: float | None = None,
    above: float | None = None,
    validate: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a key of the setting as a field of `Conf`.

    Args:
        default: the value of a project that does not set the key; copied for every instance.
        help: what the key does, with its unit, for the docs.
        minimum: the least number allowed.
        above: a number that the value must be greater than.
        validate: a function that returns what is wrong with a value of the right type, worded to follow its name.
    """
    metadata = {"default": default, "help": help, "minimum": minimum, "above": above, "validate": validate}
    if isinstance(default, dict):
        return field(default_factory=lambda: copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Conf:
    """Values of every key; the only declaration of their types, defaults and bounds."""

    models: list[str] | tuple[str, ...] | dict[str, Any] = key_field(
        (),
        help='Sources, as "app.Model.field"; or a dict from these to the `visible` callable or its dotted path, or to '
        "a dict of the options of `register()`.",
    )
    methods: dict[str, dict[str, Any]] = key_field(
        {"embedding": {}, "color": {}},
        help="Methods that compute the signatures of every image: built-in name or dotted path → options; or any name "
        '→ options with "class", which is one of these.',
        validate=_validate_methods,
    )
    encoders: str | Path | None = key_field(
        None,
        help="Folder of the encoders that `manage.py encoders add` adds, the same on all hosts, or a copy of it; web "
        "processes and workers read it.",
        validate=_validate_folder,
    )
    ranking: dict[str, int | float] | str = key_field(
        {"embedding": 0.93, "color": 0.07},
        help="Weights of the methods in a similarity, of which only the ratio counts; or the name of a ranking preset.",
        validate=_validate_ranking,
    )
    store_keypoints: bool = key_field(
        False,
        help="Keep compact keypoints of every image, 6 kB each, by which a search for copies tells which of its "
        "candidates are worth reading.",
    )
    store_labels: bool | str = key_field(
        False,
        help="Keep the names of what every image shows, five at most, for the admin: by the classes of ImageNet, or by "
        "those of a `LabelMethod` of your own, as a dotted path. It takes one more run of a network for each image.",
        validate=_validate_store_labels,
    )
    measures: dict[str, dict[str, Any]] = key_field(
        {},
        help="Options of measures, and measures of your own: built-in name or dotted path → options; or any name → "
        'options with "class", which is one of these.',
        validate=_validate_measures,
    )
    compare_measures: list[str] | tuple[str, ...] = key_field(
        ("alignment", "keypoints-rootsift", "ssim", "intersection", "emd-color", "embedding", "phash"),
        help="Measures by which the page and the REST API compare two images when a request names none.",
        validate=_validate_measure_names,
    )
    compare_timeout: int | float = key_field(
        5, above=0, help="Seconds after which a single measure of a comparison is abandoned."
    )
    compare_cache: str = key_field(
        "default",
        help="Alias of the Django cache that keeps uploads and drawings of comparisons, for ten minutes.",
    )
    compare_cache_visitor_bytes: int = key_field(
        32 * 2**20, minimum=1, help="Bytes that one visitor may keep in COMPARE_CACHE; the oldest make room."
    )
    compare_cache_max_bytes: int = key_field(
        128 * 2**20, minimum=1, help="Bytes that all visitors may keep in COMPARE_CACHE together."
    )
    widget_cache: str | None = key_field(
        None,
        help="Alias of the Django cache, shared by all processes, for widgets with `cache=seconds`. Saving or deleting "
        "an object of a source then also writes to this cache.",
    )
    widget_cache_group: str | Callable[..., Any] | None = key_field(
        None,
        help="A callable, or its dotted path, that takes a request and returns a text which is the same for visitors "
        "who see the same items; or None for one whose widgets are not cached. By default, only those of visitors who "
        "are not logged in are.",
    )
    limit: int = key_field(12, minimum=1, help="Number of matches when the caller gives no limit.")
    max_limit: int = key_field(
        100, minimum=1, help="Maximum number of matches that a page or REST request may ask for."
    )
    min_similarity: int | float | dict[str, int | float] = key_field(
        {"widget": 45, "page": 45, "rest": 45, "search": 30},
        help="Minimum similarity in percent where the caller gives none, by surface: widgets and template tags, the "
        "page of an item, the matches of an item over REST, and searches by an uploaded image, whose matches below "
        "that of the page are marked as less similar. One number is that of all surfaces.",
        validate=_validate_min_similarity,
    )
    near_duplicate_threshold: int | float = key_field(
        85,
        above=0,
        help="Similarity in percent from which two matches count as near-duplicates and are shown as one. A value "
        "above 100 turns this off.",
    )
    max_bytes: int = key_field(50 * 2**20, minimum=1, help="Maximum size of an image file in bytes; larger ones fail.")
    max_pixels: int = key_field(80_000_000, minimum=1, help="Maximum width × height of an image; larger ones fail.")
    formats: list[str] | tuple[str, ...] = key_field(
        DEFAULT_FORMATS,
        help="Formats of image files that are read, by Pillow's names; there are ICO, JPEG2000, and PSD, too. HEIF "
        "needs the extra `heif`.",
        validate=_validate_formats,
    )
    search_max_bytes: int = key_field(
        10 * 2**20, minimum=1, help="As MAX_BYTES, for an image that a visitor searches with or compares."
    )
    search_max_pixels: int = key_field(
        25_000_000, minimum=1, help="As MAX_PIXELS, for an image that a visitor searches with or compares."
    )
    request_timeout: int | float = key_field(
        10,
        above=0,
        help="Seconds after which a request is answered with an error instead of more work: a search by an uploaded "
        "image, the verification of copies, a comparison, labels.",
    )
    search_by_picture: str | Callable[..., Any] = key_field(
        "everyone",
        help=ACCESS_HELP % "search by an image, a part of one, or a text, on the page and over REST",
        validate=_validate_access,
    )
    compare: str | Callable[..., Any] = key_field(
        "everyone", help=ACCESS_HELP % "compare two images, on the page and over REST", validate=_validate_access
    )
    copy: str | Callable[..., Any] = key_field(
        "everyone", help=ACCESS_HELP % "search for copies", validate=_validate_access
    )
    rerank: str | Callable[..., Any] = key_field(
        "everyone",
        help=ACCESS_HELP % "have matches ranked again by keypoints or by the verifier",
        validate=_validate_access,
    )
    why_not: str | Callable[..., Any] = key_field(
        "everyone", help=ACCESS_HELP % "ask over REST why an object is not among the matches", validate=_validate_access
    )
    costly_rates: dict[str, str | None] | None = key_field(
        dict(DEFAULT_RATES),
        help="Requests for any of this work that one visitor is allowed, as a number per second, minute, hour or day; "
        "None for no limit. Stored matches are never limited.",
        validate=_validate_rates,
    )
    costly_max_limit: int = key_field(
        24,
        minimum=1,
        help="As MAX_LIMIT, for a search that compares images: for copies, or ranked again by keypoints or by the "
        "verifier.",
    )
    verifier: str | Callable[..., Any] | None = key_field(
        None,
        help='Callable, or its dotted path, by which `rerank="verifier"` ranks: it takes two images as arrays of RGB '
        "pixels, the query first, and returns from 0 to 1 how surely they belong together.",
        validate=_validate_verifier,
    )
    visitor: str | Callable[..., Any] | None = key_field(
        None,
        help="Callable that takes a request and returns a text that tells a visitor from others, or its dotted path. "
        'By default the user, or the address REMOTE_ADDR; behind one proxy, "similar_images.access.'
        'last_forwarded_address".',
    )
    merge_undo_days: int | float = key_field(
        30, above=0, help="Days in which a merge of duplicates can be undone; what that needs is deleted by a sweep."
    )
    merge_ignore: list[str] | tuple[str, ...] = key_field(
        ("wagtailimages.Rendition",),
        help='Rows that belong to an object itself, as "app.Model" or "app.Model.field": they are not changed to refer '
        "to the object that is kept in a merge, and are deleted with the others.",
        validate=_validate_merge_ignore,
    )
    merge_hooks: list[Any] | tuple[Any, ...] = key_field(
        (),
        help="Callables, or their dotted paths, that find references to merged objects which are no relations, such as "
        "those in rich text.",
        validate=_validate_merge_hooks,
    )
    center_from: int | None = key_field(
        300,
        minimum=50,
        help="Number of images from which what all images of a source share is taken off their embeddings, which finds "
        "more similar ones; None for never. It takes one more signature of the same size for each image.",
    )
    calibrate_from: int | None = key_field(
        300,
        minimum=50,
        help="Number of images from which percentages are made stricter by themselves where too many pairs of a "
        "source's images would be at 70 percent and more; None for never.",
    )
    hnsw_min_rows: int = key_field(
        5_000,
        minimum=1,
        help="Minimum number of signatures per source and method before an HNSW index is built; smaller sources are "
        "searched exactly.",
    )
    search_backend: dict[str, Any] | None = key_field(
        None,
        help="Server that finds the nearest signatures where one PostgreSQL is not enough: a dict of its options with "
        '"class", which is "milvus" or the dotted path of a `SearchBackend`; or None for pgvector alone. Nothing is '
        "searched by it before `manage.py search_backend --switch`.",
        validate=_validate_search_backend,
    )
    batch_size: int = key_field(32, minimum=1, help="Number of images that one task indexes.")
    claim_timeout: int | float = key_field(
        300, above=0, help="Seconds before images claimed by an unresponsive worker are handed to another one."
    )
    max_attempts: int = key_field(
        5,
        minimum=1,
        help="Number of attempts at an image that crashes the worker or fails in an unexpected way.",
    )
    queue: str | None = key_field(None, help="Celery queue of the tasks; None is the project's default queue.")

    @cached_property
    def fingerprint(self) -> str:
        """A text that is the same in all processes with the same setting."""
        return ADDRESS.sub("", repr(self))

    def min_similarity_on(self, surface: str) -> float:
        """Return the minimum similarity of a surface in percent, that of the defaults where the setting has none."""
        if not isinstance(self.min_similarity, dict):
            return self.min_similarity
        defaults = KEYS["MIN_SIMILARITY"].default
        return float(self.min_similarity.get(surface, defaults[surface]))


@dataclass(frozen=True)
class Key:
    """One key of the setting, as checks and docs need it."""

    name: str
    types: tuple[type[Any], ...]
    default: Any
    help: str
    minimum: float | None
    above: float | None
    validate: Callable[[Any], str | None] | None

    @property
    def type_names(self) -> str:
        """The types of a value in words: "int or float"."""
        return " or ".join("None" if type_ is NoneType else type_.__name__ for type_ in self.types)

    @property
    def bounds(self) -> str:
        """The least value in words, "at least 1" or "above 0"; empty without one."""
        if self.minimum is not None:
            return f"at least {self.minimum}"
        return "" if self.above is None else f"above {self.above}"

    def find_problem(self, value: Any) -> str | None:
        """Return what is wrong with a value, worded to follow its name; None where nothing is."""
        if not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types):
            return f"must be {self.type_names}, not {value!r}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"must be a finite number, not {value!r}"
        is_too_small = self.minimum is not None and value is not None and value < self.minimum
        if is_too_small or (self.above is not None and value <= self.above):
            return f"must be {self.bounds}, not {value!r}"
        return self.validate(value) if self.validate else None


def runtime_types(annotation: Any) -> tuple[type, ...]:
    """Return the classes of an annotation that `isinstance` takes: `list[str] | None` → (list, NoneType)."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return tuple(dict.fromkeys(kind for part in get_args(annotation) for kind in runtime_types(part)))
    if origin is Literal:
        return tuple(dict.fromkeys(type(value) for value in get_args(annotation)))
    return (origin or annotation,)


def _describe_keys() -> dict[str, Key]:
    annotations = get_type_hints(Conf)
    return {
        spec.name.upper(): Key(name=spec.name.upper(), types=runtime_types(annotations[spec.name]), **spec.metadata)
        for spec in fields(Conf)
    }


KEYS: Mapping[str, Key] = MappingProxyType(_describe_keys())
"""Every key of the setting, in the order of the docs."""

RENAMED_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "COMPARE_BY": "COMPARE_MEASURES",
        "FOLD_FROM": "NEAR_DUPLICATE_THRESHOLD",
        "INDEX_FROM": "HNSW_MIN_ROWS",
        "LEASE": "CLAIM_TIMEOUT",
        "SEARCH_TIMEOUT": "REQUEST_TIMEOUT",
    }
)
"""Keys of former versions and what they are called now; refused, as two names for one thing would have to be ranked."""


def find_problems(setting: Any) -> list[str]:
    """Return a sentence for everything that is wrong with a value of SIMILAR_IMAGES."""
    if not isinstance(setting, Mapping):
        return ["SIMILAR_IMAGES must be a dict."]
    problems = [
        f"SIMILAR_IMAGES[{name!r}] {problem}."
        for name, value in setting.items()
        if (problem := KEYS[name].find_problem(value) if name in KEYS else _describe_unknown_key(name))
    ]
    if not problems and setting.get("LIMIT", Conf.limit) > setting.get("MAX_LIMIT", Conf.max_limit):
        problems.append("SIMILAR_IMAGES['LIMIT'] is above SIMILAR_IMAGES['MAX_LIMIT'].")
    return problems


def _describe_unknown_key(name: Any) -> str:
    if name in RENAMED_KEYS:
        return f"is now called {RENAMED_KEYS[name]!r}"
    if similar := get_close_matches(str(name).upper(), KEYS, n=1):
        return f"is not a known key. Did you mean {similar[0]!r}? Known keys: {', '.join(sorted(KEYS))}"
    return f"is not a known key. Known keys: {', '.join(sorted(KEYS))}"


@lru_cache(maxsize=1)
def get() -> Conf:
    """Return the setting in force, defaults included.

    Raises:
        ImproperlyConfigured: a key or value is wrong; the message names it.
    """
    setting = getattr(settings, "SIMILAR_IMAGES", {})
    if problems := find_problems(setting):
        raise ImproperlyConfigured(" ".join(problems))
    return Conf(**{name.lower(): value for name, value in setting.items()})


set_formats_from(lambda: get().formats)


@receiver(setting_changed)
def _clear_conf_cache(*, setting: str, **kwargs: Any) -> None:
    if setting == "SIMILAR_IMAGES":
        get.cache_clear()

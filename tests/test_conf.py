from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from similar_images import conf, plugins

WRONG_KEYS: list[tuple[Any, list[Any]]] = [
    ("MODELS", ["catalog.Product.photo", None, 1, {"testapp.Picture.image"}]),
    ("METHODS", [None, [], ["embedding"], "embedding", {}, {"embedding": None}, {"color": []}, {1: {}}]),
    (
        "RANKING",
        [
            None,
            ["embedding"],
            0.5,
            {},
            {"embedding": 0},
            {"embedding": 1, "color": -0.1},
            {"color": "1"},
            {"color": None},
            {"color": float("nan")},
            {"color": float("inf")},
            {1: 1},
        ],
    ),
    *(
        (key, [None, "12", 1.5, 0, -1, True, []])
        for key in [
            "LIMIT",
            "MAX_LIMIT",
            "MAX_BYTES",
            "MAX_PIXELS",
            "SEARCH_MAX_BYTES",
            "SEARCH_MAX_PIXELS",
            "BATCH_SIZE",
            "HNSW_MIN_ROWS",
            "MAX_ATTEMPTS",
            "COMPARE_CACHE_VISITOR_BYTES",
            "COMPARE_CACHE_MAX_BYTES",
        ]
    ),
    *(
        (key, [None, "12", 0, -0.5, float("nan"), float("inf"), False, []])
        for key in [
            "MERGE_UNDO_DAYS",
            "REQUEST_TIMEOUT",
            "CLAIM_TIMEOUT",
            "COMPARE_TIMEOUT",
            "NEAR_DUPLICATE_THRESHOLD",
        ]
    ),
    ("MIN_SIMILARITY", [None, "40", -1, 101, True, {"shelf": 40}, {"page": 101}, {"page": "40"}]),
    *((key, ["300", 49, 300.5, True, []]) for key in ["CENTER_FROM", "CALIBRATE_FROM"]),
    ("ENCODERS", ["", 1, ["/srv/encoders"], True]),
    ("STORE_KEYPOINTS", [None, 1, "yes", []]),
    ("STORE_LABELS", [None, 1, "yes", []]),
    ("MEASURES", [None, [], "ssim", {"ssim": None}, {"ssim": []}, {1: {}}]),
    ("COMPARE_MEASURES", [None, "ssim", {"ssim": {}}, [], [1], 1]),
    ("FORMATS", [None, "JPEG", {"JPEG": {}}, [], ["jpeg"], ["JPEG", "EPS"], [1]]),
    ("MERGE_IGNORE", [None, "shop.Rendition", {"shop.Rendition": 1}, [1], ["rendition"]]),
    ("MERGE_HOOKS", [None, "shop.find", {}, [1], ["shop"]]),
    ("COMPARE_CACHE", [None, 1, ["default"]]),
    ("WIDGET_CACHE", [1, ["default"]]),
    ("WIDGET_CACHE_GROUP", [1, ["shop.groups"]]),
    *(
        (key, [None, 1, "anyone", ["staff"], True])
        for key in ["SEARCH_BY_PICTURE", "COMPARE", "COPY", "RERANK", "WHY_NOT"]
    ),
    ("COSTLY_RATES", ["60/hour", {"staff": "60/hour"}, {"anonymous": 60}, {"anonymous": "60"}, {"anonymous": "x/day"}]),
    ("COSTLY_MAX_LIMIT", [None, "12", 1.5, 0]),
    ("VISITOR", [1, True, ["a.b"]]),
    ("VERIFIER", [1, True, "verify", ["a.b"]]),
    ("SEARCH_BACKEND", [1, "milvus", [], {}, {"uri": "x"}, {"class": 1}, {"class": "milvus", 1: 2}]),
    ("QUEUE", [1, True, ["images"], b"images"]),
    ("LIMITS", [12]),
    ("limit", [12]),
    (5, [12]),
]


def test_wrong_keys__cover_every_key() -> None:
    assert conf.KEYS.keys() <= {key for key, _values in WRONG_KEYS}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG_KEYS for value in values], ids=repr)
def test_check__names_the_wrong_key(key: Any, value: Any) -> None:
    """`manage.py check` fails, and whatever needs the setting says the same."""
    with override_settings(SIMILAR_IMAGES={key: value}):
        with pytest.raises(SystemCheckError) as failed:
            call_command("check")
        assert f"(similar_images.E001) SIMILAR_IMAGES[{key!r}] " in str(failed.value)
        assert "similar_images.conf.Conf" in str(failed.value)
        with pytest.raises(ImproperlyConfigured) as raised:
            conf.get()
        assert f"SIMILAR_IMAGES[{key!r}] " in str(raised.value)


def test_check__every_wrong_key_at_once() -> None:
    with (
        override_settings(SIMILAR_IMAGES={"LIMIT": 0, "CLAIM_TIMEOUT": "x", "COLOUR": 1, "QUEUE": "fine"}),
        pytest.raises(SystemCheckError) as failed,
    ):
        call_command("check")
    assert str(failed.value).count("similar_images.E001") == 3
    assert "SIMILAR_IMAGES['LIMIT'] must be at least 1, not 0." in str(failed.value)
    assert "SIMILAR_IMAGES['CLAIM_TIMEOUT'] must be int or float, not 'x'." in str(failed.value)
    unknown = "SIMILAR_IMAGES['COLOUR'] is not a known key. Known keys: BATCH_SIZE, CALIBRATE_FROM, CENTER_FROM,"
    assert unknown in str(failed.value)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"LIMIT": None}, "['LIMIT'] must be int, not None."),
        ({"LIMIT": 1.5}, "['LIMIT'] must be int, not 1.5."),
        ({"QUEUE": 1}, "['QUEUE'] must be str or None, not 1."),
        ({"MODELS": 1}, "['MODELS'] must be list or tuple or dict, not 1."),
        ({"CLAIM_TIMEOUT": 0}, "['CLAIM_TIMEOUT'] must be above 0, not 0."),
        ({"CLAIM_TIMEOUT": float("inf")}, "['CLAIM_TIMEOUT'] must be a finite number, not inf."),
        (
            {"METHODS": {}},
            "['METHODS'] must name at least one method, each with a dict of options, e.g. {'embedding': {}}.",
        ),
        ({"MEASURES": {"ssim": 1}}, "['MEASURES'] must map names to dicts of options, e.g. {'ssim': {}}."),
        ({"COMPARE_MEASURES": []}, "['COMPARE_MEASURES'] must name at least one measure, e.g. ['ssim']."),
        ({"RANKING": {}}, "['RANKING'] must have weights between 0 and 1,000,000, at least one of them positive."),
        ({"RANKING": "shop"}, "['RANKING'] must be a ranking preset (product, photo, logo, best, copy)."),
    ],
    ids=repr,
)
def test_find_problems__says_what_is_expected(setting: dict[str, Any], problem: str) -> None:
    assert conf.find_problems(setting) == [f"SIMILAR_IMAGES{problem}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FOLD_FROM", "NEAR_DUPLICATE_THRESHOLD"),
        ("INDEX_FROM", "HNSW_MIN_ROWS"),
        ("LEASE", "CLAIM_TIMEOUT"),
        ("COMPARE_BY", "COMPARE_MEASURES"),
        ("SEARCH_TIMEOUT", "REQUEST_TIMEOUT"),
    ],
)
def test_check__names_the_new_key_of_a_renamed_one(old: str, new: str) -> None:
    """Also with a value that was right: a key that is silently ignored would change what the site does."""
    with (
        override_settings(SIMILAR_IMAGES={old: conf.KEYS[new].default}),
        pytest.raises(SystemCheckError, match=rf"E001\) SIMILAR_IMAGES\['{old}'\] is now called '{new}'\."),
    ):
        call_command("check")


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("LIMITS", "LIMIT"), ("limit", "LIMIT"), ("METHOD", "METHODS"), ("near_duplicates", "NEAR_DUPLICATE_THRESHOLD")],
)
def test_find_problems__suggests_the_nearest_key(wrong: str, near: str) -> None:
    (problem,) = conf.find_problems({wrong: 1})
    known = ", ".join(sorted(conf.KEYS))
    assert problem == f"SIMILAR_IMAGES[{wrong!r}] is not a known key. Did you mean '{near}'? Known keys: {known}."


@pytest.mark.parametrize("value", [1, conf.MAX_WEIGHT])
def test_is_valid_ranking__weights_up_to_a_million(value: float) -> None:
    assert conf.is_valid_ranking({"embedding": value, "color": 0})
    assert not conf.is_valid_ranking({"embedding": value, "color": 1_000_001})


@pytest.mark.parametrize("preset", ["product", "photo", "logo", "copy"])
def test_find_problems__a_ranking_may_be_a_preset(preset: str) -> None:
    assert conf.find_problems({"RANKING": preset}) == []


def test_keys__say_what_the_docs_need() -> None:
    assert list(conf.KEYS) == [field.name.upper() for field in dataclasses.fields(conf.Conf)]
    claim_timeout, queue = conf.KEYS["CLAIM_TIMEOUT"], conf.KEYS["QUEUE"]
    assert (claim_timeout.type_names, claim_timeout.default, claim_timeout.bounds) == ("int or float", 300, "above 0")
    assert claim_timeout.help.startswith("Seconds before images claimed by an unresponsive worker")
    assert (queue.type_names, queue.default, queue.bounds) == ("str or None", None, "")
    assert conf.KEYS["BATCH_SIZE"].bounds == "at least 1"
    for key in conf.KEYS.values():
        assert key.help.endswith("."), key.name
        assert getattr(conf.Conf(), key.name.lower()) == key.default


def test_defaults__are_those_of_the_docs() -> None:
    assert dataclasses.asdict(conf.Conf()) == {
        "models": (),
        "methods": {"embedding": {}, "color": {}},
        "encoders": None,
        "ranking": {"embedding": 0.93, "color": 0.07},
        "store_keypoints": False,
        "store_labels": False,
        "measures": {},
        "compare_measures": (
            "alignment",
            "keypoints-rootsift",
            "ssim",
            "intersection",
            "emd-color",
            "embedding",
            "phash",
        ),
        "compare_timeout": 5,
        "compare_cache": "default",
        "compare_cache_visitor_bytes": 33_554_432,
        "compare_cache_max_bytes": 134_217_728,
        "widget_cache": None,
        "widget_cache_group": None,
        "limit": 12,
        "max_limit": 100,
        "near_duplicate_threshold": 85,
        "max_bytes": 52_428_800,
        "max_pixels": 80_000_000,
        "formats": ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "HEIF"),
        "search_max_bytes": 10_485_760,
        "search_max_pixels": 25_000_000,
        "request_timeout": 10,
        "search_by_picture": "everyone",
        "compare": "everyone",
        "copy": "everyone",
        "rerank": "everyone",
        "why_not": "everyone",
        "costly_rates": {"anonymous": "60/hour", "authenticated": "600/hour"},
        "costly_max_limit": 24,
        "verifier": None,
        "visitor": None,
        "merge_undo_days": 30,
        "merge_ignore": ("wagtailimages.Rendition",),
        "merge_hooks": (),
        "center_from": 300,
        "calibrate_from": 300,
        "hnsw_min_rows": 5000,
        "min_similarity": {"widget": 45, "page": 45, "rest": 45, "search": 30},
        "search_backend": None,
        "batch_size": 32,
        "claim_timeout": 300,
        "max_attempts": 5,
        "queue": None,
    }


def test_conf__can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        conf.get().limit = 3
    with pytest.raises(TypeError):
        conf.Conf(["testapp.Picture.image"])


def test_conf__instances_share_no_mutable_default() -> None:
    assert conf.Conf().ranking == conf.Conf().ranking
    assert conf.Conf().ranking is not conf.Conf().ranking


@pytest.mark.parametrize("setting", [{"LIMIT": 101}, {"MAX_LIMIT": 11}, {"LIMIT": 8, "MAX_LIMIT": 7}], ids=repr)
def test_check__more_matches_by_default_than_one_may_ask_for(setting: dict[str, Any]) -> None:
    problem = "SIMILAR_IMAGES['LIMIT'] is above SIMILAR_IMAGES['MAX_LIMIT']."
    with override_settings(SIMILAR_IMAGES=setting):
        with pytest.raises(SystemCheckError) as failed:
            call_command("check")
        assert f"(similar_images.E001) {problem}" in str(failed.value)
        with pytest.raises(ImproperlyConfigured) as raised:
            conf.get()
        assert str(raised.value) == problem


@pytest.mark.parametrize("value", [None, [], "LIMIT", 5, [("LIMIT", 5)]])
def test_check__the_setting_is_no_dict(value: Any) -> None:
    with (
        override_settings(SIMILAR_IMAGES=value),
        pytest.raises(SystemCheckError, match=r"E001\) SIMILAR_IMAGES must be"),
    ):
        call_command("check")


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"MODELS": []},
        {"MODELS": ()},
        {"MODELS": {}},
        {"METHODS": {"color": {"white_tolerance": 3}}, "RANKING": {"color": 1}},
        {"RANKING": {"embedding": 0, "color": 0.5}},
        {key.name: 0.01 for key in conf.KEYS.values() if key.above is not None},
        {key.name: key.minimum or 1 for key in conf.KEYS.values() if int in key.types},
        {"QUEUE": None},
        {"QUEUE": "images"},
        {"LIMIT": 100},
        {"MAX_LIMIT": 12},
    ],
    ids=repr,
)
def test_check__right_values(setting: dict[str, Any]) -> None:
    with override_settings(SIMILAR_IMAGES=setting):
        call_command("check")
        for key, value in setting.items():
            assert getattr(conf.get(), key.lower()) == value


def test_defaults__are_valid() -> None:
    assert conf.find_problems({name: getattr(conf.Conf(), name.lower()) for name in conf.KEYS}) == []


def test_get__without_the_setting(settings: Any) -> None:
    del settings.SIMILAR_IMAGES
    assert conf.get() == conf.Conf()
    assert conf.get().limit == 12
    conf.get.cache_clear()  # what is deleted comes back after the test without a signal


def test_get__override_takes_effect_at_once(configure: Any) -> None:
    before = conf.get()
    with override_settings(SIMILAR_IMAGES={"LIMIT": 3}):
        assert conf.get().limit == 3
        assert conf.get() is conf.get()
        with override_settings(SIMILAR_IMAGES={"LIMIT": "x"}), pytest.raises(ImproperlyConfigured, match="'LIMIT'"):
            conf.get()
        assert conf.get().limit == 3
    assert conf.get() == before
    configure(MAX_LIMIT=70)
    assert conf.get().max_limit == 70


def test_enabled__override_takes_effect_at_once() -> None:
    assert list(plugins.enabled_methods()) == ["embedding", "color"]
    with override_settings(SIMILAR_IMAGES={"METHODS": {"color": {"white_tolerance": 3}}}):
        assert list(plugins.enabled_methods()) == ["color"]
        narrow = plugins.enabled_methods()["color"].version
    assert list(plugins.enabled_methods()) == ["embedding", "color"]
    assert plugins.enabled_methods()["color"].version != narrow

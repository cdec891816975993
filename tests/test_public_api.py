"""The public names of the package, and the search functions' signatures."""

from __future__ import annotations

import inspect

import pytest

import similar_images
from similar_images.search.options import SearchOptions

NAMES = {
    "Comparison",
    "Incomparable",
    "Label",
    "Match",
    "Matches",
    "NotRegistered",
    "Reason",
    "SearchTimeout",
    "SimilarMixin",
    "SimilarQuerySet",
    "UnreadableImage",
    "clear_widgets",
    "compare",
    "labels",
    "mark",
    "register",
    "similar_to",
    "unmark",
    "why_not",
}


def test_dir__lists_the_public_names_and_no_others() -> None:
    assert set(similar_images.__all__) == NAMES
    assert dir(similar_images) == sorted(NAMES | {"__version__"})


@pytest.mark.parametrize("name", sorted(NAMES))
def test_names__can_be_imported_and_have_a_docstring(name: str) -> None:
    value = getattr(similar_images, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    assert getattr(similar_images, name) is value


def test_unknown_names__raise_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'similar_images' has no attribute 'similarto'"):
        _ = similar_images.similarto


@pytest.mark.parametrize("name", ["similar_to", "why_not"])
def test_signatures__have_every_option_of_python(name: str) -> None:
    signature = inspect.signature(getattr(similar_images, name))
    declared = SearchOptions.on("python")
    assert declared.keys() <= signature.parameters.keys()
    assert {option: signature.parameters[option].default for option in declared} == {
        option: spec.default for option, spec in declared.items()
    }

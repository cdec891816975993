"""Targets for atheris, which changes inputs so that they reach code that no other input has reached.

    pip install -e ".[fuzz]"
    mkdir inputs
    python -m tests.fuzz.atheris_targets decoder inputs -max_total_time=600 -timeout=10

The arguments are the target, a folder in which inputs that reach new code are saved, and options of libFuzzer. It
begins with the inputs of that folder, and some of its own. It ends at the first error that is no refusal, at a crash,
and at an input that takes longer than the options allow.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
from django.conf import settings
from django.http import QueryDict

with atheris.instrument_imports(include=["similar_images", "PIL"]):
    import django

    APPS = ["django.contrib.contenttypes", "django.contrib.auth", "similar_images"]
    settings.configure(USE_I18N=False, INSTALLED_APPS=APPS)
    django.setup()
    from similar_images.duplicates.scan_cache import _unpack_values
    from similar_images.forms.search import RestSimilarForm, RestTextForm
    from similar_images.imaging.decoder.protocol import Refusal
    from similar_images.imaging.decoder.reader import load_image, open_image
    from similar_images.imaging.decoder.structure import check_structure
    from similar_images.search.options import parse_box, parse_ranking
    from similar_images.signatures.embedding.checkpoint import UnreadableCheckpoint, parse_checkpoint

from tests import methods
from tests.fuzz.corpus import drawn_files

MAX_PIXELS = 1_000_000
MAX_BYTES = 2**30
"""Address space, enough for atheris and this number of pixels. The decoder's own process has such a limit, too."""

OPTIONS = [
    b"limit=12&min_similarity=70.5&method=embedding&fold=0&diversity=0.3&explain=1&distances=1",
    b"ranking=embedding:0.8,color:0.2&like=12&like=15&unlike=13&box=0.1,0.2,0.5,0.5&fallback=newest&why_not=15",
    b"mode=copy&rerank=keypoints&field=photo&text=red+chair&model=shop.product&labels=1&ranking=product",
]


def decode(data: bytes) -> None:
    """Decode a file in this process, as the decoder's own does: it takes any error of Pillow's for a damaged file."""
    try:
        check_structure(data)
        image = open_image(data, MAX_PIXELS)
        _width, _height, pixels = load_image(image, data)
    except Exception:
        return
    assert pixels.mode == "RGB"


def check_file(data: bytes) -> None:
    """Check how a file is built."""
    with contextlib.suppress(Refusal):
        check_structure(data)


def read_options(data: bytes) -> None:
    """Read the options of a search from a query string."""
    query = QueryDict(data)
    for form in (RestSimilarForm(query), RestTextForm(query)):
        if form.is_valid():
            form.search_options()
    for parse in (parse_box, parse_ranking):
        with contextlib.suppress(ValueError):
            parse(data.decode("utf-8", "replace"))


def read_signature(data: bytes) -> None:
    """Read signatures from the file in which a scan keeps them."""
    for method in (methods.Mean(), methods.Bits(), methods.Sparse()):
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            _unpack_values(method, data)


def read_checkpoint(data: bytes) -> None:
    """Read the weights of a network."""
    with contextlib.suppress(UnreadableCheckpoint):
        parse_checkpoint(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decoder": decode,
    "structure": check_file,
    "options": read_options,
    "signatures": read_signature,
    "checkpoint": read_checkpoint,
}


def main() -> None:
    target, folder, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as drawn:
        for number, data in enumerate(OPTIONS if target == "options" else drawn_files().values()):
            Path(drawn, str(number)).write_bytes(data)
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
        atheris.Setup([sys.argv[0], *options, folder, drawn], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()

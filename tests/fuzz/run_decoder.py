"""Run many damaged files through the decoder, and tell the slowest case, the peak of memory, and every crash.

    python -m tests.fuzz.corpus FOLDER
    python -m tests.fuzz.run_decoder --corpus FOLDER --cases 100000 --processes 2 --keep FAILED

The cases are files made to be costly, the drawn ones and those of the corpus as they are, the drawn ones cut at every
byte, and then drawn and corpus files damaged at random, the same with every run of a seed. The exit code is 1 if a case
was answered by anything but pixels or a refusal, or took longer than the decoder's bound.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from django.conf import settings

from similar_images.imaging.formats import accepted_suffixes
from tests import hostile
from tests.fuzz import corpus
from tests.fuzz.mutations import mutate, truncations

MIN_WALL_SECONDS = 15
"""What a case may take beyond the processor time that the decoder allows, as others use the machine, too."""


@dataclass
class Report:
    """What came of the cases of a process."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    decoder_kilobytes: int = 0
    own_kilobytes: int = 0

    def add(self, other: Report) -> None:
        """Take in the report of another process."""
        self.outcomes += other.outcomes
        self.slowest = sorted(self.slowest + other.slowest, reverse=True)[:5]
        self.faults += other.faults
        self.decoder_kilobytes = max(self.decoder_kilobytes, other.decoder_kilobytes)
        self.own_kilobytes = max(self.own_kilobytes, other.own_kilobytes)


def make_cases(files: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield as many cases: a name, and a function that makes the bytes."""
    drawn = corpus.drawn_files()
    everything = drawn | files
    # Damaged files of other formats are all refused for their first bytes.
    names = [name for name in everything if name in drawn or name.lower().endswith((*accepted_suffixes(), ".mpo"))]
    contents = [everything[name] for name in names]
    made = [(name, make()) for name, make in (hostile.WORST_FILES | hostile.COSTLY_FILES).items()]
    made += everything.items()
    made += [(f"{name}, cut at {len(cut)}", cut) for name, data in drawn.items() for cut in truncations(data)]
    for name, data in made[:count]:
        yield name, partial(bytes, data)
    for number in range(len(made), count):
        rng = random.Random(f"{seed} {number}")
        name = rng.choice(names)
        yield f"{name}, damaged by {seed} {number}", partial(mutate, everything[name], rng, contents)


def run_cases(arguments: argparse.Namespace, process: int) -> Report:
    """Run every case whose number is that of the process, modulo their number."""
    settings.configure(USE_I18N=False)
    from similar_images import conf
    from similar_images.imaging import decoders
    from similar_images.imaging.decode import MESSAGES, UnreadableImage, decode

    report = Report()
    max_pixels = conf.get().search_max_pixels
    bound = decoders.LIMITS.processor_seconds(max_pixels) + MIN_WALL_SECONDS
    ended = {MESSAGES[code](""): code for code in ("time", "memory", "crash")}
    files = corpus.read_files(arguments.corpus) if arguments.corpus else {}
    cases = enumerate(make_cases(files, arguments.cases, arguments.seed))
    for number, (name, make_bytes) in islice(cases, process, None, arguments.processes):
        data, fault = make_bytes(), ""
        started = time.perf_counter()
        try:
            decode(data, max_pixels=max_pixels)
            outcome = "decoded"
        except UnreadableImage as error:
            outcome = ended.get(str(error), "refused")
        except Exception as error:  # what must not happen
            outcome = repr(error)
        seconds = time.perf_counter() - started
        report.outcomes[outcome] += 1
        report.slowest = sorted([*report.slowest, (round(seconds, 3), name)], reverse=True)[:5]
        if outcome not in ("decoded", "refused", "time", "memory"):
            fault = outcome
        elif seconds > bound:
            fault = f"{seconds:.1f} s"
        if fault:
            report.faults.append(f"{name}: {fault}")
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{number}.bin").write_bytes(data)
        if process == 0 and number % 5000 == 0:
            print(number, dict(report.outcomes), report.slowest[:1], file=sys.stderr, flush=True)
    decoders.get_pool().close()
    report.decoder_kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    report.own_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="More files to damage.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Write the files of faults there.")
    arguments = parser.parse_args()
    started = time.monotonic()
    total = Report()
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for report in pool.starmap(run_cases, [(arguments, process) for process in range(arguments.processes)]):
            total.add(report)
    figures = {
        "cases": total.outcomes.total(),
        "outcomes": dict(total.outcomes.most_common()),
        "faults": total.faults,
        "slowest_seconds": total.slowest,
        "peak_megabytes": {"decoder": total.decoder_kilobytes // 1024, "caller": total.own_kilobytes // 1024},
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    print(json.dumps(figures, indent=2))
    sys.exit(bool(total.faults))


if __name__ == "__main__":
    main()

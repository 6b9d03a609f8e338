"""How often `bench monitor` raises an alarm, and how good its guesses of accuracy are, on Scenes, where truth is known.

    uv run bench run --task image-classification --model film --profile smoke --no-measure --results drift \\
        --set train.steps=400 --set train.limit=2000
    uv run bench export film --results drift --out drift-film
    uv run python -m tests.benchmarks.bench_drift drift-film --results drift

Each split is answered once. Then, over and over, as many samples are drawn from the split test as reference and from
each split as new ones, of test other ones than the reference, and compared as the command compares them. Printed as
Markdown: how often an alarm was raised, with a 95 % interval (Wilson); on test that is the rate of false alarms. ATC
and DoC: the mean estimate, how far it was off on average, and how often its interval held the accuracy of the split.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.cli.options import environment_of_command
from harness.plan.plugins import load_task
from harness.record import Estimate
from harness.records.rescore import DataPlace, open_record_data
from harness.records.store import Store
from harness.serve.answer_columns import confidence_of
from harness.serve.bundle import Bundle
from harness.serve.monitor import Looked, look_at, shift_tests_of, which_are_right
from harness.serve.served_model import load_served
from harness.stats.intervals import wilson
from harness.stats.shift_tests import together
from harness.stats.unlabelled_accuracy import LABEL_FREE, estimate_accuracy

ALPHA, RESAMPLES = 0.05, 200


def taken(looked: Looked, places: Sequence[int]) -> Looked:
    """Some of the samples that a model saw."""
    features = None if looked.features is None else looked.features[places]
    return Looked(features, [looked.answers[p] for p in places], [looked.targets[p] for p in places], 0)


def line_of(
    bundle: Bundle, name: str, reference: Looked, new: Looked, size: int, draws: int, random: np.random.Generator
) -> str:
    """Draw and compare; a line of the table."""
    alarms, guesses = 0, {method: list[Estimate]() for method in LABEL_FREE}
    right = which_are_right(bundle, new)
    truth = float(right.mean())
    for _ in range(draws):
        known = random.permutation(len(reference.answers))
        drawn = known[size : 2 * size] if new is reference else random.permutation(len(new.answers))[:size]
        one, other = taken(reference, known[:size]), taken(new, drawn)
        alarms += any(test.adjusted <= ALPHA for test in together(shift_tests_of(bundle, one, other, random)))
        sure = [np.array(list(map(confidence_of, each.answers))) for each in (one, other)]
        found = estimate_accuracy(sure[0], which_are_right(bundle, one), sure[1], RESAMPLES, random)
        for method, guess in found.items():
            guesses[method].append(guess)
    low, high = wilson(alarms, draws)
    cells = [name, f"{len(new.answers):,}", f"{alarms / draws:.2f} [{low:.2f}, {high:.2f}]", f"{truth:.3f}"]
    for own in guesses.values():
        values = np.array([each.value for each in own])
        held = sum(each.low <= truth <= each.high for each in own if each.low is not None and each.high is not None)
        cells.append(f"{values.mean():.3f}, off by {abs(values - truth).mean():.3f}, held {held / draws:.2f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Answer every split once, and print the table."""
    wish = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wish.add_argument("folder", type=Path)
    wish.add_argument("--results", default="results/local")
    wish.add_argument("--splits", default="test,val,style,light,prior-conflict")
    wish.add_argument("--size", type=int, default=100)
    wish.add_argument("--draws", type=int, default=100)
    given = wish.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as cache:
        served = load_served(given.folder, Path(cache))
    task = load_task(served.bundle.task)
    record = Store(given.results).find_record(served.bundle.task, served.bundle.record)
    assert record is not None
    place = DataPlace(environment_of_command(), None, progress=lambda *_: None)
    looked = {}
    for split in given.splits.split(","):
        data = open_record_data(task, replace(record, split=split), place)
        samples = list(task.samples(data, split))[:1000]
        looked[split] = look_at(served, samples, split, lambda *_: None)
    print("| new samples | of | alarms | accuracy | ATC | DoC |\n|---|---:|---:|---:|---|---|")
    for split, new in looked.items():
        name = f"{split} (no shift)" if split == "test" else split
        print(line_of(served.bundle, name, looked["test"], new, given.size, given.draws, random), flush=True)


if __name__ == "__main__":
    main()

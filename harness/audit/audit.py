"""Audits a data set as a task reads it: what is broken or odd, shared between splits, guessable, unbalanced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.audit.answers_of_data import class_balance, disagreement
from harness.audit.findings import findings_of
from harness.audit.found import Audit, SharedImages, SplitAudit
from harness.audit.guesses import blind_guesses
from harness.audit.image_checks import CheckedImages, check_images
from harness.audit.near_duplicates import near_pairs
from harness.protocols import NOTICE, Task
from harness.sample import Dataset, Sample
from harness.storage.content import Contents

Progress = Callable[[str, int, int], None]
_SHOWN = 20


def audit_data(task: Task, data: Dataset, progress: Progress, cache: Path) -> Audit:
    """Read and decode every image of a data set once; nothing is trained.

    Of built-in data the splits that a run reads by itself: the others are made when they are asked for.
    """
    contents = Contents(cache, progress)
    of_runs = (data.training_split, data.selection_split, data.default_split)
    samples = {split: task.samples(data, split) for split in data.splits if not data.embedded or split in of_runs}
    if len(samples) < len(data.splits):
        progress(f"{data.name} is built in: {', '.join(samples)} are audited, and no other split", 0, NOTICE)
    training = samples.get(data.training_split or "", ())
    names = task.spec(data, training).classes.names
    checked = {split: check_images([s.image for s in found], split, progress) for split, found in samples.items()}
    splits = [
        _split(task, split, found, checked[split], (training, names), contents, data.training_split)
        for split, found in samples.items()
    ]
    shared = list(_shared(checked, samples))
    found = Audit(task.name, data.name, data.digest, splits, shared)
    return replace(found, findings=list(findings_of(found, data.training_split)))


def _split(
    task: Task, split: str, samples: Sequence[Sample], checked: CheckedImages,
    training: tuple[Sequence[Sample], Sequence[str]], contents: Contents, training_split: str | None,
) -> SplitAudit:  # fmt: skip
    of_training, names = training
    digests = contents.of([sample.image for sample in samples])
    same = {sample.sample_id: digest for sample, digest in zip(samples, digests, strict=True)}
    return SplitAudit(
        split,
        len(samples),
        len({sample.image for sample in samples}),
        {str(path): why for path, why in checked.unreadable.items()},
        {str(path): why for path, why in checked.odd.items()},
        [] if split == training_split else blind_guesses(task, of_training, samples),
        class_balance(task, names, split, samples),
        disagreement(task, samples, same),
    )


def _shared(checked: Mapping[str, CheckedImages], samples: Mapping[str, Sequence[Sample]]) -> Iterator[SharedImages]:
    """Compare every two splits, but for those that are of the same files on purpose."""
    splits = list(checked)
    for number, first in enumerate(splits):
        for second in splits[number + 1 :]:
            mine, others = set(checked[first].hashed), set(checked[second].hashed)
            if mine & others and (mine <= others or others <= mine):
                continue
            pairs = sorted(near_pairs(checked[first], checked[second]), key=lambda pair: (pair.bits, pair.second))
            if pairs:
                yield SharedImages(first, second, len(pairs), len(others), pairs[:_SHOWN])

"""Scenes as a data set of labels: what is the biggest object (with or without a remark), or the one that is meant?

Track *plain*: the image alone; the class is the kind of the target, the biggest object. Track *context*: a remark
stands beside the image, honest, misleading, absent or irrelevant; in training each image has the one that was drawn
for it, in every other split it is asked under all four. Track *reference*: an expression says which object is meant,
and the class is its shape; in training each image is asked about several of its objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.sample import Classes, Dataset, Sample
from tasks.datasets.split_roles import mixed
from tasks.formats.json_files import read_json
from tasks.scenes import layout
from tasks.scenes.factors import KINDS, SHAPES, Kind
from tasks.scenes.splits import SPLITS
from tasks.scenes_data.groups import AGREEMENT, group_name, in_groups, lured_classes
from tasks.scenes_data.open import OPEN_PARTS
from tasks.targets.targets import LabelTarget

TRACKS = ("plain", "context", "reference")
CONDITIONS = ("honest", "absent", "irrelevant", "misleading")
CLOSED_KINDS = tuple(kind for kind in KINDS if kind.tier != "novel")
OPEN_KINDS = tuple(kind for kind in KINDS if kind.tier != "rare")


def read_scene_rows(data: Dataset, split: str) -> list[dict[str, Any]]:
    """Read the rows of a generated split: factors, targets, remarks, expressions."""
    rows: list[dict[str, Any]] = read_json(layout.annotation_file(data.root, "scenes", split))["images"]
    return rows


def scene_label_samples(data: Dataset, split: str, track: str) -> Sequence[Sample]:
    """Samples of a track, in the order of the images."""
    samples = []
    for row, asked in _questions(data, split, track):
        image = layout.image_dir(data.root, split) / row["file_name"]
        samples += [Sample(f"{row['id']}{suffix}", image, target, text) for suffix, text, target in asked]
    return samples if track == "reference" else _of_groups(data, split, samples, CLOSED_KINDS)


def open_label_samples(data: Dataset, split: str) -> Sequence[Sample]:
    """Plain samples over base and novel kinds; parts of a compound split are mixed, so that a limit takes of each."""
    index = {kind.category_id: position for position, kind in enumerate(OPEN_KINDS)}
    samples = []
    for part in OPEN_PARTS.get(split, (split,)):
        for row in read_scene_rows(data, part):
            if row["target"] is not None and row["target"]["category_id"] in index:
                target = _in_group(row, LabelTarget(index[row["target"]["category_id"]]), OPEN_KINDS)
                samples.append(Sample(str(row["id"]), layout.image_dir(data.root, part) / row["file_name"], target))
    return _of_groups(data, split, samples if split not in OPEN_PARTS else mixed(samples), OPEN_KINDS)


def kind_classes(
    kinds: Sequence[Kind], texts: Sequence[tuple[str, ...]], test_texts: Sequence[tuple[str, ...]] = ()
) -> Classes:
    """The classes of these kinds, worded as `texts`, at test time as `test_texts`; their factors are attributes."""
    from tasks.scenes.class_texts import class_attributes

    _, attributes = class_attributes()
    return Classes(
        names=tuple(kind.name for kind in kinds),
        texts=tuple(texts),
        test_texts=tuple(test_texts),
        seen=tuple(kind.tier != "novel" for kind in kinds),
        attributes=tuple(tuple(float(value) for value in attributes[kind.name]) for kind in kinds),
    )


def shape_classes(texts: Sequence[tuple[str, ...]]) -> Classes:
    """The classes of track *reference*: the shapes."""
    one_hot = tuple(tuple(float(shape == other) for other in SHAPES) for shape in SHAPES)
    return Classes(names=SHAPES, texts=tuple(texts), seen=(True,) * len(SHAPES), attributes=one_hot)


def scene_label_ceilings(data: Dataset, split: str, samples: Sequence[Sample]) -> Mapping[str, Mapping[str, float]]:
    """What the best guesser reaches on these samples from the image, the text and both, together and in each slice.

    On track *context* conditions weigh as often as they are asked under: all the same but in training. Expressions
    have a ceiling where they were drawn for it, in the refer split, and the biggest object everywhere else.
    """
    from tasks.scenes.oracle import Ceiling, context_cells, plain_ceiling, reference_ceiling

    images = {sample.target.image_id for sample in samples}
    rows = [row for row in read_scene_rows(data, split) if str(row["id"]) in images]
    track = data.options["track"]
    if (track == "reference") != (SPLITS[split].plan == "refer"):
        return {}
    if track == "reference":
        return {"top-1": _by_source(reference_ceiling(rows))}
    if track == "plain":
        return {"top-1": _by_source(plain_ceiling(split, rows))}
    cells: dict[str, Ceiling] = {}
    for name in sorted({name for sample in samples for name in sample.target.slices}):
        own = {sample.target.image_id for sample in samples if name in sample.target.slices}
        found = context_cells(split, [row for row in rows if str(row["id"]) in own])
        cells.update((name, cell) for key, cell in found.items() if " ".join(key) == name)
    asked = sum(cell.images for cell in cells.values())
    sums = [sum(getattr(c, which) * c.images for c in cells.values()) / asked for which in ("vision", "text", "both")]
    slices = {f"top-1[{name}]": _by_source(cell) for name, cell in cells.items()}
    return {"top-1": _by_source(Ceiling(sums[0], sums[1], sums[2], asked)), **slices}


def _by_source(ceiling: Any) -> dict[str, float]:
    return {which: float(getattr(ceiling, which)) for which in ("vision", "text", "both")}


Asked = tuple[str, str | None, LabelTarget]
"""What is added to the image id to name a sample, the text beside the image, and the answer."""


def _questions(data: Dataset, split: str, track: str) -> Iterator[tuple[dict[str, Any], Iterator[Asked]]]:
    rows, training = read_scene_rows(data, split), split == data.training_split
    if track == "reference" and training:
        from tasks.scenes_data.expressions import read_pickable

        pickable = read_pickable(data, split)
        yield from ((row, _several_references(row, *pickable[row["id"]])) for row in rows)
        return
    ask = {"plain": _plain, "reference": _reference, "context": _drawn_context if training else _context}[track]
    yield from ((row, ask(row)) for row in rows)


def _plain(row: Mapping[str, Any]) -> Iterator[Asked]:
    label = _closed_label(row)
    if label is not None:
        yield "", None, _in_group(row, LabelTarget(label, slices=(_light(row),)), CLOSED_KINDS)


def _context(row: Mapping[str, Any]) -> Iterator[Asked]:
    label = _closed_label(row)
    for condition in CONDITIONS if label is not None else ():
        yield _under(row, label or 0, condition)


def _drawn_context(row: Mapping[str, Any]) -> Iterator[Asked]:
    label = _closed_label(row)
    if label is not None:
        yield _under(row, label, row["remark_condition"])


def _under(row: Mapping[str, Any], label: int, condition: str) -> Asked:
    target = LabelTarget(label, image_id=str(row["id"]), slices=(f"{_light(row)} {condition}",))
    return f"-{condition}", row["remarks"][condition], target


def _reference(row: Mapping[str, Any]) -> Iterator[Asked]:
    expression = row["expression"]
    if expression is not None:
        slices = (f"{expression['choices']} objects",)
        target = LabelTarget(SHAPES.index(expression["shape"]), image_id=str(row["id"]), slices=slices)
        yield "", expression["text"], target


def _several_references(
    row: Mapping[str, Any], objects: list[dict[str, str]], centres: list[tuple[int, int]]
) -> Iterator[Asked]:
    from tasks.scenes_data.expressions import training_questions

    for number, (text, shape) in enumerate(training_questions(row, objects, centres)):
        yield f"-{number}", text, LabelTarget(SHAPES.index(shape), image_id=str(row["id"]))


def _in_group(row: Mapping[str, Any], target: LabelTarget, kinds: Sequence[Kind]) -> LabelTarget:
    """Name the image, and its group where it stands in one; light is no group beside these."""
    name, image_id = group_name(row), str(row["id"])
    if name is None:
        return replace(target, image_id=image_id)
    return replace(target, image_id=image_id, slices=(name,), lured=lured_classes(row, kinds))


def _of_groups(data: Dataset, split: str, samples: list[Sample], kinds: Sequence[Kind]) -> list[Sample]:
    """Where training is of the kinds of two patterns, checkpoints are selected on these alone."""
    if AGREEMENT not in data.options or split != data.selection_split:
        return samples
    return [sample for sample in samples if in_groups(kinds[sample.target.label])]


def _closed_label(row: Mapping[str, Any]) -> int | None:
    """The index of the target's kind among base and rare ones; None where there is no target or a novel one."""
    if row["target"] is None:
        return None
    number = row["target"]["category_id"]
    return next((i for i, kind in enumerate(CLOSED_KINDS) if kind.category_id == number), None)


def _light(row: Mapping[str, Any]) -> str:
    return "night" if row["light"] == "night" else "clear"

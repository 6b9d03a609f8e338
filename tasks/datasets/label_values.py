"""What label images hold, counted before anything is scored: classes that none shows, and ignored values that hide one.

A mask of 0 and 255 with a list of two names is such a case: 255 is ignored, the second class is never asked for, and
whoever answers the first one everywhere has mean IoU 1.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.errors import DataError
from harness.files import replace_atomically
from harness.inputs.decoding_memory import PixelBudget
from harness.processors import usable_processors
from harness.protocols import DataContext
from harness.sample import Note
from harness.storage.content import Contents
from harness.storage.digest import DigestError, with_digest, without_digest
from tasks.formats.coco_panoptic import Panoptic
from tasks.formats.digests import digest_of_files
from tasks.formats.label_maps import LabelEntry, LabelMaps, LabelScheme, require_known_values, values_and_places

_MUCH = 0.01
"""Of so large a share of ignored pixels is said that they may be a class that nothing shows; borders are less."""
_MOST = 0.5


def label_notes(splits: Mapping[str, LabelMaps], context: DataContext) -> tuple[Note, ...]:
    """Count the label values of all splits, once for these files, and say which classes nothing shows.

    Raises DataError for a value that is not in the class list, naming the file, and where ignored pixels abound and
    leave but one class to be scored.
    """
    counts = {split: _counts(maps, context) for split, maps in splits.items()}
    scheme = next(iter(splits.values())).scheme
    total = sum(counts.values(), Counter[int]())
    _require_two_classes(scheme, total, next(iter(splits.values())).entries[0].labels)
    hidden = _hidden(scheme, total)
    by_split = (note for split, count in counts.items() for note in _split_notes(scheme, count, split))
    return (*hidden, *by_split)


def segment_notes(splits: Mapping[str, Panoptic]) -> tuple[Note, ...]:
    """Say which categories have no segment in a split, crowds aside, and where most pixels are not scored."""
    found: list[Note] = []
    for split, panoptic in splits.items():
        shown = {s.category_id for entry in panoptic.entries for s in entry.segments if not s.iscrowd}
        absent = [category.name for category in panoptic.categories if category.category_id not in shown]
        found += [*_absent(absent, len(panoptic.categories), split), *_unlabelled(panoptic, split)]
    return tuple(found)


def _unlabelled(panoptic: Panoptic, split: str) -> list[Note]:
    """Say the share of pixels without a segment or in crowds, where the file states the area of every segment."""
    areas = [s.area_px for entry in panoptic.entries for s in entry.segments if not s.iscrowd]
    total = sum(entry.width * entry.height for entry in panoptic.entries)
    labelled = sum(area for area in areas if area is not None)
    if None in areas or total - labelled <= _MOST * total:
        return []
    text = f"{1 - labelled / total:.1%} of pixels are unlabelled or crowds, by the stated areas, and are not scored"
    return [Note(text, split, total - labelled, total)]


def _counts(maps: LabelMaps, context: DataContext) -> Counter[int]:
    """Pixels by stored value, from the cache where these files were counted before."""
    contents = Contents(context.cache, context.progress)
    scheme = maps.scheme
    facts = [repr((scheme.values, sorted(scheme.ignored), sorted((scheme.colours or {}).items())))]
    digest = digest_of_files(facts, [entry.labels for entry in maps.entries], (), contents)
    kept = context.cache / "label-values" / f"{digest}.json"
    counts = _read_counts(kept)
    if counts is None:
        counts = _count(maps, context)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(kept) as temporary:
                temporary.write_bytes(with_digest({"pixels": {str(value): n for value, n in sorted(counts.items())}}))
        except OSError:
            return counts  # a cache that cannot be written costs time, no more
    return counts


def _read_counts(path: Path) -> Counter[int] | None:
    try:
        content = without_digest(json.loads(path.read_bytes()))
        return Counter({int(value): int(count) for value, count in content["pixels"].items()})
    except (OSError, ValueError, DigestError, KeyError, AttributeError, TypeError):
        return None


def _count(maps: LabelMaps, context: DataContext) -> Counter[int]:
    total: Counter[int] = Counter()
    budget = PixelBudget()
    with ThreadPoolExecutor(min(16, usable_processors())) as pool:
        for done, counts in enumerate(
            pool.map(lambda entry: _values_of(entry, maps.scheme, budget), maps.entries), start=1
        ):
            total.update(counts)
            if done % 100 == 0 or done == len(maps.entries):
                context.progress("counting the values of label images", done, len(maps.entries))
    return total


def _values_of(entry: LabelEntry, scheme: LabelScheme, budget: PixelBudget) -> dict[int, int]:
    import numpy as np

    from tasks.formats.index_png import read_label_image

    with budget.decoding(entry.labels):
        values, place = values_and_places(read_label_image(entry.labels, scheme.colours))
        counts = np.bincount(place.ravel(), minlength=len(values))
        values, counts = values[counts > 0], counts[counts > 0]
    require_known_values(values, counts, scheme, entry.labels)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _require_two_classes(scheme: LabelScheme, total: Counter[int], example: Path) -> None:
    names = dict(zip(scheme.values, scheme.class_names, strict=True))
    shown, ignored = [value for value in names if total[value]], _ignored(scheme, total)
    share = sum(total[value] for value in ignored) / total.total()
    if len(shown) > 1 or share < _MUCH:
        return
    absent = [value for value in names if not total[value]]
    only = f"only '{names[shown[0]]}' (value {shown[0]}) is left" if shown else "no class is left"
    raise DataError(
        f"{example.parent}: {_listed(ignored)} {'is' if len(ignored) == 1 else 'are'} ignored, which is {share:.1%} of "
        f"all pixels, and {only} to be scored{_never(absent, names)}. {_mend(scheme, shown, absent, ignored)}"
    )


def _hidden(scheme: LabelScheme, total: Counter[int]) -> list[Note]:
    """Say where a class that nothing shows may be an ignored value that abounds."""
    absent = [name for value, name in zip(scheme.values, scheme.class_names, strict=True) if not total[value]]
    much = [value for value in _ignored(scheme, total) if total[value] / total.total() >= _MUCH]
    if not absent or not much:
        return []
    shares = ", ".join(f"{value} ({total[value] / total.total():.1%} of pixels)" for value in much)
    text = (
        f"no label image shows {_first(absent)}, {len(absent)} of {len(scheme.class_names)} classes, while the ignored "
        f"value {shares} abounds: if it means such a class, give `{much[0]} NAME` for it with --classes"
    )
    return [Note(text, None, len(absent), len(scheme.class_names))]


def _split_notes(scheme: LabelScheme, counts: Counter[int], split: str) -> Iterable[Note]:
    absent = [name for value, name in zip(scheme.values, scheme.class_names, strict=True) if not counts[value]]
    yield from _absent(absent, len(scheme.class_names), split)
    ignored = _ignored(scheme, counts)
    pixels = sum(counts[value] for value in ignored)
    if pixels > _MOST * counts.total():
        text = f"{pixels / counts.total():.1%} of pixels have an ignored value ({_listed(ignored)}) and are not scored"
        yield Note(text, split, pixels, counts.total())


def _absent(absent: Sequence[str], classes: int, split: str) -> list[Note]:
    text = f"no label image shows {len(absent)} of {classes} classes (first: {_first(absent)}): no mean counts them"
    return [Note(text, split, len(absent), classes)] if absent else []


def _ignored(scheme: LabelScheme, counts: Counter[int]) -> list[int]:
    return sorted(value for value in scheme.ignored if counts[value])


def _never(absent: Sequence[int], names: Mapping[int, str]) -> str:
    shown = ", ".join(f"'{names[value]}' (value {value})" for value in absent[:3])
    return f", since no label image shows {shown}{' …' if len(absent) > 3 else ''}" if absent else ""


def _mend(scheme: LabelScheme, shown: Sequence[int], absent: Sequence[int], ignored: Sequence[int]) -> str:
    """The lines of a class file that would make the ignored values classes."""
    if scheme.colours is not None:
        return "Give the colour of each class with --classes FILE, `red green blue name` a line."
    names = dict(zip(scheme.values, scheme.class_names, strict=True))
    lines = [f"`{value} {names[value]}`" for value in shown]
    lines += [f"`{value} {names[other]}`" for value, other in zip(ignored, absent, strict=False)]
    lines += [f"`{value} NAME`" for value in ignored[len(absent) :]]
    what = f"If {_listed(ignored)} means a class"
    return f"{what}, say so with --classes FILE, a value and a name a line: {', '.join(lines)}."


def _listed(values: Sequence[int]) -> str:
    return " and ".join(map(str, values))


def _first(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3]) + (" …" if len(names) > 3 else "")

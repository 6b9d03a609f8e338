"""Says which class of a task each label of a pretrained model means, by name.

Names are compared without regard to case, spaces and punctuation; each of the synonyms that a label lists
between commas counts. COCO's classes also go by the names that VOC gave them, as in RT-DETR's checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import UsageError

BACKGROUND = "background"
_NO_CLASS = frozenset({"", "n/a", "none", "no-object", "no object"})
"""What stands for numbers that COCO's list of 91 leaves out, and for DETR's "nothing here"."""
_SAME = (
    ("airplane", "aeroplane"), ("motorcycle", "motorbike"), ("couch", "sofa"),
    ("tv", "tvmonitor", "television"), ("hairdrier", "hairdryer"), ("donut", "doughnut"),
)  # fmt: skip
_ALIASES = {name: names[0] for names in _SAME for name in names}
_WORDNET_ID = re.compile(r"n\d{8}")
_SHOWN = 4

ClassOfLabel = tuple[int | None, ...]
"""For each label of a model the index of the class that it means, or None."""


def name_key(name: str) -> str:
    """Reduce a name to what is compared.

    >>> name_key("Traffic_Light"), name_key("sofa"), name_key("__background__")
    ('trafficlight', 'couch', 'background')
    """
    letters = "".join(character for character in name.casefold() if character.isalnum())
    return _ALIASES.get(letters, letters) or name.casefold()


def match_labels(labels: Sequence[str], classes: Sequence[str], model: str) -> ClassOfLabel:
    """Find the class of each label; raises UsageError when no class has a label.

    A label with a class's full name is preferred over one that has it among its synonyms; two labels may
    mean one class (ImageNet has two cranes), and each means one at most.
    """
    if any(_WORDNET_ID.fullmatch(name) for name in classes):
        labels = with_wordnet_ids(labels)
    found = _match(labels, classes)
    background = _background(classes)
    if not any(index is not None and index != background for index in found):
        raise UsageError(
            f"None of the {len(classes)} classes ({_few(classes)}) is among the {len(labels)} labels of {model} "
            f"({_few([label for label in labels if label.strip().casefold() not in _NO_CLASS])}): 0 matched. "
            "Take data with classes that it knows, or a model that was trained on these; "
            "models that read class names (CLIP, OWL-ViT, Grounding DINO, CLIPSeg) need no labels."
        )
    return found


def with_background(found: ClassOfLabel, classes: Sequence[str]) -> ClassOfLabel:
    """Let labels without a class mean the class "background", where the task has one."""
    background = _background(classes)
    return tuple(background if index is None else index for index in found)


def with_wordnet_ids(labels: Sequence[str]) -> list[str]:
    """Put WordNet ids such as n01440764 before the labels of ImageNet-1k, which name most people's folders.

    Only where the label is the one that ImageNet has at this place.
    """
    from timm.data import ImageNetInfo

    imagenet = ImageNetInfo()
    if len(labels) != imagenet.num_classes():
        return list(labels)
    return [
        f"{imagenet.index_to_label_name(index)}, {label}"
        if _synonyms(label) & _synonyms(imagenet.index_to_description(index))
        else label
        for index, label in enumerate(labels)
    ]


def _match(labels: Sequence[str], classes: Sequence[str]) -> ClassOfLabel:
    full: dict[str, list[int]] = {}
    partly: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        if label.strip().casefold() not in _NO_CLASS:
            full.setdefault(name_key(label), []).append(index)
            for key in _synonyms(label):
                partly.setdefault(key, []).append(index)
    found: list[int | None] = [None] * len(labels)
    for number, name in enumerate(classes):
        for index in full.get(name_key(name), ()):
            found[index] = number if found[index] is None else found[index]
    served = set(found)
    for number, name in enumerate(classes):
        if number not in served:
            for index in [index for key in sorted(_synonyms(name)) for index in partly.get(key, ())]:
                found[index] = number if found[index] is None else found[index]
    return tuple(found)


def _synonyms(label: str) -> set[str]:
    return {name_key(part) for part in label.split(",") if part.strip()}


def _background(classes: Sequence[str]) -> int | None:
    return next((number for number, name in enumerate(classes) if name_key(name) == BACKGROUND), None)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return f"{shown}, …" if len(names) > _SHOWN else shown

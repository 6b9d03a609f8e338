"""Labels of checkpoints against the class names of tasks."""

from __future__ import annotations

import re

import pytest

from baselines.pretrained.label_names import match_labels, name_key, with_background, with_wordnet_ids
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Traffic_Light", "traffic light"),
        ("potted plant", "pottedplant"),
        ("t-shirt", "T Shirt"),
        ("tvmonitor", "tv"),
        ("aeroplane", "airplane"),
        ("motorbike", "motorcycle"),
        ("sofa", "couch"),
        ("diningtable", "dining table"),
        ("hair drier", "hair_dryer"),
        ("été", "Été"),
    ],
)
def test_spellings_of_one_class_are_the_same(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


def test_names_without_letters_stay_apart() -> None:
    assert len({name_key("+"), name_key("-"), name_key("#")}) == 3


def test_any_synonym_matches_and_a_full_name_is_preferred() -> None:
    labels = ["tench, Tinca tinca", "missile", "projectile, missile", "crane", "crane", "N/A"]
    assert match_labels(labels, ["Tinca tinca", "missile", "crane"], "m") == (0, 1, None, 2, 2, None)
    assert match_labels(labels, ["projectile", "tench"], "m") == (1, None, 0, None, None, None)
    assert match_labels(["tabby"], ["tabby, tabby cat", "lynx"], "m") == (0,)


def test_a_label_means_one_class_at_most() -> None:
    assert match_labels(["cat, feline", "dog"], ["cat", "feline"], "m") == (0, None)


def test_what_coco_leaves_out_means_nothing() -> None:
    labels = ["N/A", "person", "no-object", ""]
    assert match_labels(labels, ["N/A", "person"], "m") == (None, 1, None, None)


def test_no_match_says_how_many_and_shows_both_sides() -> None:
    with pytest.raises(UsageError) as caught:
        match_labels(["N/A", *(f"wall {n}" for n in range(9))], [f"shape {n}" for n in range(7)], "hf:this")
    message = str(caught.value)
    assert re.search(r"None of the 7 classes \('shape 0', .*…\) is among the 10 labels of hf:this \('wall 0'", message)
    assert "0 matched" in message


def test_background_alone_is_no_match() -> None:
    with pytest.raises(UsageError, match="None of the 2 classes"):
        match_labels(["background", "wall"], ["background", "cat"], "m")


def test_labels_without_a_class_are_background_where_there_is_one() -> None:
    found = match_labels(["wall", "cat", "sky"], ["background", "cat"], "m")
    assert found == (None, 1, None)
    assert with_background(found, ["background", "cat"]) == (0, 1, 0)
    assert with_background(found, ["cat", "dog"]) == found
    assert match_labels(["background", "cat"], ["__background__", "cat"], "m") == (0, 1)


def test_folders_named_by_wordnet_find_imagenets_labels() -> None:
    from timm.data import ImageNetInfo

    imagenet = ImageNetInfo()
    labels = [imagenet.index_to_description(index) for index in range(1000)]
    found = match_labels(labels, ["n01443537", "n01440764"], "m")
    assert (found[0], found[1], found[2]) == (1, 0, None)
    assert len({name for name in with_wordnet_ids(labels) if name.startswith("n0")}) > 900
    assert with_wordnet_ids(labels[::-1])[:2] == labels[::-1][:2]  # another order: not ImageNet's
    with pytest.raises(UsageError, match="None of the 1 classes"):
        match_labels([f"class {index}" for index in range(1000)], ["n01440764"], "m")

"""Pascal VOC is read as COCO instances and label maps; its XML is not trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import VOCDetection, VOCSegmentation

from harness.errors import DataError, UsageError
from tasks.formats.class_names import ClassFile, read_class_file
from tasks.formats.coco_instances import digest_of_instances, image_labels
from tasks.formats.image_folder import is_image_folder
from tasks.formats.label_maps import class_map
from tasks.formats.voc import (
    VOC_CLASSES,
    annotated_voc_splits,
    find_voc_folder,
    find_voc_splits,
    is_voc,
    read_voc_instances,
    read_voc_labels,
)

Paint = Callable[..., Path]
OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>"
    "<xmax>{2}</xmax><ymax>{3}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
)


def annotation(*objects: str, width: object = 20) -> str:
    size = f"<size><width>{width}</width><height>10</height><depth>3</depth></size>"
    return f"<annotation><filename>x</filename>{size}{''.join(objects)}</annotation>"


def item(name: str = "dog", corners: tuple[object, ...] = (1, 1, 20, 10), difficult: object = 0) -> str:
    return OBJECT.format(*corners, name=name, difficult=difficult)


FILES = {
    "000005": annotation(item(corners=(3, 2, 6, 4)), item("cat", (1, 1, 20, 10), 1)),
    "000007": annotation(item("dog", (4.5, 1, 5.5, 10)), item("dog", difficult=1)),
    "000009": annotation(),
}


@pytest.fixture
def voc(tmp_path: Path, paint_in: Paint) -> Path:
    folder = tmp_path / "VOCdevkit/VOC2007"
    for name in ("Annotations", "ImageSets/Main", "ImageSets/Segmentation", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    for number, (name, text) in enumerate(FILES.items()):
        paint_in(folder / f"JPEGImages/{name}.jpg")
        (folder / f"Annotations/{name}.xml").write_text(text)
        labels = np.zeros((10, 20), np.uint8)
        labels[2:5, 3:6], labels[1] = 20 - number, 255
        image = Image.fromarray(labels)
        image.putpalette([value * 11 % 256 for value in range(768)])
        image.save(folder / f"SegmentationClass/{name}.png")
    for split, names in (("train", "000007\n000005\n"), ("val", "000009"), ("trainval", "\n".join(FILES))):
        for kind in ("Main", "Segmentation"):
            (folder / f"ImageSets/{kind}/{split}.txt").write_text(names)
    (folder / "ImageSets/Main/dog_train.txt").write_text("000007  1\n000005 -1\n")
    return folder


def test_boxes_by_hand(voc: Path) -> None:
    found = read_voc_instances(voc, "trainval")
    assert [(image.sample_id, image.image_id, image.width, image.height) for image in found.images] == [
        ("000005", 1, 20, 10),
        ("000007", 2, 20, 10),
        ("000009", 3, 20, 10),
    ]
    assert tuple(category.name for category in found.categories) == VOC_CLASSES
    assert [category.category_id for category in found.categories] == list(range(1, 21))
    first, second, none = found.objects
    assert first.boxes.tolist() == [[2, 1, 4, 3], [0, 0, 20, 10]]
    assert first.areas.tolist() == [12, 200]
    assert first.iscrowd.tolist() == [False, True]
    assert [found.categories[i].name for i in first.category_index] == ["dog", "cat"]
    assert second.boxes[0].tolist() == [3.5, 0, 2, 10]
    assert len(none) == 0
    assert first.stated_boxes[0].tolist() == [2, 1, 4, 3]
    assert [note.count for note in found.notes] == [None, 2], "areas are those of boxes; two objects are difficult"


def test_a_class_seen_only_as_difficult_is_unknown(voc: Path) -> None:
    labels = image_labels(read_voc_instances(voc, "trainval"))
    cat, dog = VOC_CLASSES.index("cat"), VOC_CLASSES.index("dog")
    assert labels[0, [cat, dog]].tolist() == [-1, 1]
    assert labels[1, [cat, dog]].tolist() == [0, 1], "one plain dog and a difficult one"
    assert not labels[2].any()


@pytest.mark.parametrize("kind", ["Main", "Segmentation"])
def test_lists_and_order_are_those_of_torchvision(kind: str, voc: Path) -> None:
    root = voc.parents[1]
    if kind == "Main":
        reference = VOCDetection(str(root), "2007", "train")
        found = read_voc_instances(voc, "train")
        assert [str(image.path) for image in found.images] == reference.images
        for i, objects in enumerate(found.objects):
            theirs = reference[i][1]["annotation"]["object"]
            corners = [[float(v) for v in their["bndbox"].values()] for their in theirs]
            boxes = [[x + 1, y + 1, x + w, y + h] for x, y, w, h in objects.stated_boxes]
            assert boxes == corners
            assert [found.categories[k].name for k in objects.category_index] == [their["name"] for their in theirs]
    else:
        reference = VOCSegmentation(str(root), "2007", "train")
        maps = read_voc_labels(voc, "train")
        assert [str(entry.image) for entry in maps.entries] == reference.images
        for i, entry in enumerate(maps.entries):
            np.testing.assert_array_equal(class_map(entry, maps.scheme), np.asarray(reference[i][1]))


def test_label_maps_keep_background_and_border(voc: Path) -> None:
    maps = read_voc_labels(voc, "val")
    assert maps.scheme.class_names == ("background", *VOC_CLASSES)
    classes = class_map(maps.entries[0], maps.scheme)
    assert np.unique(classes).tolist() == [0, 18, 255]
    assert np.unique(classes[1]).tolist() == [255]


def test_the_root_may_be_any_of_three(voc: Path, tmp_path: Path) -> None:
    assert find_voc_folder(voc) == find_voc_folder(voc.parent) == find_voc_folder(voc.parents[1]) == voc
    assert find_voc_folder(voc / "Annotations") is None
    assert is_voc(voc)
    assert not is_voc(voc / "Annotations")
    assert not is_image_folder(voc), "JPEGImages is no class"
    assert find_voc_splits(voc, "Main") == ("train", "val", "trainval")
    (voc.parent / "VOC2012/ImageSets").mkdir(parents=True)
    with pytest.raises(DataError, match=r"has VOC2007, VOC2012. Give the folder of one year"):
        find_voc_folder(voc.parents[1])


def test_images_are_known_by_names_whatever_the_others_are(voc: Path) -> None:
    for old, new in (("000005", "2007_000027"), ("000007", "2007_000032"), ("000009", "2008_000002")):
        for path in list(voc.rglob(f"{old}.*")):
            path.rename(path.with_stem(new))
    (voc / "ImageSets/Main/train.txt").write_text("2008_000002\n2007_000027")
    assert [image.sample_id for image in read_voc_instances(voc, "train").images] == ["2008_000002", "2007_000027"]
    for path in list(voc.rglob("2008_000002.*")):
        path.rename(path.with_stem("mine"))
    (voc / "ImageSets/Main/train.txt").write_text("mine\n2007_000027")
    assert [image.sample_id for image in read_voc_instances(voc, "train").images] == ["mine", "2007_000027"]


def test_names_may_have_spaces_and_lists_marks_and_ends_of_lines_of_windows(voc: Path) -> None:
    for path in list(voc.rglob("000005.*")):
        path.rename(path.with_stem("IMG 5"))
    for kind in ("Main", "Segmentation"):
        (voc / f"ImageSets/{kind}/train.txt").write_bytes(b"\xef\xbb\xbfIMG 5\r\n000007\r\n")
    assert [image.sample_id for image in read_voc_instances(voc, "train").images] == ["IMG 5", "000007"]
    assert [entry.image_id for entry in read_voc_labels(voc, "train").entries] == ["IMG 5", "000007"]
    assert annotated_voc_splits(voc, "Main")[0][0] == "train"


def test_names_are_matched_composed_or_decomposed(voc: Path) -> None:
    for path in list(voc.rglob("000005.*")):
        path.rename(path.with_stem("cafe\u0301"))
    for kind in ("Main", "Segmentation"):
        (voc / f"ImageSets/{kind}/train.txt").write_text("caf\u00e9\n000007", "utf-8")
    found = read_voc_instances(voc, "train")
    assert [image.sample_id for image in found.images] == ["caf\u00e9", "000007"]
    assert found.images[0].path.is_file() and read_voc_labels(voc, "train").entries[0].labels.is_file()


def test_a_split_with_a_missing_annotation_is_an_error_and_one_without_any_a_note(voc: Path) -> None:
    (voc / "ImageSets/Main/test.txt").write_text("000011\n000013")
    splits, notes = annotated_voc_splits(voc, "Main")
    assert splits == ("train", "val", "trainval")
    assert list(map(str, notes)) == ["the list Main/test.txt has annotations for none of its 2 images and is no split"]
    (voc / "ImageSets/Main/test.txt").write_text("000011\n000005")
    assert "test" in annotated_voc_splits(voc, "Main")[0]
    with pytest.raises(DataError, match=r"test.txt names 1 of 2 files .*looked for .*Annotations/000011.xml"):
        read_voc_instances(voc, "test")
    (voc / "ImageSets/Main/test.txt").write_text("")
    assert str(annotated_voc_splits(voc, "Main")[1][0]) == "the list Main/test.txt is empty and is no split"
    for path in (voc / "Annotations").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no list in ImageSets/Main of which an image is annotated, as Annota"):
        annotated_voc_splits(voc, "Main")


def classes(tmp_path: Path, text: str) -> ClassFile:
    path = tmp_path / "classes.txt"
    path.write_text(text)
    return read_class_file(path)


@pytest.mark.parametrize("text", ["cat\ndog", "background\ncat\ndog", "1 cat\n2 dog"])
def test_a_class_file_means_the_same_for_boxes_and_maps(text: str, voc: Path, tmp_path: Path) -> None:
    own = classes(tmp_path, text)
    found = read_voc_instances(voc, "train", own)
    assert [(c.category_id, c.name) for c in found.categories] == [(1, "cat"), (2, "dog")]
    scheme = read_voc_labels(voc, "train", own).scheme
    assert (scheme.class_names, scheme.values, scheme.ignored) == (("background", "cat", "dog"), (0, 1, 2), {255})
    maps = read_voc_labels(voc, "train", own)
    with pytest.raises(DataError, match=r"000007.png has the label 19 in 9 pixels .*--classes FILE"):
        class_map(maps.entries[0], maps.scheme)
    with pytest.raises(DataError, match=r"has 'background' at another value than 0"):
        read_voc_labels(voc, "train", classes(tmp_path, "cat\nbackground"))


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not XML"),
        ("<annotation>", "is not XML"),
        (b"\xff\xfe\xff", "is not XML"),
        ('<?xml version="1.0" encoding="no"?><annotation/>', "is not XML"),
        (BOMB, "has a DOCTYPE"),
        (BOMB.encode("utf-16"), "has a DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "has a DOCTYPE"),
        ("<annotation/>", "has None as its 'size/width'; wanted a number"),
        (annotation(width=0), "has the size 0 x 10; wanted whole px"),
        (annotation(width="wide"), "has 'wide' as its 'size/width'"),
        (annotation(item(name=" ")), "object 1 has no 'name'"),
        (annotation(item(), item("unicorn")), r"object 2 is a 'unicorn', which is not in the class list.*--classes"),
        (annotation(item(corners=("", 1, 2, 3))), "object 1 has '' as its 'bndbox/xmin'"),
        (annotation(item(corners=(1, "nan", 2, 3))), "object 1 has 'nan' as its 'bndbox/ymin'"),
        (annotation("<object><name>dog</name></object>"), "object 1 has None as its 'bndbox/xmin'"),
        (annotation(item(difficult="maybe")), "object 1 has 'maybe' as its 'difficult'"),
    ],
)
def test_bad_xml_is_named(content: str | bytes, message: str, voc: Path) -> None:
    path = voc / "Annotations/000005.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=rf"{path}:? {message}"):
        read_voc_instances(voc, "train")


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((5, 1, 4, 5), "has no area"),
        ((5, 1, 2, 5), "has a negative size"),
        ((1, 1, 23, 10), "sticks out of the image by 3.00 px"),
        ((40, 1, 45, 10), "is entirely outside the image"),
    ],
)
def test_bad_boxes_are_named(corners: tuple[int, ...], message: str, voc: Path) -> None:
    (voc / "Annotations/000005.xml").write_text(annotation(item(corners=corners)))
    with pytest.raises(DataError, match=rf"Annotations: the annotation 3 of image 000005 has the box .*{message}"):
        read_voc_instances(voc, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no image: the split is empty"),
        ("000005\n\n000007\n000005", "lines 1 and 4 both name 000005"),
        ("000005 1", "line 1 is '000005 1'; wanted one image name"),
        ("../000005", r"line 1 is '../000005'; wanted one image name"),
        ("000005\n000006", r"names 1 of 2 files that are not there \(looked for .*000006"),
    ],
)
def test_bad_lists_are_named(text: str, message: str, voc: Path) -> None:
    for kind, read in (("Main", read_voc_instances), ("Segmentation", read_voc_labels)):
        path = voc / f"ImageSets/{kind}/train.txt"
        path.write_text(text)
        with pytest.raises(DataError, match=rf"{path}:? {message}"):
            read(voc, "train")


def test_missing_photographs_and_lists_are_named(voc: Path) -> None:
    (voc / "JPEGImages/000005.jpg").unlink()
    with pytest.raises(DataError, match=r"names 1 of 2 files that are not there \(looked for .*s/000005.jpg\)"):
        read_voc_instances(voc, "train")
    Image.new("RGB", (20, 10)).save(voc / "JPEGImages/000005.png")
    assert read_voc_instances(voc, "train").images[1].path.name == "000005.png"
    with pytest.raises(UsageError, match=r"has no list ImageSets/Main/tset.txt .*Known: train, trainval, val"):
        read_voc_instances(voc, "tset")


def test_the_digest_follows_the_xml(voc: Path) -> None:
    first = digest_of_instances(read_voc_instances(voc, "train"))
    path = voc / "Annotations/000005.xml"
    path.write_text(path.read_text() + " ")
    assert digest_of_instances(read_voc_instances(voc, "train")) != first

"""CIFAR-10-C, CIFAR-100-C and ImageNet-C as they are published, in stand-ins of a few images; and each flaw named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.answers import LABELS
from harness.condition import Condition, Part
from harness.errors import DataError, UsageError
from harness.perturb.grids import STANDARD_CORRUPTIONS
from harness.perturb.natural_shifts import open_shift
from harness.protocols import DataContext
from tasks.classification.data import label_classes
from tasks.classification.task import image_classification
from tasks.classification.zero_shot import zero_shot_classification
from tasks.formats.corrupted_copies import _CLASSES, find_imagenet_c, read_cifar_c

Paint = Callable[..., Path]
MakeContext = Callable[..., DataContext]
PUBLISHED = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip


def write_cifar_c(root: Path, names: tuple[str, ...] = ("fog", "jpeg_compression"), images: int = 4) -> Path:
    """`images` at each severity; each pixel says its corruption, severity and place."""
    root.mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = np.zeros((5 * images, 32, 32, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = number, np.arange(5 * images)[:, None, None]
        np.save(root / f"{name}.npy", pixels)
    np.save(root / "labels.npy", np.tile(np.arange(images) * 3 % 10, 5))
    return root


@pytest.fixture
def cifar_like(tmp_path: Path, paint_in: Paint) -> Path:
    """A folder by class whose classes are CIFAR's, in the order of the alphabet as folders are."""
    for split in ("train", "val", "test"):
        for name in _CLASSES[10]:
            paint_in(tmp_path / f"own/{split}/{name}/0.png")
    return tmp_path / "own"


def test_published_names_are_those_of_the_own_corruptions(tmp_path: Path) -> None:
    found = read_cifar_c(write_cifar_c(tmp_path / "c", PUBLISHED, 1))
    assert set(found.arrays) == set(STANDARD_CORRUPTIONS)
    assert len(found.parts) == 75
    assert {len(set(names)) for names in _CLASSES.values()} == {10, 100}
    assert all(list(names) == sorted(names) for names in _CLASSES.values())


def test_a_fifth_of_each_array_is_a_severity(tmp_path: Path, open_context: MakeContext) -> None:
    data = image_classification.open_data(open_context(write_cifar_c(tmp_path / "CIFAR-10-C")))
    assert (data.training_split, data.selection_split) == (None, None)
    assert data.splits == tuple(f"{name}-{s}" for name in ("fog", "jpeg") for s in range(1, 6))
    assert [str(note) for note in data.notes] == ["labels are those of 10 classes from 0 ('airplane')"]
    for number, name in enumerate(("fog", "jpeg")):
        for severity in (1, 5):
            samples = image_classification.samples(data, f"{name}-{severity}")
            found = sorted((sample.sample_id, sample.target.label) for sample in samples)
            assert found == [(f"{name}-{severity}/{i:05d}", i * 3 % 10) for i in range(4)]
            for sample in samples:
                place = 4 * (severity - 1) + int(sample.sample_id[-5:])
                assert np.asarray(Image.open(sample.image))[5, 7].tolist() == [number, place, 0]
    with pytest.raises(UsageError, match=r"'classes' .* is for folders whose files do not name their classes"):
        image_classification.open_data(open_context(tmp_path / "CIFAR-10-C", classes="c.txt"))


@pytest.mark.parametrize("task", [image_classification, zero_shot_classification])
def test_each_corruption_and_severity_is_a_condition(
    tmp_path: Path, cifar_like: Path, open_context: MakeContext, task: object
) -> None:
    data = task.open_data(open_context(cifar_like))  # type: ignore[attr-defined]
    copies = write_cifar_c(tmp_path / "CIFAR-10-C")
    opened = open_shift(task, replace(open_context(copies), evaluate_only=True, trained_on=data), data)  # type: ignore[arg-type]
    assert [(c.name, c.severity) for c in opened] == [
        (f"shift-CIFAR-10-C-{name}", s) for name in ("fog", "jpeg") for s in range(1, 6)
    ]
    assert len({c.split_key for c in opened}) == 10
    fog = Condition(shift="CIFAR-10-C-fog", level=2)
    assert (fog.label, opened[fog].split, opened[fog].answers) == ("shift-CIFAR-10-C-fog-2", "fog-2", LABELS)
    own, other = label_classes(data), label_classes(opened[fog].data)
    sure = np.eye(10)[own.names.index("ship")].tolist()
    assert other.names[int(np.argmax(opened[fog].translate(sure)))] == "ship"
    assert {n for n, seen in zip(other.names, other.seen, strict=True) if not seen} == {
        n for n, seen in zip(own.names, own.seen, strict=True) if not seen
    }


def test_hundred_classes_and_a_fifth_of_the_labels(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path / "CIFAR-100-C")
    assert read_cifar_c(root).class_names[-1] == "worm"
    np.save(root / "labels.npy", np.array([0, 99, 3, 4]))
    assert read_cifar_c(root.rename(tmp_path / "c")).labels.tolist() == [0, 99, 3, 4] * 5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fog.npy", np.zeros((19, 32, 32, 3), np.uint8), r"fog.npy has 19 images; wanted as many as .* \(20\)"),
        ("fog.npy", np.zeros((20, 32, 32), np.uint8), r"fog.npy has uint8 \[20, 32, 32\]; wanted uint8 \[N, 32"),
        ("fog.npy", np.zeros((20, 32, 32, 3)), r"fog.npy has float64"),
        ("labels.npy", np.zeros(3, np.int64), r"labels.npy has int64 \[3\]; wanted whole numbers \[20\] or \[4\]"),
        ("labels.npy", np.full(20, 100), r"labels from 100 to 100; wanted 0..99"),
        ("labels.npy", np.full(20, -1), r"labels from -1 to -1"),
        ("labels.npy", np.array([None] * 20), r"labels.npy cannot be read as an array without objects"),
        ("fog.npy", None, r"fog.npy cannot be read as an array without objects"),
    ],
)
def test_what_is_wrong_is_named(name: str, content: np.ndarray | None, message: str, tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path / "c")
    if content is None:
        (root / name).write_bytes(b"\x93NUMPY")
    else:
        np.save(root / name, content, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        read_cifar_c(root)


@pytest.mark.parametrize("group", ["", "blur/"])
def test_imagenet_c_is_read_as_it_is(group: str, tmp_path: Path, paint_in: Paint, open_context: MakeContext) -> None:
    root = tmp_path / "imagenet-c"
    for name in ("defocus_blur", "jpeg_compression"):
        for severity in (1, 3):
            for folder in ("n01440764", "n01443537"):
                paint_in(root / f"{group}{name}/{severity}/{folder}/ILSVRC2012_val_1.JPEG", value=severity)
    assert set(find_imagenet_c(root)) == {"defocus-blur", "jpeg"}
    (tmp_path / "c.txt").write_text("n01443537 goldfish\nn01440764 tench\n")
    data = image_classification.open_data(open_context(root, classes=str(tmp_path / "c.txt")))
    assert data.splits == ("defocus-blur-1", "defocus-blur-3", "jpeg-1", "jpeg-3")
    assert label_classes(data).names == ("goldfish", "tench")
    assert image_classification.corruptions(data)["jpeg-3"] == Part("jpeg", 3)
    samples = image_classification.samples(data, "jpeg-3")
    assert sorted((s.sample_id, s.target.label) for s in samples) == [
        ("jpeg-3/n01440764/ILSVRC2012_val_1.JPEG", 1), ("jpeg-3/n01443537/ILSVRC2012_val_1.JPEG", 0),
    ]  # fmt: skip
    digest = data.digest
    paint_in(root / f"{group}jpeg_compression/3/n01440764/ILSVRC2012_val_1.JPEG", value=9)
    assert image_classification.open_data(open_context(root, classes=str(tmp_path / "c.txt"))).digest != digest
    paint_in(root / f"{group}jpeg_compression/3/n09999999/1.JPEG")
    data = image_classification.open_data(open_context(root))
    with pytest.raises(DataError, match=r"jpeg-3 has other class folders than defocus-blur-1. List all with --classes"):
        image_classification.samples(data, "jpeg-3")


def test_classes_that_are_numbers_are_no_severities(tmp_path: Path, paint_in: Paint, open_context: MakeContext) -> None:
    for split in ("train", "val"):
        for name in ("1", "2"):
            paint_in(tmp_path / f"d/{split}/{name}/0.png")
    assert image_classification.open_data(open_context(tmp_path / "d")).options["format"] == "image-folder"

"""Training on samples without labels: the loss by hand, what is seen of images, and that no hidden label gets in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.inputs.images import open_images
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.pseudo_labels import PseudoLabelledLoss, unlabelled_data, without_labels
from harness.plan.trials_check import check_remedies
from harness.sample import Preprocessing, Sample


def sample(number: int, label: int | None, **fields: Any) -> Sample:
    return Sample(str(number), Path(f"{number}.png"), SimpleNamespace(label=label), str(0.1 * number - 2), **fields)


def quiet(*_: object) -> None:
    """Take in progress."""


LABELS = [int(number >= 20) for number in range(40)]


def test_hidden_labels_move_no_weight(trained: Any) -> None:
    few = [LABELS[(number * 17) % 40] for number in range(40)]
    scrambled = few[:8] + [1 - label for label in few[8:]]
    options = {"limit": 8, "unlabelled": 0.6}
    first, told = trained(few, **options)
    second, _ = trained(scrambled, **options)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert told["unlabelled"] == {"samples": 32, "threshold": 0.6}
    without, _ = trained(few, limit=8)
    assert not torch.equal(first["new.weight"], without["new.weight"]), "samples without labels are trained on"
    seen, _ = trained([1 - few[0], *few[1:]], **options)
    assert not torch.equal(first["new.weight"], seen["new.weight"]), "a label that is given counts"
    assert {s.target for s in without_labels([sample(n, 1) for n in range(3)], [sample(0, 1)])} == {None}


def test_the_loss_by_hand(chooser: Any, classes: Any) -> None:
    learner = chooser()
    hidden = without_labels([sample(number, 1) for number in range(40)], ())
    data = unlabelled_data(
        ([*hidden, sample(90, 1)], [sample(90, 1)]), TrainOptions(unlabelled=0.7), 0, classes, learner,
        lambda samples: VisualTokens(learner, None, tuple(samples), None, "cpu"), quiet,
    )  # fmt: skip
    assert data is not None and data.augmenter is None and len(data.tokens) == 40
    loss = PseudoLabelledLoss(lambda indices, generator: torch.tensor(10.0), learner, data)
    found = loss([0] * 16, torch.Generator().manual_seed(3))
    drawn = torch.randint(40, (16,), generator=torch.Generator().manual_seed(3)).tolist()
    answers = np.array(learner.predict(data.tokens.batch(drawn, with_targets=False)))
    sure = answers.max(axis=1) >= 0.7
    assert 0 < sure.sum() < 16
    wanted = 10 - np.log(answers.max(axis=1))[sure].sum() / 16
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-5)
    assert learner.training, "the rest of the step trains it"


def test_plain_images_are_answered_and_changed_ones_trained_on(tmp_path: Path, classes: Any) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(tmp_path / f"{number}.png")
        samples.append(Sample(str(number), tmp_path / f"{number}.png", None))
    images = open_images(samples, Preprocessing(12, fit="squash"), tmp_path / "cache", "fail", quiet)
    seen: dict[str, torch.Tensor] = {}

    class Seer(torch.nn.Module):
        vision_frozen = False

        def vision(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels

        def predict(self, batch: Any) -> list[list[float]]:
            assert batch.targets is None
            seen["plain"] = batch.visual
            return [[0.0, 1.0] if name in ("1", "3") else [0.6, 0.4] for name in batch.sample_ids]

        def loss(self, batch: Any, generator: Any) -> torch.Tensor:
            assert {*batch.sample_ids} == {"1", "3"} and {target.label for target in batch.targets} == {1}
            seen["changed"] = batch.visual
            return torch.tensor(1.0)

    learner: Any = Seer()
    labelled = [Sample("90", Path(), SimpleNamespace(label=1))]
    data = unlabelled_data(
        ([*samples, *labelled], labelled), TrainOptions(unlabelled=0.95), 0, classes, learner,
        lambda hidden: VisualTokens(learner, images, images.samples, None, "cpu"), quiet,
    )  # fmt: skip
    assert data is not None
    loss = PseudoLabelledLoss(lambda indices, generator: torch.tensor(0.0), learner, data)
    loss(range(40), torch.Generator().manual_seed(0))
    plain = list(torch.from_numpy(images.read(range(6))).float())
    assert all(any(torch.equal(own, each) for each in plain) for own in seen["plain"].float())
    same = [any(torch.equal(own, each) for each in plain) for own in seen["changed"].float()]
    assert 0 < len(same) < 40 and sum(same) < 0.3 * len(same)


def test_what_cannot_be_done_is_said(trained: Any, chooser: Any, classes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"all 40 have one\. Limit the labels by train.shots"):
        trained(LABELS, unlabelled=0.9, limit=400)
    with pytest.raises(UsageError, match=r"wants samples without labels.*train.shots=k or train.limit=n"):
        check_remedies(TrainOptions(unlabelled=0.9))
    with pytest.raises(UsageError, match="changes batches in one process"):
        check_remedies(TrainOptions(unlabelled=0.9, shots=4, processes=2))
    several = [Sample("0", Path(), SimpleNamespace(label=0, labels=(1, 1)))]
    with pytest.raises(UsageError, match="sample such as 0 does not have one class"):
        unlabelled_data((several * 2, several), TrainOptions(), 0, classes, chooser(), lambda s: s, quiet)
    monkeypatch.setattr(chooser, "predict", lambda self, batch: [0.5] * len(batch))
    with pytest.raises(UsageError, match="wants probabilities, and Chooser answers without"):
        trained(LABELS, unlabelled=0.9, limit=8, validations=0)

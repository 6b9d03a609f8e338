"""Every composition for labels, boxes and label maps, and every control of it: shapes, ranges, learning, honesty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines import catalog
from baselines.models.discriminative import CONTROLS, DiscriminativeModel
from baselines.models.fusion import FusionModel
from harness.answers import BOXES, IGNORED, LABELS, MAPS, decode_label_map
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import UsageError
from harness.inputs.visual_tokens import VisualTokens
from harness.jobs.emap import additive_outcomes
from harness.protocols import BuildContext
from harness.sample import Batch, Classes, Sample, TaskSpec

SEEN = 4
NAMES = ("red circle", "blue square", "green star", "yellow cross", "red square")
TASKS = {LABELS: "image-classification", BOXES: "coco-detection", MAPS: "coco-segmentation"}
TEXTS = ("the left one", "the right one", "", "a red one")
COUNT = 12


@dataclass(frozen=True)
class Target:
    """Stands for the tasks' own targets, of every kind at once."""

    label: int
    labels: tuple[int, ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    crowd: tuple[bool, ...]
    image_id: str
    corner: int = 0

    def label_map(self) -> np.ndarray:
        labels = np.full((40, 60), self.corner, dtype=np.uint16)
        labels[:20, :30] = (self.corner + 1) % SEEN
        labels[38:] = IGNORED
        return labels


def label_target(index: int) -> Target:
    several = tuple(int(index % (position + 2) == 0) for position in range(len(NAMES)))
    return Target(index % SEEN, several, (), (), str(index), index % SEEN)


def box_target(index: int) -> Any:
    place = 0.1 + 0.05 * index
    boxes = ((place, 0.2, 0.25, 0.3), (0.6, 0.6, 0.3, 0.3), (0.0, 0.0, 1.0, 0.1))[: index % 4]
    return replace(label_target(index), labels=(index % SEEN, 1, 2)[: index % 4], boxes=boxes,
                   crowd=(False, False, True)[: index % 4])  # fmt: skip


MAKERS: dict[str, Callable[[int], Any]] = {LABELS: label_target, BOXES: box_target, MAPS: label_target}
MODELS = [
    model
    for model in vars(catalog).values()
    if isinstance(model, DiscriminativeModel | FusionModel) and LABELS in model.answers and model.name != "fine-tuned"
]
PAIRS = [
    pytest.param(model, kind, id=f"{model.name}-{kind}") for model in MODELS for kind in TASKS if kind in model.answers
]
FUSED = [model for model in MODELS if model.fused]


def spec_of(kind: str, *, beside: bool = False, multilabel: bool = False) -> TaskSpec:
    attributes = tuple(tuple(float(word in name) for word in ("red", "blue", "circle", "square")) for name in NAMES)
    classes = Classes(
        NAMES, tuple((f"a {name}", name) for name in NAMES), (True,) * SEEN + (False,), attributes, multilabel
    )
    targets = tuple(MAKERS[kind](index) for index in range(COUNT))
    return TaskSpec(TASKS[kind], targets, kind, classes, TEXTS * 3 if beside else ())


@pytest.fixture(scope="session")
def build(prerequisite: Path, languages: dict[str, Path]) -> Callable[..., Any]:
    def build(model: Any, spec: TaskSpec, *, control: str | None = None, seed: int = 0, tune: str = "frozen") -> Any:
        settings = {"joint_width": 16, "queries": 3, "query_layers": 1, "join_layers": 1}
        options = ModelOptions(
            language=str(languages["bert"]), settings=settings, task=spec.task, answers=spec.answers, tune=tune
        )
        context = BuildContext(options, TrainOptions(dropout=0.0), DecodeOptions(), seed, Path("unused"), prerequisite)
        return (model if control is None else model.with_control(control)).build(spec, context)

    return build


def batch_of(learner: Any, spec: TaskSpec, rows: Sequence[int] = range(COUNT), *, with_targets: bool = False) -> Batch:
    """Tokens at random, the same for the same row; texts where the task has them."""
    tower = learner.vision
    shape = (COUNT, tower.tokens, tower.width) if tower is not None else (COUNT, 1, 1)
    visual = torch.randn(*shape, generator=torch.Generator().manual_seed(3))[list(rows)]
    texts = tuple(TEXTS[row % len(TEXTS)] if spec.training_texts else None for row in rows)
    targets = tuple(spec.training_targets[row] for row in rows) if with_targets else None
    return Batch(tuple(str(row) for row in rows), None if tower is None else visual, texts, targets)


def losses_of(learner: Any, spec: TaskSpec, steps: int) -> list[float]:
    groups = learner.parameter_groups()
    parameters = [p for group in (groups.language, groups.vision, groups.new) for _, p in group]
    optimizer = torch.optim.AdamW(parameters, 1e-2)
    batch, losses = batch_of(learner, spec, with_targets=True), []
    learner.train()
    for _ in range(steps):
        loss = learner.loss(batch, torch.Generator().manual_seed(0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    learner.eval()
    return losses


def check_answer(kind: str, answer: Any) -> None:
    if kind == LABELS:
        assert len(answer) == len(NAMES)
        assert sum(answer) == pytest.approx(1.0)
        assert min(answer) >= 0
    elif kind == BOXES:
        for label, score, x, y, width, height in answer:
            assert label in range(len(NAMES))
            assert 0 < score <= 1
            assert min(x, y) >= 0 and width > 0 and height > 0
            assert max(x + width, y + height) <= 1 + 1e-6
    else:
        labels = decode_label_map(answer)
        assert labels.shape == (128, 128)
        assert labels.max() < len(NAMES)


@pytest.mark.parametrize(("model", "kind"), PAIRS)
def test_it_learns_and_answers_each_image_by_itself(model: Any, kind: str, build: Callable[..., Any]) -> None:
    spec = spec_of(kind)
    learner = build(model, spec)
    losses = losses_of(learner, spec, 12)
    assert losses[-1] < losses[0]
    together = learner.predict(batch_of(learner, spec))
    alone = [learner.predict(batch_of(learner, spec, [row]))[0] for row in range(COUNT)]
    in_sevens = learner.predict(batch_of(learner, spec, range(7))) + learner.predict(
        batch_of(learner, spec, range(7, 12))
    )
    for one, other, third in zip(together, alone, in_sevens, strict=True):
        check_answer(kind, one)
        if kind == MAPS:
            assert (decode_label_map(one) != decode_label_map(other)).mean() < 1e-3
        elif kind == LABELS:
            assert one == pytest.approx(other, abs=1e-5)
            assert one == pytest.approx(third, abs=1e-5)
        else:
            assert np.allclose(in_order(one), in_order(other), atol=1e-4)


def in_order(boxes: list[list[float]]) -> list[list[float]]:
    """Sort by class and place: untrained scores are nearly equal, and rounding may exchange two."""
    return sorted(boxes, key=lambda box: (box[0], *(round(value, 3) for value in box[2:])))


@pytest.mark.parametrize("model", FUSED, ids=lambda model: model.name)
def test_a_text_beside_the_image_is_read(model: Any, build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS, beside=True)
    learner = build(model, spec)
    losses = losses_of(learner, spec, 25)
    assert losses[-1] < losses[0]
    batch = batch_of(learner, spec)
    other = replace(batch, texts=batch.texts[1:] + batch.texts[:1])
    moved = not np.allclose(learner.predict(batch), learner.predict(other), atol=1e-6)
    assert moved == (model.name != "class-embedding")  # which reads the classes' names only


@pytest.mark.parametrize("model", FUSED, ids=lambda model: model.name)
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_learns(model: Any, control: str, beside: bool, build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS, beside=beside)
    learner = build(model, spec, control=control)
    losses = losses_of(learner, spec, 8)
    assert losses[-1] < losses[0]
    for answer in learner.predict(batch_of(learner, spec)):
        check_answer(LABELS, answer)


@pytest.mark.parametrize("model", FUSED, ids=lambda model: model.name)
@pytest.mark.parametrize("kind", TASKS)
def test_c1_has_as_many_trained_weights_and_no_language(model: Any, kind: str, build: Callable[..., Any]) -> None:
    if kind not in model.answers:
        return
    fused, control = build(model, spec_of(kind)), build(model, spec_of(kind), control="C1")
    counts = [sum(p.numel() for p in learner.parameters() if p.requires_grad) for learner in (fused, control)]
    assert counts[1] == pytest.approx(counts[0], rel=0.02)
    assert not any("classes" in name or "reader" in name for name, _ in control.named_parameters())


def test_c2_differs_in_the_language_models_weights_only(build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS)
    one, other = build(catalog.film, spec).state_dict(), build(catalog.film, spec, control="C2").state_dict()
    assert one.keys() == other.keys()
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert changed
    assert all(".source.model." in name for name in changed)


def test_c3_gives_each_class_anothers_text(build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS)
    own, permuted = (build(catalog.class_embedding, spec, control=c).head.scorer.classes for c in (None, "C3"))
    order = permuted.get_buffer("order").tolist()
    assert sorted(order) == list(range(len(NAMES)))
    assert all(index != given for index, given in enumerate(order))
    assert torch.allclose(permuted(), own()[order])


def test_c3_beside_images_draws_vectors_without_content(build: Callable[..., Any]) -> None:
    source = build(catalog.film, spec_of(LABELS, beside=True), control="C3").reader
    encoder = build(catalog.film, spec_of(LABELS, beside=True)).reader
    vectors = source(["a red one", "a red one", "a red two"]).pooled
    assert torch.equal(vectors[0], vectors[1])
    assert abs(torch.cosine_similarity(vectors[0], vectors[2], dim=0)) < 0.6
    assert vectors.norm(dim=1).mean() == pytest.approx(encoder(list(TEXTS)).pooled.norm(dim=1).mean().item(), rel=0.2)


def test_c4_knows_attributes_and_no_words(build: Callable[..., Any]) -> None:
    learner = build(catalog.class_embedding, spec_of(LABELS), control="C4")
    vectors = learner.head.scorer.classes()
    assert vectors.shape == (len(NAMES), 4)
    assert (vectors[0] > 0).tolist() == [True, False, True, False]
    bag = build(catalog.film, spec_of(LABELS, beside=True), control="C4").reader
    assert torch.equal(bag(["one red a"]).pooled, bag(["a red one"]).pooled)
    assert bag(["violet"]).pooled[0, -1] == 1.0


def test_c5_sees_no_image(build: Callable[..., Any]) -> None:
    learner = build(catalog.cross_attention, spec_of(LABELS, beside=True), control="C5")
    assert learner.vision is None
    answers = learner.predict(Batch(("a", "b"), None, ("the left one", "the left one")))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("control", [None, "C6"])
def test_emap_leaves_an_additive_model_as_it_is_and_no_other(control: str | None, build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS, beside=True)
    learner = build(catalog.film, spec, control=control)
    losses_of(learner, spec, 30)
    samples = tuple(Sample(str(row), Path(), None, TEXTS[row % len(TEXTS)]) for row in range(COUNT))
    features = batch_of(learner, spec).visual.numpy()
    visual_tokens = VisualTokens(learner, None, samples, features, "cpu")
    projected = [outcome.prediction for outcome in additive_outcomes(learner, visual_tokens, COUNT, lambda *_: None)]
    same = np.allclose(projected, learner.predict(batch_of(learner, spec)), atol=1e-5)
    assert same == (control == "C6")


def test_several_classes_an_image(build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS, multilabel=True)
    learner = build(catalog.class_embedding, spec)
    losses = losses_of(learner, spec, 12)
    assert losses[-1] < losses[0]
    answers = np.asarray(learner.predict(batch_of(learner, spec)))
    assert answers.shape == (COUNT, len(NAMES))
    assert ((answers > 0) & (answers < 1)).all()


def test_an_unseen_class_is_named_by_its_text(build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS)
    learner = build(catalog.class_embedding, spec)
    scorer = learner.head.scorer
    direction = torch.nn.functional.normalize(scorer.text(scorer.classes())[4], dim=0)
    with torch.no_grad():
        scorer.visual.weight.copy_(torch.eye(16))
        scorer.visual.bias.zero_()
        assert scorer(direction).argmax() == 4


def test_the_same_seed_gives_the_same_weights(build: Callable[..., Any]) -> None:
    spec = spec_of(BOXES)
    one, same, other = (build(catalog.film, spec, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_tuned_language_model_is_trained(build: Callable[..., Any]) -> None:
    spec = spec_of(LABELS)
    for tune, some in (("frozen", False), ("lora", False), ("full", True), ("bitfit", True)):
        learner = build(catalog.class_embedding, spec, tune=tune)
        assert bool(learner.parameter_groups().language) == some
    lora = build(catalog.class_embedding, spec, tune="lora")
    assert any("lora" in name for name, _ in lora.parameter_groups().new)


def test_an_operator_without_places_has_no_boxes(build: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="'q-former' does not answer with boxes"):
        build(catalog.q_former, spec_of(BOXES))
    with pytest.raises(UsageError, match="'q' forgets where things are"):
        build(DiscriminativeModel("q", "its side alone", fusion="q-former"), spec_of(BOXES))
    with pytest.raises(UsageError, match="has no control 'C1'"):
        catalog.probe.with_control("C1")

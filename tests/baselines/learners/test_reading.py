"""Which texts each learner says it reads, and what happens when the classes are reworded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import catalog
from baselines.language.class_texts import ClassTexts
from baselines.language.encoder import LanguageEncoder
from baselines.language.stand_ins import BagOfWords
from harness.answers import BOXES, LABELS, MAPS
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.protocols import BuildContext, ReadsText, SupportsForget
from harness.sample import TaskSpec
from tests.baselines.models.test_discriminative import COUNT, FUSED, TASKS, batch_of, losses_of, spec_of

Make = Callable[..., Any]


def named(model: Any) -> str:
    return str(model.name)


UNKNOWN = (("zyxw vutsr",), ("",), ("!",), ("red zyxw", "zyxw"), ("qqq",))
"""Texts of words that nobody was trained on, and of none."""


@pytest.fixture(scope="session")
def make(prerequisite: Path, languages: dict[str, Path]) -> Make:
    """Build a model on tiny parts: `make(model, spec, control="C3", language="gpt2")`."""

    def make(model: Any, spec: TaskSpec, control: str | None = None, **wishes: Any) -> Any:
        settings = {"joint_width": 16, "queries": 3, "query_layers": 1, "join_layers": 1, **wishes.pop("settings", {})}
        options = ModelOptions(
            language=str(languages[wishes.pop("language", "bert")]), settings=settings, task=spec.task, **wishes
        )
        context = BuildContext(options, TrainOptions(dropout=0.0), DecodeOptions(), 0, Path("unused"), prerequisite)
        return (model if control is None else model.with_control(control)).build(spec, context)

    return make


def rotated(spec: TaskSpec) -> list[tuple[str, ...]]:
    """Give each class the texts of the next one."""
    texts = spec.classes.texts
    return [*texts[1:], texts[0]]


def answers(learner: Any, spec: TaskSpec, rows: Sequence[int] = range(5)) -> list[Any]:
    with torch.inference_mode():
        found: list[Any] = learner.predict(batch_of(learner, spec, rows))
    return found


@pytest.mark.parametrize(
    ("model", "control", "beside", "wanted"),
    [
        (catalog.film, None, False, ("classes",)),
        (catalog.film, None, True, ("text",)),
        (catalog.cross_attention, None, False, ("classes",)),
        (catalog.class_embedding, None, False, ("classes",)),
        (catalog.class_embedding, None, True, ("classes",)),  # it has no place for a text beside the image
        (catalog.film, "C0", True, ()),
        (catalog.film, "C1", False, ()),
        (catalog.film, "C2", False, ("classes",)),
        (catalog.film, "C3", False, ("classes",)),
        (catalog.film, "C3", True, ("text",)),
        (catalog.film, "C4", False, ()),  # attributes are no words
        (catalog.film, "C4", True, ("text",)),
        (catalog.film, "C5", True, ("text",)),
        (catalog.film, "C5", False, ("classes",)),
        (catalog.film, "C6", True, ("text",)),
        (catalog.film, "C6", False, ("classes",)),
        (catalog.probe, None, False, ()),
        (catalog.probe, None, True, ()),
    ],
)
def test_what_is_read_is_said(model: Any, control: str | None, beside: bool, wanted: Any, make: Make) -> None:
    learner = make(model, spec_of(LABELS, beside=beside), control)
    assert isinstance(learner, ReadsText)
    assert learner.reads == wanted


def test_captioners_and_towers_of_their_own_read_none(make: Make) -> None:
    from tests.baselines.conftest import SPEC

    for model in (catalog.cross_attention, catalog.retrieval):
        learner = make(model, SPEC, settings={"layers": 1, "width": 16, "heads": 2})
        assert not getattr(learner, "reads", ())


@pytest.mark.parametrize("model", FUSED, ids=named)
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("control", [None, "C2", "C3", "C4", "C6"])
def test_answers_follow_the_texts_of_the_classes_and_come_back(
    model: Any, kind: str, control: str | None, make: Make
) -> None:
    if kind not in model.answers or (control is not None and kind != LABELS):
        return
    spec = spec_of(kind)
    learner = make(model, spec, control)
    losses_of(learner, spec, 3)
    first = answers(learner, spec)
    learner.reword(spec.classes.texts)
    assert answers(learner, spec) == first
    with torch.inference_mode():  # as a sweep does it
        learner.reword(rotated(spec))
    other = answers(learner, spec)
    if kind != MAPS:  # a label map of untrained weights may stay
        assert (other != first) == ("classes" in learner.reads) == (control != "C4")
    learner.reword(spec.classes.texts)
    assert answers(learner, spec) == first


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("control", ["C0", "C1", "C3", "C4", "C5"])
def test_whoever_does_not_read_the_classes_stays(beside: bool, control: str, make: Make) -> None:
    spec = spec_of(LABELS, beside=beside)
    learner = make(catalog.film, spec, control)
    losses_of(learner, spec, 3)
    first = answers(learner, spec)
    learner.reword(rotated(spec))
    assert (answers(learner, spec) != first) == ("classes" in learner.reads)


def test_rewording_keeps_c3s_permutation(make: Make) -> None:
    spec = spec_of(LABELS)
    own, permuted = (make(catalog.class_embedding, spec, control).head.scorer.classes for control in (None, "C3"))
    order = permuted.get_buffer("order").tolist()
    for classes in (own, permuted):
        classes.reword(rotated(spec))
    assert torch.allclose(permuted(), own()[order])
    assert not torch.allclose(permuted(), own())


def test_prompts_may_differ_in_number(make: Make) -> None:
    """Whatever the number of prompts, a class's vector is their mean."""
    spec = spec_of(LABELS)
    classes = make(catalog.class_embedding, spec).head.scorer.classes
    classes.reword([("red",), ("blue", "a blue square", "square"), ("star",), ("cross",), ("red", "red")])
    vectors = classes()
    read = classes.source(["blue", "a blue square", "square"]).pooled
    mean = torch.nn.functional.normalize(torch.nn.functional.normalize(read, dim=-1).mean(dim=0), dim=-1)
    assert torch.allclose(vectors[1], mean * classes.width**0.5, atol=1e-5)
    classes.reword([("red",), ("blue",), ("star",), ("cross",), ("red",)])
    assert torch.allclose(classes()[4], vectors[4], atol=1e-6)


@pytest.mark.parametrize("language", ["bert", "gpt2"])
@pytest.mark.parametrize("model", [catalog.class_embedding, catalog.film, catalog.cross_attention], ids=named)
def test_unknown_words_and_the_empty_text_are_read_too(language: str, model: Any, make: Make) -> None:
    spec = spec_of(LABELS)
    learner = make(model, spec, language=language)
    for texts in (UNKNOWN, rotated(spec)):
        learner.reword(texts)
        assert all(sum(row) == pytest.approx(1.0) for row in answers(learner, spec))


def test_a_bag_of_words_ignores_words_that_it_does_not_know(make: Make) -> None:
    spec = replace(spec_of(LABELS), classes=replace(spec_of(LABELS).classes, attributes=()))
    learner = make(catalog.class_embedding, spec, "C4")
    source = learner.head.scorer.classes.source
    assert isinstance(source, BagOfWords) and learner.reads == ("classes",)
    first = answers(learner, spec)
    learner.reword(UNKNOWN)
    assert answers(learner, spec) != first
    known = source(["a red zyxw circle", "a red qqq circle", "zyxw", ""])
    assert torch.equal(known.pooled[0], known.pooled[1])
    assert known.pooled[2].nonzero().tolist() == [[source.width - 1]]
    assert not known.pooled[3].any()
    learner.reword([(f"{text[0]} {text[0]}",) for text in spec.classes.texts])  # how often counts as little as order
    one = answers(learner, spec)
    learner.reword([(text[0],) for text in spec.classes.texts])
    assert answers(learner, spec) == one


def test_texts_beside_images_may_hold_unknown_words(make: Make) -> None:
    spec = spec_of(LABELS, beside=True)
    for control in (None, "C3", "C4", "C6"):
        learner = make(catalog.film, spec, control)
        batch = replace(batch_of(learner, spec), texts=("zyxw vutsr", "", None, "?!") * 3)
        assert len(learner.predict(batch)) == COUNT


def test_what_is_remembered_does_not_grow(make: Make) -> None:
    spec = spec_of(LABELS)
    learner = make(catalog.film, spec)
    assert isinstance(learner, SupportsForget)
    encoders = {module for module in learner.modules() if isinstance(module, LanguageEncoder)}
    assert encoders
    for count in range(6):
        learner.reword([(f"{text[0]} number {count}",) for text in spec.classes.texts])
        answers(learner, spec)
        assert all(len(encoder._remembered) <= len(spec.classes) for encoder in encoders)
    before = answers(learner, spec)
    learner.forget()
    assert not any(encoder._remembered for encoder in encoders)
    assert answers(learner, spec) == before


@pytest.mark.parametrize("tune", ["lora", "bitfit", "full"])
def test_a_tuned_language_model_reads_the_new_texts(tune: str, make: Make) -> None:
    spec = spec_of(LABELS)
    learner = make(catalog.class_embedding, spec, tune=tune)
    losses_of(learner, spec, 2)
    first = answers(learner, spec)
    learner.reword(rotated(spec))
    assert answers(learner, spec) != first
    learner.reword(spec.classes.texts)
    assert answers(learner, spec) == first


@pytest.mark.parametrize("kind", [LABELS, BOXES])
def test_the_state_of_a_learner_does_not_hold_the_texts(kind: str, make: Make) -> None:
    """A checkpoint that was written before rewording fits after it, and the other way round."""
    spec = spec_of(kind)
    learner = make(catalog.film, spec)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    learner.reword([("one", "two", "three")] * len(spec.classes))
    answers(learner, spec)
    after = learner.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(isinstance(texts, ClassTexts) for texts in learner._class_texts())


@pytest.mark.parametrize("language", ["bert", "gpt2", "llama"])
def test_nothing_but_empty_texts(language: str, make: Make) -> None:
    """A tokenizer that puts nothing around a text gives a batch of no tokens."""
    spec = spec_of(LABELS)
    learner = make(catalog.film, spec, language=language)
    encoder = next(module for module in learner.modules() if isinstance(module, LanguageEncoder))
    alone, beside = encoder([""]).pooled, encoder(["", "red"]).pooled[:1]
    encoder.forget()
    assert torch.equal(alone, beside) and torch.equal(encoder(["red", ""]).pooled[1:], alone)
    learner.reword([("",)] * len(spec.classes))
    for answer in answers(learner, spec):
        assert sum(answer) == pytest.approx(1.0)


@pytest.mark.parametrize("model", [catalog.class_embedding, catalog.film, catalog.cross_attention], ids=named)
@pytest.mark.parametrize("control", [None, "C3", "C4", "C6"])
def test_what_was_read_in_inference_mode_takes_part_in_a_gradient(model: Any, control: str | None, make: Make) -> None:
    """Also where nobody rewords, since attributes are no words."""
    spec = spec_of(LABELS)
    learner = make(model, spec, control)
    batch = batch_of(learner, spec, with_targets=True)
    with torch.inference_mode():
        learner.predict(batch)
    leaf = batch.visual.clone().requires_grad_()
    (slope,) = torch.autograd.grad(learner.losses(replace(batch, visual=leaf)).sum(), leaf)
    assert bool(slope.any())

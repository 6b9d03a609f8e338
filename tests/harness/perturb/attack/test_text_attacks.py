"""Edits of texts: within their budget, kept only when they raise the loss, and undone afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harness.perturb.attack.catalog import JointAttack, TextAttack
from harness.perturb.attack.request import AttackOptions
from harness.perturb.attack.text_edits import text_candidates
from harness.perturb.text.word_spans import find_words

from .learners import CLASS_TEXTS, SIDE, Label, Pixels, Reader, Trained, distance, request_for

OPTIONS = AttackOptions(pgd_steps=24, queries=10, gate_samples=2, gate_steps=(2,), class_queries=9)
TEXTS = {n: f"the red circle number {n}" for n in range(6)}
ATTACK = TextAttack("text-attack", "", OPTIONS)


def test_candidates_are_one_edit_away() -> None:
    found = text_candidates("a red circle beside two blue squares", np.random.default_rng(0))
    assert len(found) == len(set(found)) >= 8
    words = ["a", "red", "circle", "beside", "two", "blue", "squares"]
    for other in found:
        new = [other[start:end] for start, end in find_words(other)]
        assert sum(word not in new for word in words) <= 2
    assert text_candidates("", np.random.default_rng(0)) == []


def test_more_edits_raise_the_loss_of_every_sample() -> None:
    request = request_for(None, [Label(0)] * 6, texts=TEXTS)
    losses = []
    for severity in (1, 3):
        result = ATTACK.predict(Reader("text"), request, severity)
        texts = [answer[0] for answer in result.predictions]
        assert all(text != TEXTS[n] for n, text in enumerate(texts))
        assert result.notes["loss_before"] == 0 and result.notes["raised"] == 6
        mean = np.mean([distance(TEXTS[n], text) for n, text in enumerate(texts)])
        assert result.notes["loss_after"] == pytest.approx(mean)
        losses.append(mean)
        assert json.dumps(result.notes, allow_nan=False) and "not checked" in result.notes["meaning"]
    assert losses[1] > losses[0]


def test_an_edit_that_does_not_help_is_not_made() -> None:
    reader = Reader("text")
    reader.losses = lambda batch: (
        -torch.tensor(  # type: ignore[method-assign]
            [distance(reader.original[i], t or "") for i, t in zip(batch.sample_ids, batch.texts, strict=True)]
        )
    )
    result = ATTACK.predict(reader, request_for(None, [Label(0)] * 6, texts=TEXTS), 5)
    assert [answer[0] for answer in result.predictions] == list(TEXTS.values())
    assert result.notes["raised"] == result.notes["texts_changed"] == 0


def test_the_batch_does_not_change_the_texts() -> None:
    one, other = (
        ATTACK.predict(Reader("text"), request_for(None, [Label(0)] * 6, texts=TEXTS, batch_size=size), 2)
        for size in (2, 6)
    )
    assert one.predictions == other.predictions
    few = ATTACK.predict(Reader("text"), request_for(None, [Label(0)] * 3, texts=TEXTS), 2)
    assert few.predictions == one.predictions[:3]


def test_class_texts_are_edited_for_all_samples_and_read_as_before_afterwards() -> None:
    reader = Reader("classes")
    result = ATTACK.predict(reader, request_for(None, [Label(0)] * 4), 2)
    assert "universal" in result.notes["classes"]
    worded = result.predictions[0][1]
    assert all(answer[1] == worded for answer in result.predictions)
    assert all(a != b for a, b in zip(CLASS_TEXTS, worded, strict=True)), "each class is edited"
    assert result.notes["loss_after"] > 0 and result.notes["candidates"] <= 2 * OPTIONS.class_queries
    assert reader.class_texts == CLASS_TEXTS


def test_class_texts_are_read_as_before_after_an_error_too() -> None:
    reader = Reader("classes")
    reader.predict = lambda batch: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        ATTACK.predict(reader, request_for(None, [Label(0)] * 4), 1)
    assert reader.class_texts == CLASS_TEXTS
    assert len(reader.worded) > 2


def test_who_reads_nothing_is_skipped(trained: Trained) -> None:
    request = request_for(trained.pixels[:2], trained.labels[:2])
    assert ATTACK.predict(trained.learner(), request, 1).skipped == "the model reads no text"
    assert (
        ATTACK.predict(Reader("text"), request_for(None, [Label(0)]), 1).skipped
        == "no sample has a text beside its image"
    )
    digits = request_for(None, [Label(0)], texts={0: "..."})
    reader = Reader("text")
    reader.original["s0"] = "..."
    assert ATTACK.predict(reader, digits, 1).skipped == "no edit changes any of the texts that the model reads"


def test_a_joint_attack_does_both() -> None:
    pixels = np.full((4, 3, SIDE, SIDE), 100, dtype=np.uint8)
    request = request_for(pixels, [Label(0)] * 4, texts=TEXTS, batch_size=3)
    joint = JointAttack("joint-attack", "", options=OPTIONS)
    result = joint.predict(Reader("text", "classes", vision=Pixels()), request, 2)
    assert result.skipped is None
    texts_only = ATTACK.predict(Reader("text", "classes", vision=Pixels()), request, 2)
    brighter = 1.0 / 255  # eps of severity 2, all of it: the loss is the mean brightness
    edits = sum(distance(TEXTS[n], answer[0]) for n, answer in enumerate(result.predictions)) / 4
    worded = result.predictions[0][1]
    words = sum(distance(x, y) for a, b in zip(CLASS_TEXTS, worded, strict=True) for x, y in zip(a, b, strict=True))
    assert result.notes["loss_after"] == pytest.approx(100 / 255 + brighter + edits + words, abs=1e-4)
    assert texts_only.notes["loss_before"] == pytest.approx(result.notes["loss_before"])
    assert joint.predict(Reader("text"), request_for(None, [Label(0)] * 4, texts=TEXTS), 1).skipped is not None

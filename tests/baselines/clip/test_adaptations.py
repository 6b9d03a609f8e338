"""What every adaptation of CLIP promises, and what each is by its formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from baselines.clip import catalog
from baselines.clip.tip_cache import choose_places, is_held_out
from harness.cell import TrainOptions
from harness.errors import UsageError
from harness.jobs.optimizer import build_optimizer
from harness.jobs.train import trained_state
from harness.protocols import Learner, SupportsFit
from harness.sample import Batch

from .conftest import (
    NAMES,
    SEVERAL,
    SPEC,
    TARGETS,
    TEXT,
    WIDTH,
    feature_batch,
    image_batch,
    rows_of,
    train_steps,
)

TRAINED = [
    catalog.clip_linear_probe,
    catalog.clip_coop,
    catalog.clip_adapter,
    catalog.clip_tip_adapter_f,
    catalog.clip_wise_ft,
]
LEARNED = [*TRAINED, catalog.clip_tip_adapter]
WISHES = {"clip-coop": {"context_vectors": 4}, "clip-tip-adapter-f": {"shots": 4}, "clip-tip-adapter": {"shots": 4}}


def named(model: Any) -> str:
    return str(model.name)


def make(build: Any, model: Any, kind: str = "clip", **wishes: Any) -> Any:
    return build(model, kind, **{**WISHES.get(model.name, {}), **wishes})


def learn(learner: Any, steps: int = 12, rate: float = 3e-3) -> list[float]:
    if isinstance(learner, SupportsFit):
        batch = feature_batch()
        with torch.no_grad():
            learner.fit(_part(batch, slice(start, start + 20)) for start in (0, 20, 40))
        learner.eval()
        return []
    return train_steps(learner, steps, batch=feature_batch(16) if learner.vision_frozen else None, rate=rate)


def answers(learner: Any, count: int = 7) -> np.ndarray:
    batch = feature_batch(count) if learner.vision_frozen else image_batch(learner, count)
    with torch.inference_mode():
        return np.array(learner.predict(rows_of(batch, slice(0, count))))


def _part(batch: Batch, rows: slice) -> Batch:
    assert batch.visual is not None and batch.targets is not None
    return Batch(batch.sample_ids[rows], batch.visual[rows], batch.texts[rows], batch.targets[rows])


@pytest.mark.parametrize("model", TRAINED, ids=named)
def test_the_loss_falls_on_sixteen_samples(model: Any, build: Any) -> None:
    learner = make(build, model)
    assert isinstance(learner, Learner)
    losses = learn(learner, 20, 1e-2 if learner.vision_frozen else 3e-3)
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("model", LEARNED, ids=named)
def test_answers_are_probabilities_and_do_not_depend_on_the_batch(model: Any, build: Any) -> None:
    learner = make(build, model)
    learn(learner)
    whole = answers(learner)
    assert whole.shape == (7, len(NAMES)) and (whole >= 0).all()
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-9)
    batch = feature_batch(7) if learner.vision_frozen else image_batch(learner, 7)
    for size in (1, 3):
        parts = [learner.predict(rows_of(batch, slice(start, start + size))) for start in range(0, 7, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    unseen = whole[:, 4:]
    assert (unseen == 0).all() if model is catalog.clip_linear_probe else (unseen > 0).all()


@pytest.mark.parametrize("model", LEARNED, ids=named)
def test_a_checkpoint_restores_the_answers(model: Any, build: Any) -> None:
    learner = make(build, model)
    frozen = {name: p.detach().clone() for name, p in learner.named_parameters() if not p.requires_grad}
    learn(learner, 3)
    state = {name: tensor.clone() for name, tensor in trained_state(learner).items()}
    again = make(build, model)
    assert trained_state(again).keys() == state.keys()
    assert all(trained_state(again)[name].shape == tensor.shape for name, tensor in state.items())
    report = again.load_state_dict(state, strict=False)
    assert not report.unexpected_keys
    again.eval()
    np.testing.assert_allclose(answers(again), answers(learner), atol=1e-7)
    assert not np.allclose(answers(again), answers(make(build, model).eval()), atol=1e-4)
    assert all(torch.equal(value, dict(learner.named_parameters())[name]) for name, value in frozen.items())


@pytest.mark.parametrize("model", LEARNED, ids=named)
def test_the_seed_alone_decides_the_weights(model: Any, build: Any) -> None:
    state = torch.random.get_rng_state()
    first = make(build, model)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(3)
    second = make(build, model)
    for learner in (first, second):
        learn(learner, 2)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_seeds_differ_where_something_is_drawn(build: Any) -> None:
    for model in (catalog.clip_coop, catalog.clip_adapter):
        first, second = make(build, model), make(build, model, seed=1)
        assert any(
            not torch.equal(a, b)
            for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
        )


@pytest.mark.parametrize("model", LEARNED, ids=named)
def test_several_classes_an_image_are_for_the_linear_probe_only(model: Any, build: Any) -> None:
    if model is not catalog.clip_linear_probe:
        with pytest.raises(UsageError, match=r"several classes.*clip-linear-probe"):
            make(build, model, spec=SEVERAL)
        return
    learner = make(build, model, spec=SEVERAL)
    losses = learn(learner)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6) and losses[-1] < losses[0]
    assert ((answers(learner) > 0) & (answers(learner) < 1)).all()


@pytest.mark.parametrize("model", LEARNED, ids=named)
def test_controls_change_the_language_alone(model: Any, build: Any) -> None:
    if model is catalog.clip_linear_probe:
        assert not model.fused and model.controls_for("labels") == ()
        return
    for control in model.controls_for("labels"):
        own = make(build, model)
        other = make(build, model.with_control(control))
        assert other.vision.key == own.vision.key
        for (name, a), (_, b) in zip(own.vision.state_dict().items(), other.vision.state_dict().items(), strict=True):
            assert torch.equal(a, b), name
        for name, parameter in own.named_parameters():
            if parameter.requires_grad:  # what is new or tuned starts alike
                assert torch.equal(parameter, dict(other.named_parameters())[name]), name
        learn(own, 2), learn(other, 2)
        assert not np.allclose(np.log(answers(own)), np.log(answers(other)), atol=0.1)


def test_permuted_texts_are_the_same_texts_of_other_classes(build: Any) -> None:
    own = make(build, catalog.clip_adapter).head.classes()
    other = make(build, catalog.clip_adapter.with_control("C3")).head.classes()
    match = torch.cdist(other, own).argmin(dim=1).tolist()
    assert sorted(match) == list(range(6)) and all(index != place for place, index in enumerate(match))
    torch.testing.assert_close(other, own[match], atol=1e-6, rtol=0)


def test_the_linear_probe_by_its_formula(build: Any) -> None:
    learner = make(build, catalog.clip_linear_probe)
    trained = sum(p.numel() for p in learner.parameters() if p.requires_grad)
    assert trained == (WIDTH + 1) * 4
    losses = learn(learner)
    assert losses[0] == pytest.approx(math.log(4), abs=1e-6)  # four seen classes, weights 0
    batch = feature_batch(5)
    features = F.normalize(batch.visual[:, 0], dim=1) * WIDTH**0.5  # type: ignore[index]
    expected = (features @ learner.head.linear.weight.T + learner.head.linear.bias).softmax(dim=1).detach()
    np.testing.assert_allclose(np.array(learner.predict(batch))[:, :4], expected, atol=1e-6)


def test_clip_adapter_by_its_formula(build: Any) -> None:
    learner = make(build, catalog.clip_adapter)
    assert sum(p.numel() for p in learner.parameters() if p.requires_grad) == 2 * WIDTH * (WIDTH // 4)
    batch = feature_batch(5)
    visual = batch.visual[:, 0]  # type: ignore[index]
    adapter = learner.head.image
    changed = F.relu(F.relu(visual @ adapter.down.weight.T) @ adapter.up.weight.T)
    mixed = F.normalize(0.2 * changed + 0.8 * visual, dim=1)
    zero_shot = make(build, catalog.clip_zero_shot)
    scale = 1 / 0.07
    expected = (scale * mixed @ zero_shot.head.classes().T).softmax(dim=1).detach()
    np.testing.assert_allclose(np.array(learner.predict(batch)), expected, atol=1e-5)
    unadapted = make(build, catalog.clip_adapter, adapter_ratio=0.0)
    np.testing.assert_allclose(unadapted.predict(batch), zero_shot.predict(batch), atol=1e-7)


@pytest.mark.parametrize("kind", ["clip", "custom", "siglip", "mobileclip", "coca", "hf"])
def test_coop_starts_from_what_its_context_says(kind: str, build: Any) -> None:
    """With the embeddings of real words in the place of the context it is zero-shot CLIP with these words."""
    learner = make(build, catalog.clip_coop, kind)
    assert learner.head.classes.inner.context.shape == (4, 32 if kind == "hf" else TEXT["width"])
    groups = learner.parameter_groups()
    assert [name for name, _ in groups.new] == ["head.classes.inner.context"]
    assert not groups.language and not groups.vision
    prompts = learner.head.classes.inner
    words = "a a a a"
    ids = prompts.text.tokenize([f"{words} {group[0]}" for group in SPEC.classes.texts])
    with torch.no_grad():
        prompts.context.copy_(prompts.text.embedding(ids[0, prompts.start : prompts.start + 4]))
        torch.testing.assert_close(prompts(), prompts.text(ids), atol=1e-6, rtol=0)
    assert learner.parameter_groups().new[0][1].numel() == 4 * prompts.context.shape[1]


def test_coop_moves_the_context_and_nothing_else(build: Any) -> None:
    learner = make(build, catalog.clip_coop, "hf")
    before = {name: parameter.detach().clone() for name, parameter in learner.named_parameters()}
    learn(learner, 2)
    moved = {name for name, parameter in learner.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"head.classes.inner.context"}
    assert not any(module.training for module in learner.head.classes.inner.text.modules())


def test_coop_needs_room(build: Any) -> None:
    assert make(build, catalog.clip_coop, context_vectors=1).head.classes.inner.start == 1
    assert make(build, catalog.clip_coop, context_vectors=37).head.classes.inner.context.shape[0] == 37
    for vectors in (38, 90):
        with pytest.raises(UsageError, match=rf"model\.context_vectors={vectors}.*40 tokens"):
            make(build, catalog.clip_coop, context_vectors=vectors)


def test_remembered_classes_follow_what_is_loaded(build: Any) -> None:
    learner, other = make(build, catalog.clip_coop), make(build, catalog.clip_coop, seed=1)
    learner.eval(), other.eval()
    before = learner.head.classes()
    assert learner.head.classes() is before
    learner.load_state_dict(trained_state(other), strict=False)
    torch.testing.assert_close(learner.head.classes(), other.head.classes())


def test_the_cache_by_its_formula(build: Any) -> None:
    learner = make(build, catalog.clip_tip_adapter, shots=3)
    assert isinstance(learner, SupportsFit) and not any(vars(learner.parameter_groups()).values())
    learn(learner)
    head, batch = learner.head, feature_batch()
    assert head.slots.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 and bool(head.filled.all())
    features = F.normalize(batch.visual[:, 0], dim=1)  # type: ignore[index]
    places = choose_places(batch.sample_ids, [t.label for t in TARGETS], head.slots)
    for name, place in places.items():
        row = batch.sample_ids.index(name)
        assert TARGETS[row].label == head.slots[place]
        torch.testing.assert_close(head.keys[place], features[row])
    alpha, beta = head.mixing.tolist()
    one_hot = F.one_hot(head.slots, 6).float()
    zero_shot = make(build, catalog.clip_zero_shot).head
    weights = zero_shot.classes()
    expected = (
        zero_shot.scale * features @ weights.T + alpha * torch.exp(-beta * (1 - features @ head.keys.T)) @ one_hot
    )
    np.testing.assert_allclose(learner.predict(batch), expected.softmax(dim=1), atol=1e-5)


def test_alpha_and_beta_are_chosen_on_what_is_held_out(build: Any) -> None:
    batch = feature_batch()
    held = [row for row, name in enumerate(batch.sample_ids) if is_held_out(name)]
    assert 0 < len(held) < 12
    learner = make(build, catalog.clip_tip_adapter, shots=0)
    seen: list[tuple[int, int]] = []
    select = learner.head.select_mixing

    def spy(features: torch.Tensor, labels: torch.Tensor) -> None:
        seen.append((len(labels), int(learner.head.filled.sum())))
        keys = learner.head.keys[learner.head.filled]
        assert torch.cdist(features, keys).min() > 1e-3  # no held-out image is a key
        select(features, labels)

    learner.head.select_mixing = spy
    learn(learner)
    assert seen == [(len(held), 48 - len(held))]
    assert int(learner.head.filled.sum()) == 48
    assert learner.head.mixing[0] > 0  # these images tell their classes, random texts do not
    right = [answer.index(max(answer)) == t.label for answer, t in zip(learner.predict(batch), TARGETS, strict=True)]
    assert sum(right) > 40


def test_the_published_mixing_stands_where_nothing_is_held_out(build: Any) -> None:
    learner = make(build, catalog.clip_tip_adapter)
    batch = feature_batch()
    row = next(row for row, name in enumerate(batch.sample_ids) if not is_held_out(name))
    with torch.no_grad():
        learner.fit([_part(batch, slice(row, row + 1))])
    assert learner.head.mixing.tolist() == [1.0, 5.5]


def test_tuned_keys_start_as_the_images_and_leave_the_held_out_alone(build: Any) -> None:
    learner = make(build, catalog.clip_tip_adapter_f, shots=4)
    assert learner.head.keys.numel() == 4 * 4 * WIDTH
    assert [name for name, _ in learner.parameter_groups().new] == ["head.keys"]
    batch = feature_batch()
    learner.train()
    learner.loss(batch, torch.Generator())
    features = F.normalize(batch.visual[:, 0], dim=1)  # type: ignore[index]
    held = {name for name in batch.sample_ids if is_held_out(name)}
    assert set(learner._held) == held and not held & set(learner._places)
    assert int(learner.head.filled.sum()) == 16
    for name, place in learner._places.items():
        torch.testing.assert_close(learner.head.keys[place].detach(), features[batch.sample_ids.index(name)])
    only_held = batch.sample_ids.index(next(iter(held)))
    loss = learner.loss(_part(batch, slice(only_held, only_held + 1)), torch.Generator())
    assert float(loss.detach()) == 0.0 and loss.requires_grad
    learner.eval()
    assert learner.head.mixing.tolist() != [1.0, 5.5]


def test_an_image_does_not_vote_for_itself_in_its_own_loss(build: Any) -> None:
    learner, batch = make(build, catalog.clip_tip_adapter_f, shots=0), feature_batch()
    rows = [row for row, name in enumerate(batch.sample_ids) if not is_held_out(name)][:1]
    one = _part(batch, slice(rows[0], rows[0] + 1))
    zero_shot = make(build, catalog.clip_zero_shot)
    torch.testing.assert_close(learner.loss(one, torch.Generator()), zero_shot.loss(one, torch.Generator()))


def test_wise_ft_holds_the_mean_of_both_towers(build: Any) -> None:
    learner = make(build, catalog.clip_wise_ft, wise_alpha=0.25)
    assert not learner.vision_frozen
    assert not learner.parameter_groups().new and not learner.parameter_groups().language
    origin = {name: weight.detach().clone() for name, weight in learner.vision.named_parameters()}
    build_optimizer(learner, TrainOptions())
    train_steps(learner, 4)
    interpolated = {name: weight.detach().clone() for name, weight in learner.vision.named_parameters()}
    learner.train()
    tuned = {name: weight.detach().clone() for name, weight in learner.vision.named_parameters()}
    moved = 0.0
    for name, weight in interpolated.items():
        torch.testing.assert_close(weight, 0.75 * origin[name] + 0.25 * tuned[name], atol=1e-7, rtol=1e-6)
        moved = max(moved, float((tuned[name] - origin[name]).abs().max()))
    assert moved > 1e-3
    learner.eval()
    for name, weight in learner.vision.named_parameters():
        assert torch.equal(weight, interpolated[name])
    learner.eval()
    for name, weight in learner.vision.named_parameters():
        assert torch.equal(weight, interpolated[name])


def test_wise_ft_survives_the_loops_way_of_keeping_the_best(build: Any) -> None:
    """Train, validate, train on, load the best again: the loaded weights are not interpolated a second time."""
    learner = make(build, catalog.clip_wise_ft)
    train_steps(learner, 2)
    best = {name: tensor.clone() for name, tensor in trained_state(learner).items()}
    expected = answers(learner)
    train_steps(learner, 2)
    assert not np.allclose(answers(learner), expected, atol=1e-5)
    learner.load_state_dict(best, strict=False)
    learner.eval()
    np.testing.assert_allclose(answers(learner), expected, atol=1e-7)
    learner.train()  # training anew begins at the loaded weights
    learner.eval()
    np.testing.assert_allclose(answers(learner), expected, atol=1e-6)


def test_no_target_reaches_predict(build: Any) -> None:
    for model in LEARNED:
        learner = make(build, model)
        learn(learner, 1)
        batch = feature_batch(3) if learner.vision_frozen else image_batch(learner, 3)
        with_targets = learner.predict(batch)
        assert with_targets == learner.predict(rows_of(batch, slice(0, 3)))

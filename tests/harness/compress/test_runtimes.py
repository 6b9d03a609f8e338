"""Exported and compiled parts of a tiny learner: what is found, what comes out, and what cannot be, by name."""

from __future__ import annotations

import copy
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.compress.prune import RECOVERED
from harness.compress.regions import regions_of, release_converted
from harness.errors import NotCompressible, UsageError
from harness.jobs.variants import bytes_of_tensors, bytes_of_variant, variant_files
from harness.plan.modifiers import load_modifier
from harness.protocols import CompressionWork


class Words:
    """What no graph can hold."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts


class Reader(nn.Module):
    """Reads words, by a layer that takes tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.join = nn.Embedding(10, 8), nn.Linear(8, 8)

    def forward(self, words: Words) -> Tensor:
        ids = torch.tensor([[len(text), len(text) // 2] for text in words.texts])
        joined: Tensor = self.join(self.table(ids).mean(dim=1))
        return joined


class Strange(nn.Module):
    """Holds an operator that no exporter knows: numbers that leave torch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, values: Tensor) -> Tensor:
        return values * self.weight * float(values.detach().numpy().max())


class Names(nn.Module):
    """Reads the names of classes, for all samples at once: it is asked without a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.texts, self.table = ["a", "bb", "ccc"], nn.Embedding(10, 8)

    def forward(self) -> Tensor:
        found: Tensor = self.table(torch.tensor([len(text) for text in self.texts]))
        return found


class ByName(nn.Module):
    """Scores classes by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.names = Names()

    def forward(self, values: Tensor) -> Tensor:
        return values @ self.names().T


class Small(nn.Module):
    """A learner as the harness knows them: its own call takes texts, its parts take tensors."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.vision, self.vision_frozen = None, True
        self.reader, self.head = Reader(), last or nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        self.eval()

    def forward(self, texts: list[str]) -> Tensor:
        answer: Tensor = self.head(self.reader(Words(texts)))
        return answer


def answer(learner: Any, count: int) -> None:
    with torch.no_grad():
        learner([str(10**number) for number in range(count)])


def work(learner: Any, argument: str, folder: Path, train: Any = None) -> CompressionWork:
    return CompressionWork(learner, argument, answer, folder, train or (lambda *_: None))


def test_regions_are_the_outermost_parts_that_take_tensors_alone(tmp_path: Path) -> None:
    found = regions_of(work(Small(), "", tmp_path), "+onnx")
    assert [region.name for region in found.regions] == ["reader.table", "reader.join", "head"]
    assert found.left == {}


@pytest.mark.parametrize(("word", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_an_exported_learner_answers_alike_at_any_size_also_when_it_is_loaded_again(
    word: str, package: str, tmp_path: Path
) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    parent = Small()
    texts = ["a", "bb", "dddd", "ccc", "bbbbbb"]
    plugin = load_modifier(word).plugin
    made: list[Any] = []
    for _ in range(2):
        changed: Any = copy.deepcopy(parent)
        told = plugin.compress(work(changed, "", tmp_path))
        made.append(changed)
        with torch.inference_mode():
            for count in (1, 5):
                torch.testing.assert_close(changed(texts[:count]), parent(texts[:count]))
    assert told["share_of_weights"] == 1.0 and told["left_in_torch"] == {}
    assert bytes_of_tensors(made[0]) == 0  # all weights lie in files
    assert len(list(tmp_path.iterdir())) == 3
    assert "openvino_telemetry.backend" not in sys.modules, "nobody is told of what is converted"


def test_memory_of_converted_weights_is_given_back_but_of_those_that_torch_shares() -> None:
    part: Any = nn.Linear(8, 3)
    part.scale = nn.Parameter(torch.tensor(2.0))  # a scalar, as a gate is
    part.converted_parameters = list(part.parameters())
    left: Any = nn.Linear(8, 3)
    left.bias = part.bias
    release_converted(nn.Sequential(part, left))
    assert (part.weight.shape, part.scale.shape) == ((3, 8), ())
    assert [p.untyped_storage().nbytes() for p in (part.weight, part.scale, part.bias)] == [4, 4, 12]
    assert float(part.weight.detach().abs().max()) == 0 < float(left.bias.detach().abs().max())


class WordByWord(nn.Module):
    """Reads one word at a time when it answers, whole texts when it tells its losses, and classes without inputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.vision, self.vision_frozen = None, True
        self.table, self.classes = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 4)), Classes()
        self.eval()

    def forward(self, words: Tensor) -> Tensor:
        scores: Tensor = self.table(words).mean(dim=1) @ self.classes().T
        return scores


class Classes(nn.Module):
    """Has weights and takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))

    def forward(self) -> Tensor:
        return self.weight * 2


def test_a_part_that_answers_word_by_word_is_exported_for_texts_of_any_length(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    parent, changed = WordByWord(), WordByWord()

    def ask(length: int) -> Any:
        return lambda learner, count: learner(torch.arange(count * length).reshape(count, length) % 10)

    work = CompressionWork(changed, "", ask(1), tmp_path, lambda *_: None, ask(5))
    told = load_modifier("onnx").plugin.compress(work)
    assert told["parts"] == ["table"] and told["left_in_torch"] == {"classes": "is called without a tensor"}
    with torch.inference_mode():
        for length in (1, 7):
            words = torch.arange(2 * length).reshape(2, length) % 10
            torch.testing.assert_close(changed(words), parent(words))


def test_weights_in_8_bits_by_openvino_are_near_and_say_nothing_on_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec("nncf") is None:
        pytest.skip("nncf is not installed")
    parent, changed = Small(), Small()
    load_modifier("openvino-int8").plugin.compress(work(changed, "", tmp_path))
    texts = ["a", "bb", "dddd"]
    with torch.inference_mode():
        difference = (changed(texts) - parent(texts)).abs().max()
    assert 0 < difference < 0.05 and capsys.readouterr().out == ""


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    learner: Any = Small(Strange())
    with pytest.raises(NotCompressible, match=r"\+onnx: head \(Strange\) cannot be exported: "):
        load_modifier("onnx").plugin.compress(work(learner, "", tmp_path))


def test_structured_pruning_takes_the_smallest_hidden_channels_out(tmp_path: Path) -> None:
    """Of 16 hidden ones 8 are left, and the rest answers as if the others had been zero."""
    pytest.importorskip("torch_pruning")
    parent, learner = Small(), Small()
    told = load_modifier("prune-structured:0.5").plugin.compress(work(learner, "0.5", tmp_path))
    assert told["widths"] == {"head": {"0": [16, 8]}} and told["recovery_steps"] == 0
    assert told["left_as_it_was"]["reader.join"] == "has no hidden width of its own"
    head: Any = parent.head
    kept = (head[0].weight[:, None] == learner.head[0].weight).all(dim=2).any(dim=1)  # type: ignore[index]
    sizes = head[0].weight.pow(2).sum(1) + head[2].weight.pow(2).sum(0)
    assert int(kept.sum()) == 8 and sizes[~kept].mean() < sizes[kept].mean()
    with torch.no_grad():
        head[2].weight[:, ~kept] = 0.0
        torch.testing.assert_close(learner(["a", "bbb"]), parent(["a", "bbb"]))
    assert all(parameter.requires_grad for parameter in learner.parameters())


def test_what_cannot_be_narrowed_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch_pruning")
    plugin = load_modifier("prune-structured:0.5").plugin
    with pytest.raises(NotCompressible, match=r"no part of this model can be narrowed: reader.table has no hidden"):
        plugin.compress(work(Small(nn.Linear(8, 3)), "0.5", tmp_path))


def test_pruning_takes_the_smallest_weights_and_keeps_them_out_of_recovery(tmp_path: Path) -> None:
    learner: Any = Small()
    before = {name: value.detach().clone() for name, value in learner.named_parameters()}
    steps: list[int] = []

    def train(count: int, after_step: Any) -> None:
        for step in range(count):
            with torch.no_grad():
                for parameter in learner.parameters():
                    parameter += 1.0
            after_step()
            steps.append(step)

    plugin = load_modifier("prune:0.5").plugin
    told = plugin.compress(work(learner, "0.5:recover=2", tmp_path, train))
    assert steps == [0, 1] and told["recovery_steps"] == 2
    layers = ("reader.join.weight", "head.0.weight", "head.2.weight")
    sizes = torch.cat([before[name].abs().flatten() for name in layers])
    threshold = sizes.sort().values[math.ceil(sizes.numel() / 2) - 1]
    for name in layers:
        kept = before[name].abs() > threshold
        wanted = torch.where(kept, before[name] + 2.0, torch.zeros(()))
        torch.testing.assert_close(learner.get_parameter(name).detach(), wanted)
    again: Any = Small()
    plugin.compress(work(again, "0.5:recover=2", tmp_path))  # trains nothing: it is loaded
    assert [path.name for path in variant_files(tmp_path)] == [RECOVERED]
    assert bytes_of_variant(again, tmp_path) == bytes_of_tensors(again), "what was trained on is counted once"
    torch.testing.assert_close(again.state_dict(), learner.state_dict())


def test_channels_that_spread_over_positions_are_not_narrowed_and_others_are(tmp_path: Path) -> None:
    pytest.importorskip("torch_pruning")
    places = nn.Sequential(nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 4, 1), nn.Flatten())
    learner = Small(nn.Sequential(*places, nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)))
    told = load_modifier("prune-structured:0.5").plugin.compress(work(learner, "0.5", tmp_path))
    assert told["widths"] == {"head": {"3": [16, 8]}}


@pytest.mark.parametrize("argument", ["", "0", "1.5", "half", "0.5:100", "0.5:recover=-1"])
def test_other_arguments_of_pruning_are_refused(argument: str) -> None:
    with pytest.raises(UsageError, match=r"wanted \+prune:SHARE"):
        load_modifier(f"prune:{argument}")


def test_compilation_calls_the_compiler_for_each_part_and_names_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    free: list[set[int]] = []

    def compile_part(forward: Any, **how: Any) -> Any:
        compiled.append(type(forward.__self__).__name__)
        assert how == {"dynamic": None}

        def run(*args: Any) -> Any:
            free.extend(tensor._dynamo_weak_dynamic_indices for tensor in args)
            return forward(*args)

        return run

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch, "compile", compile_part)
    plugin = load_modifier("compile").plugin
    learner: Any = Small()
    told = plugin.compress(work(learner, "", tmp_path))
    assert compiled == ["Embedding", "Linear", "Sequential"]
    assert len(free) == 6 and all(each == {0} for each in free)  # three parts, two calls: any number of samples
    assert told["parts"] == ["reader.table", "reader.join", "head"] and told["cold_seconds"] >= 0
    assert told["reused_seconds"] == 0 and "warm_seconds" not in told
    again = plugin.compress(work(Small(), "", tmp_path))
    assert again["cold_seconds"] == told["cold_seconds"] and again["warm_seconds"] >= 0

    monkeypatch.setattr(torch, "compile", lambda forward, **how: lambda *_: 1 / 0)
    with pytest.raises(NotCompressible, match=r"head cannot be compiled: .*division"):
        plugin.compress(work(Small(), "", tmp_path))


def test_names_of_classes_that_are_read_inside_a_part_are_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other names would compile it anew: it is asked as it is, and what is around it stays compiled."""
    build = torch.compile
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch, "compile", lambda forward, **how: build(forward, backend="eager", **how))
    learner: Any = Small(ByName())
    told = load_modifier("compile").plugin.compress(work(learner, "", tmp_path))
    assert told["graphs"] > 0
    learner.head.names.texts = ["dddd", "a", "ee"]
    plain: Any = Small(ByName())
    plain.load_state_dict(learner.state_dict())
    plain.head.names.texts = ["dddd", "a", "ee"]
    with torch.no_grad():
        torch.testing.assert_close(learner(["a", "bbb"]), plain(["a", "bbb"]))
    assert learner.head.names.forward._torchdynamo_disable
    assert not hasattr(learner.reader.table.forward, "_torchdynamo_disable"), "it is called with a tensor"

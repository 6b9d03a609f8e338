"""Several processes train as one does but for rounding, agree on what to do, and end together with the first cause."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.cell import TrainOptions
from harness.errors import OutOfMemory, TrainingDiverged, UsageError
from harness.jobs.data_parallel import ONE_PROCESS, Processes, device_of, in_processes, require_shares
from harness.jobs.resume_file import ResumeFile
from harness.jobs.train import TrainingData, train_learner, trained_state
from harness.protocols import LossPart, ParameterGroups

OPTIONS = TrainOptions(
    steps=12, batch_size=5, precision="fp32", validations=4, patience=2, learning_rate=0.02, beta=0.01,
    language_learning_rate=0.02,
)  # fmt: skip


class Closeness:
    """Scores by the mean distance, as a task would."""

    def validation_score(self, predictions: list[float], targets: list[float]) -> float:
        return -sum(abs(p - t) for p, t in zip(predictions, targets, strict=True)) / len(targets)


def in_a_child(work: Callable[[], Any], folder: Path) -> Any:
    """Call work in a fork, so that no process group is left in this process; raises what it raised, None if killed."""

    import_module("torch._dynamo")  # which the optimiser would import anew in each fork, for seconds
    path = folder / "result"
    path.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            found = work()
        except BaseException as error:
            found = error
        finally:
            path.write_bytes(pickle.dumps(found))
            os._exit(0)
    os.waitpid(child, 0)
    found = pickle.loads(path.read_bytes()) if path.is_file() else None
    if isinstance(found, BaseException):
        raise found
    return found


@pytest.fixture
def train(line: Any, visuals_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Train in so many processes: `train(2, learner=…, name="kept", **options)`; gives weights, log and summary."""
    monkeypatch.setattr("harness.jobs.resume_file._SHARE_OF_TIME", 1.0)

    def run(
        count: int, make: Callable[[Processes], Any] = lambda _: line(), name: str = "", at: Any = None, **changes: Any
    ) -> Any:
        def work(processes: Processes) -> Any:
            log: list[Any] = []
            learner = make(processes)
            data = TrainingData(Closeness(), visuals_of(learner, 11), visuals_of(learner, 11))  # type: ignore[arg-type]
            kept = ResumeFile(tmp_path / name, "key", 1e-9) if name else None
            options = TrainOptions(**{**vars(OPTIONS), **changes})

            def progress(what: str, done: int, total: int) -> None:
                if what == "training" and at is not None:
                    at(processes, done)

            summary = train_learner(learner, data, options, 1, (progress, log.append), kept, processes)
            entries = [{k: v for k, v in entry.items() if k != "seconds"} for entry in log]
            return SimpleNamespace(weights=trained_state(learner), log=entries, summary=summary)

        return in_a_child(lambda: in_processes(count, "cpu", work), tmp_path)

    return run


def assert_close(found: Any, wanted: Any) -> None:
    assert found.weights.keys() == wanted.weights.keys()
    for name, weight in wanted.weights.items():
        assert float((found.weights[name] - weight).norm()) <= 1e-5 * max(float(weight.norm()), 1e-12), name
    assert [entry["step"] for entry in found.log] == [entry["step"] for entry in wanted.log]
    for mine, other in zip(found.log, wanted.log, strict=True):
        assert mine == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize(("count", "changes"), [(2, {}), (3, {"accumulation": 2}), (2, {"batch_size": 1})])
def test_the_weights_are_those_of_one_process_but_for_rounding(count: int, changes: Any, train: Any) -> None:
    one, several = train(1, **changes), train(count, **changes)
    assert_close(several, one)
    assert several.summary.best_step == one.summary.best_step
    assert float((one.weights["new.weight"] - several.weights["new.weight"]).abs()) < 1e-5


def test_it_is_no_training_of_a_part_alone(train: Any) -> None:
    assert float((train(1).weights["new.weight"] - train(1, batch_size=2).weights["new.weight"]).abs()) > 5e-5


def test_a_weight_that_only_one_process_uses_moves_as_in_one_process(line: Any, train: Any) -> None:
    class Branching(line):  # type: ignore[misc]
        """A sample of large text has a weight of its own, and no sample another one."""

        def __init__(self) -> None:
            super().__init__()
            self.rare, self.never = (torch.nn.Parameter(torch.ones(1, 1)) for _ in range(2))

        def loss(self, batch: Any, generator: Any) -> Any:
            rare = [float(text) * self.rare.sum() for text in batch.texts if float(text) > 0.85]
            return super().loss(batch, generator) + sum(rare) / len(batch)

        def parameter_groups(self) -> ParameterGroups:
            groups = super().parameter_groups()
            return ParameterGroups(groups.language, (), [*groups.new, ("rare", self.rare), ("never", self.never)])

    one, two = (train(count, lambda _: Branching()) for count in (1, 2))
    assert_close(two, one)
    assert float(one.weights["rare"]) != 1.0
    assert float(two.weights["never"]) == 1.0


class TestMeansOverUnlikeCounts:
    """A loss over what samples have more or less of: here each sample has as many words as its text is large."""

    @pytest.fixture
    def wordy(self, line: Any) -> Any:
        class Wordy(line):  # type: ignore[misc]
            loss_is_mean_over_samples = False
            loss_has_parts = True
            fails = False

            def loss_parts(self, batch: Any, generator: Any) -> Any:
                if self.fails:
                    raise torch.OutOfMemoryError("planted")
                words = torch.tensor([float(int(10 * float(text)) % 3) for text in batch.texts])
                errors = (self(batch) - torch.tensor(batch.targets)) ** 2
                return LossPart((errors * words).sum(), float(words.sum())), LossPart(errors.sum() * 0.1, len(batch))

            def loss(self, batch: Any, generator: Any) -> Any:
                return sum(part.total / (part.count or 1) for part in self.loss_parts(batch, generator))

        return Wordy

    @pytest.mark.parametrize("count", [2, 3])
    def test_the_weights_are_those_of_one_process(self, count: int, wordy: Any, train: Any) -> None:
        one, several = train(1, lambda _: wordy()), train(count, lambda _: wordy())
        assert_close(several, one)
        assert float((one.weights["new.weight"] - several.weights["new.weight"]).abs()) < 1e-5

    def test_a_mean_of_means_would_be_another_training(self, wordy: Any, train: Any) -> None:
        def said(_: Any) -> Any:
            learner = wordy()
            learner.loss_is_mean_over_samples = True
            return learner

        apart = train(1, lambda _: wordy()).weights["new.weight"] - train(2, said).weights["new.weight"]
        assert float(apart.abs()) > 5e-5

    def test_memory_that_runs_out_ends_it(self, wordy: Any, train: Any) -> None:
        def make(processes: Processes) -> Any:
            learner = wordy()
            learner.fails = processes.rank == 1
            return learner

        with pytest.raises(OutOfMemory, match="is no mean over samples"):
            train(2, make)

    def test_accumulation_beside_it_is_refused(self, wordy: Any) -> None:
        with pytest.raises(UsageError, match=r"a mean over words, boxes or pixels.*Leave train.accumulation=2 out"):
            require_shares(wordy(), Processes(0, 2), 2)
        require_shares(wordy(), Processes(0, 2))


def test_memory_that_runs_out_in_one_process_halves_the_micro_batch_in_all(line: Any, train: Any) -> None:
    two = train(2, lambda processes: line(limit=1 if processes.rank else 10**9), patience=0)
    assert two.summary.accumulation == 3  # the larger share of 5 samples, one at a time
    two.log = [entry for entry in two.log if "warning" not in entry]
    assert_close(two, train(1, patience=0))


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("raises", RuntimeError, "ValueError: planted"),
        ("nan", TrainingDiverged, "The loss is nan at step 1"),
        ("killed", OutOfMemory, "A process of train.processes=2 was killed"),
    ],
)
def test_what_ends_one_process_ends_all_and_is_told(
    fault: str, error: Any, message: str, line: Any, train: Any
) -> None:
    class Faulty(line):  # type: ignore[misc]
        def loss(self, batch: Any, generator: Any) -> Any:
            if fault == "raises":
                raise ValueError("planted")
            if fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().loss(batch, generator) * float("nan")

    with pytest.raises(error, match=message):
        train(2, lambda processes: (Faulty if processes.rank else line)())


def test_killed_at_any_step_it_goes_on_to_the_same_bits(line: Any, train: Any) -> None:
    class Drawing(line):  # type: ignore[misc]
        def loss(self, batch: Any, generator: torch.Generator) -> Any:
            return super().loss(batch, generator) * (torch.rand(()) + torch.rand((), generator=generator))

    def kill(processes: Processes, done: int) -> None:
        if processes.leads and done == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    whole = train(2, lambda _: Drawing(), "whole", patience=0)
    assert train(2, lambda _: Drawing(), "cut", kill, patience=0) is None
    cut = train(2, lambda _: Drawing(), "cut", patience=0)
    assert cut.log == whole.log
    assert all(torch.equal(cut.weights[name], whole.weights[name]) for name in whole.weights)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shares_are_a_batch_cut_in_even_parts(count: int) -> None:
    for size in range(9):
        shares = [list(Processes(rank, count).share(size)) for rank in range(count)]
        assert list(chain.from_iterable(shares)) == list(range(size))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_cannot_be_split_is_refused(line: Any) -> None:
    two = Processes(0, 2)
    require_shares(line(), two)
    fitted = SimpleNamespace(fit=lambda batches: None)
    pairs = line()
    pairs.loss_is_mean_over_samples = False
    for learner, message in ((fitted, "is not trained in steps"), (pairs, "the loss of Line is no mean over samples")):
        with pytest.raises(UsageError, match=rf"train.processes=2.*{message}"):
            require_shares(learner, two)  # type: ignore[arg-type]
        require_shares(learner, ONE_PROCESS)  # type: ignore[arg-type]


def test_each_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [device_of(Processes(rank, 3), "cuda:1") for rank in range(3)] == ["cuda:1", "cuda:2", "cuda:3"]
    assert [device_of(Processes(rank, 2), "cpu") for rank in range(2)] == ["cpu", "cpu"]
    assert device_of(ONE_PROCESS, "cuda") == "cuda"
    with pytest.raises(UsageError, match=r"train.processes=4 takes a device .* from cuda:1 on, and this job sees 4"):
        device_of(Processes(0, 4), "cuda:1")

"""A machine runs the cell that the run planned, or says what is other there than on the run's machine."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import MachineDiffers
from harness.measure.provenance import PACKAGES, package_versions
from harness.plan.config import build_config
from harness.plan.run_plan import Environment, plan_run
from harness.records.store import Store
from harness.run.whole_cell import CellOrder, run_whole_cell


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def order(
    captions: Path, outsider: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CellOrder]:
    """The order of one cell of the outside package, planned on a folder of its own."""
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(outsider))
    data = shutil.copytree(captions, tmp_path / "data")
    wishes = {"task": "word-caption", "model": "most-common-caption", "profile": "smoke", "device": "cpu"}
    config, here = build_config({**wishes, "data": str(data)}, task="word-caption"), Environment(tmp_path, cache)
    (cell,) = plan_run(config, "word-caption", here, lambda *_: None).cells
    store = Store(str(tmp_path / "results"))
    yield CellOrder(config, cell, here, store.url, store.identity(), package_versions(PACKAGES))
    for name in [name for name in sys.modules if name.partition(".")[0] == "outsider_captions"]:
        del sys.modules[name]


def _of_versions(order: CellOrder) -> CellOrder:
    return replace(order, versions={**order.versions, "timm": "0.0.1"})


def _of_code(order: CellOrder) -> CellOrder:
    job = order.cell.training
    other = replace(job, versions={**job.versions, "model": "otherwise"})
    return replace(order, cell=replace(order.cell, training=other))


def _of_data(order: CellOrder) -> CellOrder:
    (path,) = order.cell.training.data.root.glob("annotations/captions_train2017.json")
    content = json.loads(path.read_text())
    content["annotations"][0]["caption"] = "another caption"
    path.write_text(json.dumps(content))
    return order


def _of_folder(order: CellOrder) -> CellOrder:
    return replace(order, store_identity="of another folder")


def _without_data(order: CellOrder) -> CellOrder:
    shutil.rmtree(order.cell.training.data.root)
    return order


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (_of_versions, r"timm is \d[\w.]+ here and 0\.0\.1 in the run"),
        (_of_code, r"training\.versions\.model is \w+ here and otherwise in the run"),
        (_of_data, r"training\.data\.digest is \w+ here and \w+ in the run"),
        (_of_folder, "is not the results folder of the run on this machine"),
        (_without_data, "cannot be planned on this machine"),
    ],
)
def test_a_machine_that_differs_refuses_and_names_the_difference(
    order: CellOrder, changed: Callable[[CellOrder], CellOrder], named: str
) -> None:
    with pytest.raises(MachineDiffers, match=named):
        run_whole_cell(changed(order), lambda *_: None)
    assert not list(Path(order.store).glob("*/training"))

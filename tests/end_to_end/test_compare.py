"""`bench compare`, `bench rescore` and `bench show` on a small run, as a user types them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.record import RunRecord
from harness.storage.digest import with_digest, without_digest
from tasks.scenes import cache_root
from tasks.scenes.generate import write_splits

from .test_report import CONTRAST

pytestmark = pytest.mark.slow
ONE, OTHER = "nearest-colour", "most-common-caption"


@dataclass(frozen=True)
class Ran:
    """Two models with two seeds each; `bench(...)` runs the command on them."""

    bench: Any
    captions: Path
    results: Path

    def __call__(self, *arguments: object) -> Any:
        return self.bench(*arguments, "--results", self.results)

    def compare(self, *arguments: object) -> Any:
        """Compare with the data that the run had."""
        return self("compare", *arguments, "--data", self.captions)

    def record(self, model: str, seed: int = 0) -> Path:
        """The file of a record."""
        found = [path for path in self.results.glob("*/records/*.json") if _is_of(path, model, seed)]
        assert len(found) == 1
        return found[0]


def _is_of(path: Path, model: str, seed: int) -> bool:
    content = json.loads(path.read_text())
    return bool((content["model"], content["seed"]) == (model, seed))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any], captions: Path, quick: Any) -> Ran:
    folder = tmp_path_factory.mktemp("compared")
    bench = bench_in(folder)
    models = ("--model", f"{ONE},{OTHER}", "--seeds", "2")
    made = bench("run", *quick, *models, "--data", captions, "--results", folder / "results")
    assert made.returncode == 0, made.stderr
    return Ran(bench, captions, folder / "results")


@pytest.fixture
def spoilt(ran: Ran, tmp_path: Path) -> Ran:
    """A copy of the run that a test may change."""
    shutil.copytree(ran.results, tmp_path / "results")
    return Ran(ran.bench, ran.captions, tmp_path / "results")


def change(path: Path, **fields: Any) -> None:
    content = without_digest(json.loads(path.read_text()))
    path.write_bytes(with_digest({**content, **fields}))


def test_two_models_are_compared_seed_by_seed(ran: Ran) -> None:
    done = ran.compare(ONE, OTHER)
    assert done.returncode == 0, done.stderr
    assert "12 samples, 2 seeds, paired, from stored predictions" in done.stdout
    assert "word-overlap of nearest-colour is higher than that of most-common-caption" in done.stdout
    assert "docs/statistics.md" in done.stdout
    assert "says" in done.stdout


def test_json_has_every_number_and_agrees_with_the_records(ran: Ran) -> None:
    done = ran.compare(ONE, OTHER, "--format", "json")
    (found,) = json.loads(done.stdout)["comparisons"]
    (metric,) = found["metrics"]
    values = [json.loads(ran.record(m).read_text())["metrics"]["word-overlap"]["value"] for m in (ONE, OTHER)]
    assert metric["a"] == pytest.approx(values[0])
    assert metric["difference"] == pytest.approx(values[0] - values[1])
    assert metric["low"] < metric["difference"] < metric["high"]
    assert 0 < metric["p"] < 0.05
    assert metric["seed_sd"] == pytest.approx(0, abs=1e-12)
    assert found["seeds"] == [[0, 0], [1, 1]]
    assert len(found["flips"]) > 3
    assert {"said_a", "said_b", "truth"} <= found["flips"][0].keys()


def test_a_model_can_be_named_in_several_ways(ran: Ran) -> None:
    other = ran.record(OTHER)
    ways = [f"{OTHER}@0", other.stem[:8], str(other), f"{ran.results}:{OTHER}@0"]
    said = {ran.compare(f"{ONE}@0", way, "--format", "json").stdout for way in ways}
    found = [json.loads(text)["comparisons"][0] for text in said]
    assert {each["b"]["fingerprints"][0] for each in found} == {other.stem}
    assert len({json.dumps(each["metrics"]) for each in found}) == 1


def test_two_runs_are_compared_model_by_model(ran: Ran, spoilt: Ran) -> None:
    for path in spoilt.results.glob("*/records/*.json"):  # another run has other names
        content = json.loads(path.read_text())
        name = content["fingerprint"][::-1]
        change(path, fingerprint=name)
        for old in list(spoilt.results.glob(f"*/*/{path.stem}.*")):
            old.rename(old.with_stem(name))
    done = ran.compare(ran.results, spoilt.results, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["comparisons"]
    assert [each["a"]["name"] for each in found] == [OTHER, ONE]
    assert [each["metrics"][0]["difference"] for each in found] == [0.0, 0.0]
    assert all(each["metrics"][0]["p"] in (1.0, None) for each in found), "where nothing varies there is no p"


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("nearest-color", OTHER, ("'nearest-color' is nothing in", "Did you mean 'nearest-colour'?")),
        (f"{ONE}@7", OTHER, ("there is no seed 7, only 0, 1",)),
        ("ffffff00", OTHER, ("begins with ffffff00",)),
        ("missing.json", OTHER, ("Cannot read missing.json",)),
        (ONE, ONE, ("are the same records",)),
    ],
)
def test_what_means_nothing_is_named(a: str, b: str, wanted: tuple[str, ...], ran: Ran) -> None:
    done = ran.compare(a, b)
    assert done.returncode in (2, 3)
    assert all(text in done.stderr for text in wanted), done.stderr
    assert "Traceback" not in done.stderr


def test_other_data_is_refused_by_both_digests(ran: Ran, captions_in: Callable[..., Path], tmp_path: Path) -> None:
    other = captions_in(tmp_path / "other", val=9)
    digest = json.loads(ran.record(ONE).read_text())["data_digest"]
    done = ran("compare", ONE, OTHER, "--data", other)
    assert done.returncode == 2
    assert digest[:16] in done.stderr
    assert "Give the same data with --data" in done.stderr
    nowhere = ran("compare", ONE, OTHER, "--data", tmp_path / "nowhere")
    assert nowhere.returncode == 2
    assert "cannot be opened" in nowhere.stderr


def test_without_predictions_scores_of_samples_are_compared_and_without_these_estimates(spoilt: Ran) -> None:
    whole = json.loads(spoilt.compare(ONE, OTHER, "--format", "json").stdout)["comparisons"][0]
    for path in spoilt.results.glob("*/outcomes/*.parquet"):
        path.unlink()
    by_scores = json.loads(spoilt.compare(ONE, OTHER, "--format", "json").stdout)["comparisons"][0]
    assert (by_scores["paired"], by_scores["basis"]) == (True, "stored scores of samples")
    for key in ("difference", "low", "high", "p"):
        assert by_scores["metrics"][0][key] == pytest.approx(whole["metrics"][0][key])
    for path in spoilt.results.glob("*/scores/*.parquet"):
        path.unlink()
    told = spoilt.compare(ONE, OTHER)
    assert "UNPAIRED, from stored estimates" in told.stdout
    assert "The predictions of nearest-colour seed 0" in told.stdout


def test_other_samples_are_refused_and_by_wish_compared_as_if_independent(spoilt: Ran) -> None:
    for seed in (0, 1):
        path = spoilt.record(OTHER, seed)
        cell = json.loads(path.read_text())["cell"]
        change(path, cell={**cell, "evaluate": {**cell["evaluate"], "limit": 7}})
    refused = spoilt.compare(ONE, OTHER)
    assert refused.returncode == 2
    assert "were scored on other samples (limit 48 and 7)" in refused.stderr and "--other-data" in refused.stderr
    done = spoilt.compare(ONE, OTHER, "--other-data")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("UNPAIRED, OTHER SAMPLES (limit 48 and 7): nearest-colour − most-common-caption")
    assert "Unpaired: they were scored on different samples (limit 48 and 7)" in done.stdout


def test_another_signature_is_refused_and_nan_too(spoilt: Ran) -> None:
    for seed in (0, 1):
        change(spoilt.record(OTHER, seed), signature="words:0")
    done = spoilt.compare(ONE, OTHER)
    assert done.returncode == 3
    assert "Not compared: word-overlap" in done.stdout
    assert "words:1 against words:0" in done.stdout
    again = spoilt("rescore", "--model", OTHER, "--data", spoilt.captions, "--write")
    assert again.returncode == 0, again.stderr
    assert "signature was words:0" in again.stdout
    assert spoilt.compare(ONE, OTHER).returncode == 0


def test_scores_that_are_no_numbers_are_refused(spoilt: Ran) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    for path in spoilt.results.glob("*/outcomes/*.parquet"):
        path.unlink()
    path = next(spoilt.results.glob(f"*/scores/{spoilt.record(ONE).stem}.parquet"))
    table = parquet.read_table(path)
    values = table["word-overlap"].to_pylist()
    values[3] = float("nan")
    parquet.write_table(table.set_column(2, "word-overlap", arrow.array(values)), path)
    unvouched = spoilt.compare(ONE, OTHER)
    assert unvouched.returncode == 3
    assert "belongs to another run" in unvouched.stderr
    provenance = json.loads(spoilt.record(ONE).read_text())["provenance"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change(spoilt.record(ONE), provenance={**provenance, "scores_sha256": digest})
    done = spoilt.compare(ONE, OTHER)
    assert done.returncode == 2
    assert "word-overlap of sample" in done.stderr
    assert "is nan" in done.stderr


def test_rescoring_gives_the_same_numbers_and_finds_what_was_changed(spoilt: Ran) -> None:
    same = spoilt("rescore", "--data", spoilt.captions)
    assert same.returncode == 0, same.stderr
    assert same.stdout.count("equal (2 metrics to 1e-12, same signature)") == 4
    path = spoilt.record(ONE)
    metrics = json.loads(path.read_text())["metrics"]
    true = metrics["word-overlap"]["value"]
    change(path, metrics={**metrics, "word-overlap": {**metrics["word-overlap"], "value": true - 0.25}})
    done = spoilt("rescore", path.stem[:10], "--data", spoilt.captions)
    assert "+2.50e-01" in done.stdout
    assert "Write them with --write" in done.stdout
    assert json.loads(path.read_text())["metrics"]["word-overlap"]["value"] == pytest.approx(true - 0.25)
    assert spoilt("rescore", path.stem[:10], "--data", spoilt.captions, "--write").returncode == 0
    record = RunRecord.from_json(without_digest(json.loads(path.read_text())))
    assert record.metrics["word-overlap"].value == pytest.approx(true)  # type: ignore[union-attr]
    former = record.provenance["rescored"]["former"]
    assert former["metrics"]["word-overlap"]["value"] == pytest.approx(true - 0.25)
    assert "equal (2 metrics" in spoilt("rescore", path.stem, "--data", spoilt.captions).stdout
    board = spoilt("leaderboard", "--task", "word-caption").stdout
    assert ONE in board


def test_predictions_that_are_gone_or_changed_stop_rescoring(spoilt: Ran) -> None:
    path = spoilt.record(ONE)
    outcomes = spoilt.results / "word-caption" / "outcomes" / f"{path.stem}.parquet"
    shutil.copy(outcomes.parent / f"{spoilt.record(OTHER).stem}.parquet", outcomes)
    changed = spoilt("rescore", path.stem, "--data", spoilt.captions)
    assert changed.returncode == 3
    assert "has another sha256 than its record says" in changed.stderr
    outcomes.unlink()
    gone = spoilt("rescore", path.stem, "--data", spoilt.captions)
    assert gone.returncode == 3
    assert "is missing" in gone.stderr
    assert "Run it again" in gone.stderr


def test_the_data_is_found_where_the_run_found_it(ran: Ran) -> None:
    """Without --data: the place is kept in the cache of this machine, and not in the records, which are shared."""
    done = ran("rescore", "--task", "all")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal (") == 4
    compared = ran("compare", ONE, OTHER, "--task", "all")
    assert compared.returncode == 0, compared.stderr
    assert "from stored predictions" in compared.stdout
    data = json.loads(ran.record(ONE).read_text())["cell"]["training"]["data"]
    assert not Path(data["root"]).is_absolute()


def test_records_on_several_data_sets_are_scored_each_on_its_own(
    ran: Ran, captions_in: Callable[..., Path], tmp_path: Path, quick: Any
) -> None:
    results, gone = tmp_path / "results", captions_in(tmp_path / "other", "2014")
    shutil.copytree(ran.results, results)
    both = Ran(ran.bench, ran.captions, results)
    made = ran.bench("run", *quick, "--model", OTHER, "--seeds", "1", "--data", gone, "--results", results)
    assert made.returncode == 0, made.stderr
    done = both("rescore")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal (") == 5
    gone.rename(tmp_path / "moved")
    # Looked for in Scenes, too; these are few images of it, so that the whole is not made for that.
    write_splits(cache_root(ran.bench.folder / "cache"), ["train", "val", "test"], processes=1, limit=8)
    partly = both("rescore")
    assert partly.returncode == 3
    assert partly.stdout.count("equal (") == 4
    assert f"Not scored: {OTHER} seed 0. The data of {OTHER}" in partly.stdout
    found = both("rescore", "--data", tmp_path / "moved")
    assert found.returncode == 0 and found.stdout.count("equal (") == 5, "--data for one, the others where they were"


def test_show_tells_where_numbers_come_from(ran: Ran) -> None:
    path = ran.record(ONE)
    done = ran("show", path.stem[:6])
    assert done.returncode == 0, done.stderr
    for text in ("bench run --task word-caption", "commit", "checkpoint_sha256", "word-overlap", "words:1", "torch"):
        assert text in done.stdout, text
    found = json.loads(ran("show", path.stem, "--format", "json").stdout)
    assert found["record"]["fingerprint"] == path.stem
    assert found["command"].startswith("bench run --task word-caption --model most-common-caption")
    assert found["predictions"]["there"] is True
    assert len(found["predictions"]["sha256"]) == 64
    assert found["code"]["dirty"] in (True, False)
    assert found["data"]["sha256"] == json.loads(path.read_text())["data_digest"]
    assert ran("show", "abc").returncode == 2


@pytest.fixture(scope="module")
def page(ran: Ran, browser: Any) -> Iterator[Any]:
    out = ran.bench.folder / "compared.html"
    made = ran.compare(ONE, OTHER, "--out", out)
    assert made.returncode == 0, made.stderr
    yield lambda **options: _opened(browser, out, options)


def _opened(browser: Any, out: Path, options: dict[str, Any]) -> Any:
    page = browser.new_context(**options).new_page()
    page.trouble = []
    page.on("console", lambda message: page.trouble.append(message.text))
    page.on("request", lambda r: None if r.url.startswith(("data:", "file:")) else page.trouble.append(r.url))
    page.goto(out.as_uri())
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_shows_pictures_and_can_be_read(page: Any, width: int, scheme: str) -> None:
    opened = page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert opened.locator(".flip img").count() > 3
    assert opened.locator(".flip img").first.evaluate("image => image.naturalWidth") == 40
    assert opened.evaluate(CONTRAST) == []
    assert opened.trouble == []


def test_stored_predictions_are_scored_by_a_users_groups(ran: Ran, tmp_path: Path) -> None:
    content = json.loads(next((ran.captions / "annotations").glob("captions_val*.json")).read_text())
    ids = [image["id"] for image in content["images"]]
    file = tmp_path / "groups.csv"
    rows = [f"{sample_id},{'even' if place % 2 == 0 else 'odd'}" for place, sample_id in enumerate(ids)]
    file.write_text("\n".join(["sample_id,parity", *rows]), encoding="utf-8")
    made = ran("groups", file, "--data", ran.captions, "--format", "json")
    assert made.returncode == 0, made.stderr
    lines = json.loads(made.stdout)
    assert {line["name"] for line in lines} == {f"{model} seed {seed}" for model in (ONE, OTHER) for seed in (0, 1)}
    assert {tuple(line["gap"]["groups"]) for line in lines} == {("even", "odd")}
    assert all(line["gap"]["gap"]["value"] >= 0 and line["bias_amplification"]["to_labels"] is None for line in lines)
    shown = ran("groups", f"{file}:parity", "--data", ran.captions)
    assert "groups by parity" in shown.stdout and "gap of random groups" in shown.stdout
    refused = ran("groups", f"{file}:party", "--data", ran.captions)
    assert refused.returncode == 2 and "Did you mean 'parity'" in refused.stderr

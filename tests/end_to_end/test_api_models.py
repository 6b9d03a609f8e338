"""A model behind an endpoint from the command to the page: scored, failed, killed and gone on, and its key nowhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chat_server import STATUS, Asked, ChatServer, Fault, Said, chat_server, colour_of, looking

pytestmark = pytest.mark.slow
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 50, 230)}
KEY = "abcd-key-that-nobody-may-see-4711"
IMAGES = 9


@pytest.fixture(scope="module")
def foils(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine images of three colours, each of another size, with a true caption and two foils; the last has none."""
    root = tmp_path_factory.mktemp("foils") / "colours"
    root.mkdir()
    rows = []
    for number in range(IMAGES):
        colour = list(COLOURS)[number % 3]
        Image.new("RGB", (20 + number, 20), COLOURS[colour]).save(root / f"{number}.png")
        others = [other for other in COLOURS if other != colour]
        texts = [f"a {others[0]} wall", f"a {colour} wall", f"a {others[1]} wall"]
        rows.append({"id": str(number), "image": f"{number}.png", "texts": texts, "choice": 2 if number == 8 else 1})
    (root / "foils.json").write_text(json.dumps(rows))
    return root


def choosing(asked: Asked) -> Said:
    """Choose the letter of the text that names the colour; name the colour where there are no letters."""
    colour = colour_of(asked.image)
    right = [line[1] for line in asked.text.splitlines() if line.startswith("(") and f" {colour} " in line]
    return {right[0]: 0.8, "Z": 0.1} if right else colour


def run(bench: Any, server: ChatServer, foils: Path, results: Path, *more: object, **environment: str) -> Any:
    """Run the outside task of foils with the server's model."""
    command = ("run", "--task", "caption-foil", "--model", server.name, "--data", foils, "--device", "cpu")
    return bench(*command, "--set", "evaluate.resamples=50", "--results", results, *more, **environment)


def the_record(results: Path) -> dict[str, Any]:
    """The one record of a run."""
    (path,) = results.glob("caption-foil/records/*.json")
    return dict(json.loads(path.read_text()))


def of_samples(server: ChatServer) -> Counter[bytes]:
    """How often each image of the data was asked about; a probe's are larger."""
    return Counter(each.image for each in server.asked if each.image and "Which colour" not in each.text)


def test_it_is_scored_perturbed_and_shown_and_its_key_is_nowhere(bench: Any, foils: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    prices = ("--set", "model.key_variable=MY_KEY", "--set", "model.price_in=1", "--set", "model.price_out=2")
    perturbed = ("--perturb", "contrast:1,blank-image", "--perturb-scale", "cifar")
    with chat_server(choosing) as server:
        found = run(bench, server, foils, results, *prices, *perturbed, "--controls", MY_KEY=KEY)
        assert found.returncode == 0, found.stderr
        assert {each.headers["Authorization"] for each in server.asked} == {f"Bearer {KEY}"}
        on_disk = {path.read_bytes() for path in foils.glob("*.png")}
        assert on_disk <= set(of_samples(server))
        table = bench("leaderboard", "--task", "caption-foil", "--results", results, "--wide")
        content = bench("leaderboard", "--task", "caption-foil", "--results", results, "--format", "json")
        page = bench("report", "--results", results, "--out", tmp_path / "page.html")
        server.answer = lambda asked: Fault(STATUS, 401, f"bad key {KEY}")
        again = run(bench, server, foils, tmp_path / "other", *prices, "--seeds", 2, MY_KEY=KEY)
        assert again.returncode == 1 and "bad key ***" in again.stderr + again.stdout, again.stderr
    rows = {row["control"]: row for row in json.loads(content.stdout)}
    whole, blind = rows[None], rows["C5"]
    assert whole["metrics"]["foil-accuracy"]["value"] == pytest.approx(8 / 9)
    assert whole["service"]["probe"]["reads_image"] == "yes" and blind["service"]["images"] is False
    assert whole["service"]["requests"]["asked"] == IMAGES and whole["service"]["cost"]["total"] > 0
    assert whole["latency_p50_seconds"] is None and whole["service"]["latency"]["p50_seconds"] > 0
    assert "answered by a service" in table.stdout and "not measured: answered by 127.0.0.1" in " ".join(
        table.stdout.split()
    )
    assert page.returncode == 0 and "Services" in (tmp_path / "page.html").read_text(encoding="utf-8")
    said = [each.stdout + each.stderr for each in (found, table, content, page, again)]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite" for path in written) and any("robustness" in str(path) for path in written)
    assert not [text for text in said if KEY in text]
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


def test_failed_requests_are_failed_samples_with_bounds_and_are_asked_anew(
    bench: Any, foils: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    refused = {path.read_bytes() for path in (foils / "1.png", foils / "2.png")}

    def partly(asked: Asked) -> Said:
        return Fault(STATUS, 400, '{"message": "cannot read"}') if asked.image in refused else choosing(asked)

    with chat_server(partly) as server:
        found = run(bench, server, foils, results)
        assert found.returncode == 1, found.stdout
        assert "2 of 9 samples have no answer (2: status 400: cannot read)" in " ".join(found.stderr.split())
        record = the_record(results)
        assert (record["status"], record["metrics"]) == ("failed", {})
        failed = record["provenance"]["failed_samples"]
        assert (failed["count"], failed["of"], set(failed["samples"])) == (2, 9, {"1", "2"})
        assert failed["bounds"]["foil-accuracy"] == pytest.approx([6 / 9, 8 / 9])
        table = bench("leaderboard", "--task", "caption-foil", "--results", results)
        assert "0.667 to 0.889" in table.stdout and "not ranked" in table.stdout
        (row,) = json.loads(
            bench("leaderboard", "--task", "caption-foil", "--results", results, "--format", "json").stdout
        )
        assert row["rank"] is None and row["failed_samples"]["bounds"]["foil-accuracy"][1] == pytest.approx(8 / 9)
        page = bench("report", "--results", results, "--out", tmp_path / "page.html")
        assert page.returncode == 0 and "0.667 to 0.889" in (tmp_path / "page.html").read_text(encoding="utf-8")
        name = server.name
        compared = bench("compare", name, name, "--results", results, "--task", "caption-foil")
        assert compared.returncode != 0 and "no record with scores" in " ".join(compared.stderr.split())
        judged = bench("verdict", "--results", results, "--task", "caption-foil")
        assert judged.returncode == 0, judged.stderr
        assert f"Records are of {name}: evaluated as they are" in " ".join(judged.stdout.split())
        nothing = bench("check", tmp_path / "base", "--results", results, "--update")
        assert nothing.returncode == 3 and "no scored record" in nothing.stderr, nothing.stderr
        before = of_samples(server)
        server.answer = choosing
        mended = run(bench, server, foils, results)
        assert mended.returncode == 0, mended.stderr
        asked = of_samples(server) - before
        assert set(asked) == refused and set(asked.values()) == {1}
        assert the_record(results)["metrics"]["foil-accuracy"]["value"] == pytest.approx(8 / 9)
        table = bench("leaderboard", "--task", "caption-foil", "--results", results)
        assert "not ranked" not in table.stdout
        made = bench("check", tmp_path / "base", "--results", results, "--update")
        assert made.returncode == 0 and "Left out" not in made.stdout, made.stderr
        server.models = [{"id": "model", "owned_by": "others"}]  # so that what is kept does not answer
        server.answer = partly
        run(bench, server, foils, tmp_path / "worse")
        gate = bench("check", tmp_path / "base", "--results", tmp_path / "worse")
        assert gate.returncode == 3 and "seed 0: failed now (2 of 9" in gate.stdout, gate.stdout


def test_a_condition_with_failed_requests_has_no_score_until_they_are_answered(
    bench: Any, foils: Path, tmp_path: Path
) -> None:
    results, perturbed = tmp_path / "results", ("--perturb", "contrast:1", "--perturb-scale", "cifar")
    on_disk = {path.read_bytes() for path in foils.glob("*.png")}

    def partly(asked: Asked) -> Said:
        of_probe = "Which colour" in asked.text or asked.image is None
        return choosing(asked) if of_probe or asked.image in on_disk else Fault(STATUS, 422, "too dark")

    with chat_server(partly) as server:
        found = run(bench, server, foils, results, *perturbed)
        assert found.returncode == 1 and "Conditions: 0 ok, 2 failed" in found.stdout, found.stdout + found.stderr
        (path,) = results.glob("caption-foil/robustness/*.json")
        scores = json.loads(path.read_text())["scores"]
        assert all("9 of 9 samples have no answer (9: status 422: too dark)" in score["error"] for score in scores)
        server.answer = choosing
        again = run(bench, server, foils, results, *perturbed)
        assert again.returncode == 0 and "Conditions: 2 ok" in again.stdout, again.stdout + again.stderr


def test_a_killed_run_goes_on_and_asks_nothing_twice(bench: Any, foils: Path, tmp_path: Path, processes: Any) -> None:
    """The server answers four images and then waits; the run is killed without warning, and started again."""
    waiting = {"now": True}

    def answer(asked: Asked) -> Said:
        import time

        if "Which colour" in asked.text:
            return looking(asked)
        while waiting["now"] and len(of_samples(server)) > 4:
            time.sleep(0.02)
        return choosing(asked)

    def started(condition: Callable[[], bool], process: Any) -> None:
        processes.wait_until(condition, 120)
        processes.kill_group(process.pid)
        process.communicate(timeout=60)

    with chat_server(answer) as server:
        command = ("run", "--task", "caption-foil", "--model", server.name, "--data", foils, "--device", "cpu")
        command += ("--set", "evaluate.resamples=50", "--set", "model.concurrency=1", "--results", tmp_path / "results")
        started(lambda: len(of_samples(server)) > 4, bench.start_fresh(*command))
        probed = sum("Which colour" in each.text for each in server.asked)
        waiting["now"] = False
        again = bench(*command)
        assert again.returncode == 0, again.stderr
        assert sum("Which colour" in each.text for each in server.asked) == probed
        counts = sorted(of_samples(server).values())
    assert counts in ([1] * IMAGES, [1] * (IMAGES - 1) + [2])  # the one that was on its way may come twice
    assert the_record(tmp_path / "results")["metrics"]["foil-accuracy"]["value"] == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("name", "told", "code"),
    [
        ("api:http://127.0.0.1:9/v1", "names no model", 2),
        ("api:http//127.0.0.1:9/v1#m", "is no URL", 2),
        ("api:http://127.0.0.1:9/v1#m", "cannot be asked: 127.0.0.1:9 is not reached", 1),
        ("api:https://api.example.com/v1#m", "$OPENAI_API_KEY is not set", 1),
    ],
)
def test_what_cannot_be_asked_ends_in_a_message(
    bench: Any, foils: Path, tmp_path: Path, name: str, told: str, code: int
) -> None:
    command = ("run", "--task", "caption-foil", "--model", name, "--data", foils, "--device", "cpu")
    found = bench(*command, "--results", tmp_path / "results", OPENAI_API_KEY="")
    assert found.returncode == code and told in " ".join((found.stderr + found.stdout).split()), found.stderr
    assert "Traceback" not in found.stderr

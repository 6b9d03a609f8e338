"""One finished run that many tests look at, and the words that shorten each command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

QUICK = (
    "--task", "word-caption", "--model", "most-common-caption", "--device", "cpu", "--profile", "smoke",
    "--set", "measure.warmups=1", "--set", "measure.runs=4", "--set", "evaluate.resamples=50",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Finished:
    """A run to its end: where it was, and what it said."""

    bench: Any
    captions: Path
    results: Path
    first: Any

    def run(self, *arguments: object, **environment: str) -> Any:
        """Run the same command again, with more."""
        return self.bench("run", *QUICK, "--data", self.captions, "--results", self.results, *arguments, **environment)


@pytest.fixture(scope="session")
def quick() -> tuple[str, ...]:
    """Arguments of a run that takes no longer than starting it."""
    return QUICK


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, bench_in: Callable[[Path], Any], captions: Path) -> Finished:
    """Two seeds of the outside model on the tiny folder."""
    folder = tmp_path_factory.mktemp("finished")
    results = folder / "results"
    bench = bench_in(folder)
    first = bench("run", *QUICK, "--seeds", "2", "--data", captions, "--results", results)
    assert first.returncode == 0, first.stderr
    return Finished(bench, captions, results, first)


@pytest.fixture(scope="session")
def scores() -> Callable[[Path], list[Any]]:
    """Read what must not depend on how a run went: all of the leaderboard but its measurements."""

    def read(results: Path) -> list[Any]:
        found = []
        for path in sorted(results.glob("*/records/*.json")):
            record = json.loads(path.read_text())
            kept = ("fingerprint", "model", "seed", "status", "metrics", "signature")
            found.append({key: record[key] for key in kept})
        return found

    return read


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, or whichever of its kin is installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """Open the page; at the end nothing was fetched, printed or thrown, and no payload ran."""
    contexts: list[Any] = []
    trouble: list[str] = []

    def opened(width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        context.set_default_timeout(5000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        own = page_file.as_uri()
        page.on("request", lambda r: None if r.url.startswith(("data:", own)) else trouble.append(f"request {r.url}"))
        page.goto(own)
        return page

    yield opened
    for context in contexts:
        trouble += ["a payload ran" for page in context.pages if page.evaluate("window.ran")]
        context.close()
    assert trouble == []

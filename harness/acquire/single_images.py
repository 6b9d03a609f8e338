"""Fetches images one by one, for a part of a data set that is served so: several at a time, each whole or not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.acquire.download import fetch_with, new_client
from harness.acquire.known_sets import RemoteFile, SingleImages

Progress = Callable[[str, int, int], None]
_AT_ONCE = 16


def fetch_single_images(
    single: SingleImages, names: Sequence[str], downloads: Path, folder: Path, progress: Progress
) -> dict[str, str]:
    """Fetch images and put them below a data set's folder; returns their sha256 by path.

    What came stays in `downloads`, where the next attempt finds it. Raises DataError for the first that cannot be had.
    """
    below, kept = folder / single.to, downloads / single.to
    below.mkdir(parents=True, exist_ok=True)

    def one(name: str) -> tuple[str, str]:
        urls = tuple(url.format(name=name) for url in single.urls)
        fetched = fetch_with(client, RemoteFile(name, urls, unpack=False), kept, lambda *told: None)
        shutil.copyfile(fetched.path, below / name)
        return f"{single.to}/{name}", fetched.sha256

    found = {}
    with new_client() as client, ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, (path, digest) in enumerate(pool.map(one, names), 1):
            found[path] = digest
            progress(f"fetching images into {single.to}", number, len(names))
    return found

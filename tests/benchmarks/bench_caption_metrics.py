"""Caption metrics against pycocoevalcap: time, memory of METEOR, bootstrap resamples.

Run by hand on a quiet machine: `python tests/benchmarks/bench_caption_metrics.py`. The captions are made of phrases
of METEOR's own table, so they hold more paraphrases than people's captions do. Both sides run in turn, CPU and wall
seconds are medians; tokenisation is left out, and METEOR's time includes starting it, a new process each time.
"""

from __future__ import annotations

import gzip
import itertools
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.metrics.captions.bleu import bleu_statistics
from harness.metrics.captions.cider import cider_statistics
from harness.metrics.captions.java import find_java
from harness.metrics.captions.java_archives import paraphrase_table
from harness.metrics.captions.meteor import Meteor
from harness.metrics.captions.ngrams import pack_captions
from harness.metrics.captions.ptb import PtbTokenizer
from harness.metrics.captions.rouge import rouge_statistics
from tests.harness.stats.single_metrics import bootstrap as interval

IMAGES, REFERENCES, REPEATS, METEOR_REPEATS = 5000, 5, 5, 3
Corpus = tuple[list[str], list[list[str]]]


def main() -> None:
    os.environ["PATH"] = f"{find_java().parent}:{os.environ['PATH']}"
    corpus = make_corpus()
    print(f"{IMAGES} captions x {REFERENCES} references, medians of {REPEATS} (METEOR {METEOR_REPEATS})\n")
    print(f"{'':32}{'pycocoevalcap':>16}{'ours':>12}{'ratio':>8}")
    compare("BLEU + ROUGE-L + CIDEr, wall s", lambda: their_ngrams(corpus), lambda: our_ngrams(corpus), REPEATS)
    peaks: dict[str, list[float]] = {"theirs": [], "ours": []}
    compare(
        "METEOR with its start, wall s",
        lambda: peaks["theirs"].append(their_meteor(corpus)),
        lambda: peaks["ours"].append(our_meteor(corpus)),
        METEOR_REPEATS,
    )
    row("METEOR's JVM, peak MB", max(peaks["theirs"]), max(peaks["ours"]))
    print()
    bootstrap(corpus)
    tokenizer(corpus)


def make_corpus() -> Corpus:
    """Tokenised captions of 10-15 words: a few phrases of a scene, in any order, some scenes far more often."""
    source = random.Random(0)
    table = gzip.decompress(paraphrase_table().read_bytes()).decode("utf-8")
    phrases = list(dict.fromkeys(table.split("\n")[1::3]))
    frequency = Counter(word for phrase in phrases for word in phrase.split())
    common = {word for word, _ in frequency.most_common(8000) if word.isalpha()}
    usable = [phrase for phrase in phrases if 2 <= len(phrase.split()) <= 4 and common.issuperset(phrase.split())]
    usable = source.sample(usable, 20_000)
    weights = list(itertools.accumulate(1 / (rank + 5) for rank in range(len(usable))))
    candidates, references = [], []
    for _ in range(IMAGES):
        scene = source.choices(usable, cum_weights=weights, k=7)
        captions = [
            " ".join(["a", *source.sample(scene, 3), *source.choices(usable, cum_weights=weights)])
            for _ in range(REFERENCES + 1)
        ]
        candidates.append(captions[0])
        references.append(captions[1:])
    return candidates, references


def compare(name: str, theirs: Callable[[], object], ours: Callable[[], object], repeats: int) -> None:
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for side, work in zip(seconds, (theirs, ours), strict=True):
            side.append(timed(work))
    row(name, statistics.median(seconds[0]), statistics.median(seconds[1]))


def row(name: str, theirs: float, ours: float) -> None:
    print(f"{name:32}{theirs:16.2f}{ours:12.2f}{ours / theirs:8.3f}", flush=True)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def our_ngrams(corpus: Corpus) -> None:
    packed = pack_captions(*corpus)
    matches = packed.matches()
    cider = cider_statistics(packed, matches).value
    bleu = [score.value for score in bleu_statistics(packed, matches)]
    assert cider and bleu and rouge_statistics(*corpus).value


def their_ngrams(corpus: Corpus) -> None:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    arguments = dictionaries(corpus)
    Cider().compute_score(*arguments)
    Bleu().compute_score(*arguments, verbose=0)
    Rouge().compute_score(*arguments)


def dictionaries(corpus: Corpus) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    return dict(enumerate(corpus[1])), {i: [candidate] for i, candidate in enumerate(corpus[0])}


def our_meteor(corpus: Corpus) -> float:
    with Meteor() as meteor:
        assert meteor.score(*corpus).value
        return peak_mb(meteor._processes[0].pid)


def their_meteor(corpus: Corpus) -> float:
    from pycocoevalcap.meteor.meteor import Meteor as Theirs

    meteor = Theirs()
    meteor.compute_score(*dictionaries(corpus))
    return peak_mb(meteor.meteor_p.pid)


def peak_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def bootstrap(corpus: Corpus) -> None:
    packed = pack_captions(corpus[0][:1000], corpus[1][:1000])
    matches = packed.matches()
    cider = cider_statistics(packed, matches)
    for resamples in (1000, 10_000):
        seconds = timed(lambda resamples=resamples: interval(cider, resamples))
        print(f"CIDEr-D, 1000 images, {resamples} resamples: {seconds:.2f} s")
    for order, bleu in enumerate(bleu_statistics(packed, matches), start=1):
        seconds = timed(lambda bleu=bleu: interval(bleu, 10_000))
        print(f"BLEU-{order}, 1000 images, 10000 resamples: {seconds:.2f} s")


def tokenizer(corpus: Corpus) -> None:
    flat = [caption for captions in corpus[1] for caption in captions]
    start = time.perf_counter()
    with PtbTokenizer() as process:
        process.tokenize(flat)
        first = time.perf_counter() - start
        again = timed(lambda: process.tokenize(corpus[0]))
        print(
            f"PTB: {len(flat)} captions with the start {first:.2f} s, then {IMAGES} in {again:.2f} s, "
            f"JVM {peak_mb(process.pid):.0f} MB"
        )


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()

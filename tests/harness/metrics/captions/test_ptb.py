from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.metrics.captions.java import JavaSilent
from harness.metrics.captions.ptb import PtbTokenizer

PIECES = """
a. I. U.S. u.s. etc. Inc. Mr. No. Jan. Ph.D. e.g. 1, 1,000 $5.50 - -- ... ' " < <a <b> </b> > & &amp; ( ) [ { }
http://a.b a@b.org 's don't cannot gonna ½ © é . ? ! \\ / % 5 1/2 (415) 555-1234 `` '' ||| ~ … – ’ “ A Zed 0 日本 😀
ﬁ İ *NL* -LRB- and/or #tag @me 90's o'clock rock'n'roll <a href= co-op state-of-the-art :-) ;)
""".split()  # noqa: SIM905 - readable
STRANGE = ["\xa0", "\u3000", "\t", "\x00", "\x1f", "\u00ad", "\u200b", "\ufeff", "\n", "", "   ", "x" * 5000]


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[PtbTokenizer]:
    with PtbTokenizer() as process:
        yield process


def peer(captions: list[str]) -> list[str]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokens: dict[int, list[str]] = PTBTokenizer().tokenize({0: [{"caption": caption} for caption in captions]})
    return tokens[0] + [""] * (len(captions) - len(tokens[0]))  # it drops empty captions at the end


@pytest.mark.usefixtures("java_on_path")
def test_equals_pycocoevalcap_on_wild_captions(tokenizer: PtbTokenizer) -> None:
    source = random.Random(0)
    for size in (1, 2, 700):
        captions = [
            source.choice(["", " ", "  "]).join(source.choices([*PIECES, *STRANGE], k=source.randint(0, 8)))
            for _ in range(size)
        ]
        assert tokenizer.tokenize(captions) == peer(captions)


@pytest.mark.usefixtures("java_on_path")
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\v\f\x85\u2028\u2029"))))
def test_equals_pycocoevalcap_on_any_text(tokenizer: PtbTokenizer, captions: list[str]) -> None:
    captions = ["A dog.", *captions]  # pycocoevalcap fails on no captions at all
    assert tokenizer.tokenize(captions) == peer(captions)


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_a_line_break_in_a_caption_does_not_shift_the_others(tokenizer: PtbTokenizer, line_break: str) -> None:
    assert tokenizer.tokenize([f"A{line_break}dog.", "Cats!"]) == ["a dog", "cats"]


def test_by_hand(tokenizer: PtbTokenizer) -> None:
    # Brackets stay: pycocoevalcap drops "-LRB-", but they are "-lrb-" once in lower case.
    tokens = tokenizer.tokenize(["The man's dog -- (a BIG one), isn't it?"])
    assert tokens == ["the man 's dog -lrb- a big one -rrb- is n't it"]


def test_lone_surrogates_do_not_end_a_run(tokenizer: PtbTokenizer) -> None:
    assert tokenizer.tokenize(["a \ud800 dog"])[0].startswith("a")


def test_a_killed_tokenizer_is_started_anew_and_answers_the_same() -> None:
    with PtbTokenizer() as own:
        tokens = own.tokenize(["A dog.", "Two dogs"])
        first = own.pid
        os.kill(first or 0, signal.SIGKILL)
        assert own.tokenize(["A dog.", "Two dogs"]) == tokens
        assert own.pid != first


def test_a_stopped_tokenizer_is_ended_and_the_next_batch_has_another() -> None:
    with PtbTokenizer(patience_s=0.5) as own:
        os.kill(own.pid or 0, signal.SIGSTOP)
        with pytest.raises(JavaSilent):
            own.tokenize(["A dog."])
        own._patience_s = 60.0
        assert own.tokenize(["A dog."]) == ["a dog"]


def test_nothing_to_tokenize(tokenizer: PtbTokenizer) -> None:
    assert tokenizer.tokenize([]) == []


def test_process_ends_with_the_block() -> None:
    with pytest.raises(KeyError), PtbTokenizer() as process:
        raise KeyError
    assert not Path(f"/proc/{process.pid}").exists()
    process.close()


def test_process_ends_when_its_parent_is_killed() -> None:
    code = (
        "from harness.metrics.captions.ptb import PtbTokenizer; import sys, time\n"
        "t = PtbTokenizer(); t.tokenize(['a']); print(t.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        java = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while _runs(java) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(java)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

"""`transformers serve` with a tiny chat model: a server that nobody here wrote is asked and found out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.sample import NoAnswer
from tests.baselines.api.conftest import batch, picture
from tests.tiny_tokenizers import byte_tokenizer

pytestmark = pytest.mark.slow
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endif %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA of a few thousand weights, with a tokenizer of bytes."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = byte_tokenizer(
        "<pad>", "<s>", "</s>", "<image>", model_max_length=512, extra_special_tokens={"image_token": "<image>"}
    )
    size = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = LlamaConfig(
        **size, num_key_value_heads=2, vocab_size=len(tokenizer), pad_token_id=256, bos_token_id=257, eos_token_id=258
    )
    vision = CLIPVisionConfig(**size, image_size=32, patch_size=8)
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=259, image_seq_length=16)
    torch.manual_seed(7)
    model = LlavaForConditionalGeneration(config).eval()
    for parameter in model.parameters():
        parameter.data.mul_(6) if parameter.ndim > 1 else None
    folder = tmp_path_factory.mktemp("tiny") / "llava"
    model.save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        images, tokenizer, patch_size=8, vision_feature_select_strategy="default", chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def served(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve it on a free port; gives the name for `--model`."""
    pytest.importorskip("openai", reason="transformers serve needs the package openai (transformers[serving])")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "serve.txt"
    command = [Path(sys.executable).with_name("transformers"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*map(str, command), "--device", "cpu", str(tiny_llava)], stdout=file, stderr=file, env=environment
        )
    try:
        end = time.monotonic() + 480
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except httpx.TransportError:
                told = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                assert server.poll() is None and time.monotonic() < end, told
                time.sleep(0.2)
        yield f"api:http://127.0.0.1:{port}/v1#{tiny_llava}"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def test_it_answers_reads_images_and_refuses_what_it_does_not_know(served: str, learner: Any) -> None:
    settings = {"extra": '{"presence_penalty": null, "n": null}', "timeout_s": 120, "concurrency": 4}
    mine = learner(served, **settings)
    images = [picture(colour, 40) for colour in ("red", "green", "blue")]
    answers = mine.predict(batch(images))
    told = mine.service_report()
    assert all(isinstance(answer, str) or "empty" in answer.reason for answer in answers), answers
    assert told["probe"]["reads_image"] in ("yes", "gets them"), told["probe"]
    assert told["probe"]["deterministic"] == "yes" and told["probe"]["log_probabilities"] == "none"
    again = learner(served, **settings)
    assert again.predict(batch(images)) == answers
    classes = learner(served, "labels", ("red", "green"), **settings)
    found = classes.predict(batch(images))
    assert classes.service_report()["options_by"] == "generation"
    assert all(isinstance(answer, int | NoAnswer) for answer in found)
    blind = learner(served, control="C5", **settings)
    assert len(blind.predict(batch([None]))) == 1

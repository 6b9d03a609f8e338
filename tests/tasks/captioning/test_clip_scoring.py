"""CLIPScore of captions with tiny random CLIPs on disk: the same as by hand, absent where not asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.errors import BadSample, CheckpointError, MissingPath, UsageError, WeightsUnavailable
from harness.metrics.captions import clip_score
from harness.metrics.metric import MetricDrift
from harness.protocols import DataContext, open_data
from harness.sample import Sample
from tasks.captioning.clip_encoder import load_clip
from tasks.captioning.clip_scoring import ClipScoring
from tasks.captioning.clip_weights import find_clip
from tasks.captioning.task import coco_caption
from tasks.targets.targets import CaptionTarget
from tests.tiny_tokenizers import word_tokenizer

WORDS = ["A", "a", "photo", "depicts", "red", "blue", "green", "dog", "cat", "house", "on", "the", "grass", "sofa"]
CAPTIONS = {"0": "a red dog", "1": "a blue cat on the sofa", "2": "the house"}
REFERENCES = {"0": ("a dog", "red dog on the grass"), "1": ("a cat",), "2": ("a house on grass", "the green house")}
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name in CAPTIONS:
        pixels = generator.integers(0, 256, (40, 52, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return [Sample(name, folder / f"{name}.png", CaptionTarget(REFERENCES[name])) for name in CAPTIONS]


@pytest.fixture(scope="module")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny open_clip model in a folder of its own."""
    import open_clip
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("open-clip")
    text = {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8}
    content = {
        "model_cfg": {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    torch.manual_seed(3)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    for name, parameter in model.named_parameters():  # larger than at the start, so that inputs make a difference
        parameter.data.mul_(4) if parameter.ndim > 1 and "logit" not in name else None
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


@pytest.fixture(scope="module")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIPModel with its image processor and a tokenizer of words."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    folder = tmp_path_factory.mktemp("hf")
    tokenizer = word_tokenizer(["[PAD]", "[UNK]", "<begin>", "<end>"], WORDS, "<begin>", "<end>")
    tokenizer.save_pretrained(folder)
    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 40, "max_position_embeddings": 10, "eos_token_id": 3, "bos_token_id": 2}
    torch.manual_seed(4)
    config = CLIPConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=12)
    model = CLIPModel(config)
    for name, parameter in model.named_parameters():
        parameter.data.mul_(6) if parameter.ndim > 1 and "logit" not in name else None
    model.save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessor(image_mean=MEAN, image_std=STD, **sizes).save_pretrained(folder)
    return folder


@pytest.fixture
def wish(request: pytest.FixtureRequest) -> str:
    """Either of the two."""
    if request.param == "hf":
        return f"hf:{request.getfixturevalue('transformers_folder')}"
    return f"open_clip:local-dir:{request.getfixturevalue('open_clip_folder')}"


def by_hand(wish: str, samples: list[Sample]) -> tuple[list[float], list[float]]:
    """The published formulas, sample by sample, with a plain pass through the library."""
    images, texts = plain_open_clip(wish) if wish.startswith("open_clip") else plain_transformers(wish)
    scores, with_references = [], []
    for sample in samples:
        image = images(sample.image)
        caption = texts("A photo depicts " + CAPTIONS[sample.sample_id])
        score = 2.5 * max(cosine(image, caption), 0)
        best = max(max(cosine(caption, texts("A photo depicts " + text)), 0) for text in REFERENCES[sample.sample_id])
        scores.append(score)
        with_references.append(2 * score * best / (score + best) if score + best else 0.0)
    return scores, with_references


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))


def plain_open_clip(wish: str) -> tuple[Callable[[Path], torch.Tensor], Callable[[str], torch.Tensor]]:
    import open_clip

    name = wish.removeprefix("open_clip:")
    model, _, transform = open_clip.create_model_and_transforms(name)
    model.eval()
    tokenizer = open_clip.get_tokenizer(name)

    @torch.no_grad()
    def images(path: Path) -> torch.Tensor:
        return model.encode_image(transform(Image.open(path))[None])[0]

    @torch.no_grad()
    def texts(text: str) -> torch.Tensor:
        return model.encode_text(tokenizer([text]))[0]

    return images, texts


def plain_transformers(wish: str) -> tuple[Callable[[Path], torch.Tensor], Callable[[str], torch.Tensor]]:
    from transformers import AutoTokenizer, CLIPModel

    folder = wish.removeprefix("hf:")
    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))

    @torch.no_grad()
    def images(path: Path) -> torch.Tensor:
        whole = Image.open(path).resize((41, 32), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(whole.crop((4, 0, 36, 32))).transpose(2, 0, 1) / 255)
        out = model.vision_model(((pixels - mean) / std)[None].float()).pooler_output
        return model.visual_projection(out)[0]

    @torch.no_grad()
    def texts(text: str) -> torch.Tensor:
        out = model.text_model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=10)).pooler_output
        return model.text_projection(out)[0]

    return images, texts


@pytest.mark.parametrize("wish", ["hf", "open_clip"], indirect=True)
def test_scores_are_those_of_a_plain_pass(wish: str, samples: list[Sample]) -> None:
    scoring = ClipScoring(find_clip(wish))
    scores: Any = scoring.score(samples, CAPTIONS)
    plain, with_references = by_hand(wish, samples)
    assert len(set(plain)) > 1
    np.testing.assert_allclose(scores["CLIPScore"].per_sample, plain, atol=1e-5)
    np.testing.assert_allclose(scores["RefCLIPScore"].per_sample, with_references, atol=1e-5)
    assert scores["CLIPScore"].value == pytest.approx(np.mean(plain), abs=1e-5)


def test_a_file_must_be_of_its_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    asked: list[Any] = []

    def create(*arguments: Any, **keywords: Any) -> Any:
        asked.append((arguments, keywords))
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", create)
    file = tmp_path / "own.safetensors"
    file.write_bytes(b"weights")
    weights = find_clip(f"open_clip:ViT-B-32/{file}")
    assert (weights.architecture, weights.file) == ("ViT-B-32", file)
    with pytest.raises(CheckpointError, match=rf"cannot load ViT-B-32 with {file}: size mismatch.*this very"):
        load_clip(weights)
    assert asked[0][0] == ("ViT-B-32", str(file)) and asked[0][1]["weights_only"] is True


def test_images_and_texts_are_embedded_once(open_clip_folder: Path, samples: list[Sample]) -> None:
    scoring = ClipScoring(find_clip(f"open_clip:local-dir:{open_clip_folder}"))
    first: Any = scoring.score(samples, CAPTIONS)
    encoder = scoring._encoder
    assert encoder is not None
    asked: list[str] = []

    class Counting:
        images = staticmethod(lambda paths: pytest.fail("an image was embedded again"))

        @staticmethod
        def texts(texts: list[str]) -> Any:
            asked.extend(texts)
            return encoder.texts(texts)

    scoring._encoder = Counting()  # type: ignore[assignment]
    second: Any = scoring.score(samples[::-1], {**CAPTIONS, "1": "a green cat"})
    assert asked == ["A photo depicts a green cat"]
    assert second["CLIPScore"].per_sample[[2, 0]].tolist() == first["CLIPScore"].per_sample[[0, 2]].tolist()


def test_the_signature_names_factor_prefix_and_weights(open_clip_folder: Path, tmp_path: Path) -> None:
    weights = find_clip(f"open_clip:local-dir:{open_clip_folder}")
    assert ClipScoring(weights).prepare() == f"clipscore:v1,2.5,prefix,{weights.digest[:16]}"
    for file in open_clip_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert find_clip(f"open_clip:local-dir:{tmp_path}").digest == weights.digest, "the place does not matter"
    with (tmp_path / "open_clip_model.safetensors").open("ab") as file:
        file.write(b"\0")
    assert find_clip(f"open_clip:local-dir:{tmp_path}").digest != weights.digest


def test_a_drift_stops_before_anything_is_loaded(open_clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = ClipScoring(find_clip(f"open_clip:local-dir:{open_clip_folder}"))
    monkeypatch.setattr(clip_score, "FACTOR", 1.0)
    with pytest.raises(MetricDrift, match=r"CLIPScore gives 0\.64 instead of 1\.6"):
        scoring.prepare()
    assert scoring._encoder is None


def test_a_clip_that_cannot_be_loaded_stops_before_models_are_trained(open_clip_folder: Path, tmp_path: Path) -> None:
    for file in open_clip_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 300 if file.suffix == ".safetensors" else None])
    with pytest.raises(CheckpointError, match=rf"open_clip cannot load local-dir:{tmp_path}"):
        ClipScoring(find_clip(f"open_clip:local-dir:{tmp_path}")).prepare()


def test_an_image_that_is_not_there_is_named(open_clip_folder: Path, samples: list[Sample], tmp_path: Path) -> None:
    scoring = ClipScoring(find_clip(f"open_clip:local-dir:{open_clip_folder}"))
    gone = Sample("0", tmp_path / "gone.png", samples[0].target)
    with pytest.raises(BadSample, match=r"gone\.png is not there"):
        scoring.score([gone], CAPTIONS)


@pytest.mark.parametrize(
    ("wish", "error", "message"),
    [
        ("ViT-B-32/openai", UsageError, "names no CLIP. Wanted hf:FOLDER, open_clip:"),
        ("open_clip:ViT-B-32", UsageError, "lacks a part of ARCHITECTURE/FILE"),
        ("open_clip:ViT-B-23/a.safetensors", UsageError, "no architecture 'ViT-B-23'. Did you mean 'ViT-B-32'"),
        ("open_clip:ViT-B-32/openay", UsageError, "no weights 'ViT-B-32/openay'. Did you mean 'ViT-B-32/openai'"),
        ("open_clip:ViT-B-32/no/such.safetensors", MissingPath, "no file no/such.safetensors. Check the path"),
        ("open_clip:local-dir:no/such", MissingPath, "no folder no/such. Check the path"),
        ("open_clip:ViT-B-32/openai", WeightsUnavailable, "not in the Hugging Face cache. Run `hf download timm/vit"),
        ("hf:no/such", MissingPath, "no folder no/such. Check the path, or leave CLIPScore out"),
        ("hf:{tmp}", CheckpointError, "has no config.json, so it is no checkpoint of transformers"),
        ("open_clip:local-dir:{tmp}", CheckpointError, "has no open_clip_config.json"),
        ("hf:{pickled}", CheckpointError, r"holds no \*.safetensors. A pickle can run code"),
        ("open_clip:local-dir:{pickled}", CheckpointError, "has none of open_clip_model.safetensors"),
    ],
)
def test_a_clip_that_is_not_there_is_explained(
    wish: str, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *names: None)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for name in ("config.json", "open_clip_config.json", "pytorch_model.bin"):
        (pickled / name).write_text("{}")
    with pytest.raises(error, match=message):
        find_clip(wish.format(tmp=tmp_path, pickled=pickled))


def test_published_weights_are_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    file = tmp_path / "open_clip_model.safetensors"
    file.write_bytes(b"weights")
    found = {("timm/vit_base_patch32_clip_224.openai", file.name): str(file)}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *names: found.get(names))
    weights = find_clip("open_clip:ViT-B-32/openai")
    assert (weights.architecture, weights.file) == ("ViT-B-32", file)
    assert weights.published["quick_gelu"] is True


@pytest.mark.parametrize("damage", ["another kind", "a missing weight", "no tokenizer"])
def test_a_folder_that_does_not_fit_is_refused(damage: str, transformers_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in transformers_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    if damage == "another kind":
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    elif damage == "a missing weight":
        state = load_file(tmp_path / "model.safetensors")
        del state["text_projection.weight"]
        save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    else:
        (tmp_path / "tokenizer.json").unlink()
    messages = {
        "another kind": "holds a model of type bert; wanted clip",
        "a missing weight": r"lacks 1 weights \(first: text_projection.weight\)",
        "no tokenizer": "(?s)cannot be loaded: .*Wanted what CLIPModel and CLIPProcessor write",
    }
    error = UsageError if damage == "another kind" else CheckpointError
    with pytest.raises(error, match=messages[damage]):
        load_clip(find_clip(f"hf:{tmp_path}"))


def test_the_task_takes_it_only_where_it_is_asked_for(
    open_clip_folder: Path, captions_in: Callable[..., Path], tmp_path: Path
) -> None:
    context = DataContext(
        str(captions_in(tmp_path / "data", train=6, val=4)), None, None, tmp_path, tmp_path, lambda *_: None
    )
    plain = open_data(coco_caption, context)
    assert not plain.options
    wished = f"open_clip:local-dir:{open_clip_folder}"
    asked = open_data(coco_caption, replace_settings(context, clip_score=wished))
    assert asked.scoring == {"clip_score": wished, "clip_weights": find_clip(wished).digest}
    assert (asked.digest, asked.splits) == (plain.digest, plain.splits), "the samples stay the same"
    assert coco_caption.scorer(plain, tmp_path)._clip is None  # type: ignore[attr-defined]
    assert coco_caption.scorer(asked, tmp_path)._clip is not None  # type: ignore[attr-defined]
    with pytest.raises(MissingPath):
        open_data(coco_caption, replace_settings(context, clip_score="hf:no/such/folder"))


def replace_settings(context: DataContext, **settings: Any) -> DataContext:
    from dataclasses import replace

    return replace(context, settings=settings)

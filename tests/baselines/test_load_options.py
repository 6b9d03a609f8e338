"""How checkpoints are loaded: what is settled when planning, what is refused, and what `from_pretrained` is told."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import catalog, load_options
from baselines.language.pretrained import LanguageWish, load_language
from baselines.language.source import find_language
from baselines.load_options import FOR_WEIGHTS, LOAD_SETTINGS, LoadOptions, SettlesLoading, read_load_options
from harness.cell import DecodeOptions, ModelOptions, TrainOptions
from harness.errors import UsageError
from harness.measure.device import resolve_precision
from harness.plan.plugins import load_all
from harness.protocols import BuildContext, Model, SettlesOptions

DEFAULTS = {"dtype": "fp32", "device_map": "none", "quantise": "none", "attention": "auto"}
UNSEEN = {
    "attribute-classifier": "trained from nothing, and never frozen itself",
    "answer-prior": "counts answers: no weights are loaded",
}


def loaders() -> list[Any]:
    """Every installed model, the family's example and a parsed one of each library."""
    models: list[Model] = load_all("models")[0]
    return [model for model in models if model.name not in UNSEEN]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bitsandbytes be there."""
    find, version = importlib.util.find_spec, importlib.metadata.version
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "bitsandbytes" else find(name))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.48" if name == "bitsandbytes" else version(name))


def settled(model: Any, device: str, **settings: Any) -> dict[str, Any]:
    found = model.settled(ModelOptions(settings=settings), device, lambda wish: resolve_precision(wish, device))
    return dict(found.settings)


@pytest.mark.parametrize("model", loaders(), ids=lambda model: str(model.name))
def test_all_models_that_load_weights_take_a_dtype_and_leave_out_what_always_was(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.measure.device.bf16_is_faster", lambda device: False)  # as some processors have it
    assert isinstance(model, SettlesOptions)
    taken = set(LOAD_SETTINGS) & set(model.settings)
    if model.name != "clip-wise-ft":  # all that it keeps is trained
        assert "dtype" in taken
        assert settled(model, "cpu", dtype="auto", **{name: DEFAULTS[name] for name in taken - {"dtype"}}) == {}
        assert settled(model, "cpu", dtype="bf16") == {"dtype": "bf16"}
    assert set(FOR_WEIGHTS) - {"dtype"} <= taken  # else they would be ignored unseen
    assert set(model.loads_with) - {"dtype"} <= taken


@pytest.mark.parametrize("model", loaders(), ids=lambda model: str(model.name))
def test_what_a_library_cannot_do_is_refused_and_nothing_else(model: Any, installed: None) -> None:
    for name, value in {"device_map": "balanced", "quantise": "4bit"}.items():
        if name in model.loads_with:
            assert settled(model, "cuda:0", **{name: value}) == {name: value}
            continue
        with pytest.raises(UsageError, match=f"'{model.name}' cannot be loaded with model.{name}={value}"):
            settled(model, "cuda:0", **{name: value})


def test_only_networks_that_write_are_spread_over_devices() -> None:
    spread = {model.name for model in loaders() if "device_map" in model.loads_with}
    assert spread == {model.name for model in loaders() if model.name.startswith("hf-") and "captions" in model.answers}
    assert spread


def test_auto_is_settled_by_the_kind_of_device(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = {"cuda:0": True, "cuda:1": False, "cpu": False}
    monkeypatch.setattr("harness.measure.device.bf16_is_faster", lambda device: fast[device])
    monkeypatch.setattr("harness.measure.device._has_tensor_cores", lambda device: device == "cuda:1")
    found = {device: settled(catalog.film, device, dtype="auto", width=7) for device in fast}
    assert found == {
        "cuda:0": {"dtype": "bf16", "width": 7},
        "cuda:1": {"dtype": "fp16", "width": 7},
        "cpu": {"width": 7},
    }


@pytest.mark.parametrize(
    ("device", "settings", "message"),
    [
        ("cpu", {"quantise": "8bit"}, "model.quantise=8bit: bitsandbytes needs a GPU, not cpu"),
        ("cuda:0", {"quantise": "4bit"}, "model.quantise=4bit: the package bitsandbytes is not installed. Install it"),
        ("cpu", {"attention": "flash_attention_2"}, "it needs a GPU, not cpu. Take sdpa"),
        ("cuda:0", {"attention": "flash_attention_2"}, "bf16 and fp16 only. Add --set model.dtype=auto"),
        ("cuda:0", {"attention": "flash_attention_2", "dtype": "bf16"}, "the package flash_attn is not installed"),
        ("cpu", {"dtype": "int8"}, "model.dtype=int8: Known: auto, bf16, fp16, fp32"),
        ("cpu", {"dtype": "bf61"}, "Did you mean 'bf16'"),
        ("cpu", {"quantise": "2bit"}, "model.quantise=2bit: Did you mean"),
        ("cpu", {"attention": "flash"}, "model.attention=flash: "),
    ],
)
def test_what_cannot_be_had_is_one_message(
    device: str, settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    lacking = ("bitsandbytes", "flash_attn")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking else find(name))
    with pytest.raises(UsageError) as refused:
        settled(catalog.film, device, **settings)
    assert message in str(refused.value)


def test_what_transformers_is_told(installed: None) -> None:
    assert LoadOptions().arguments("cuda:1") == {"dtype": torch.float32}
    assert LoadOptions("bf16", attention="eager").arguments("cpu") == {
        "dtype": torch.bfloat16,
        "attn_implementation": "eager",
    }
    eight = LoadOptions("fp16", quantise="8bit").arguments("cuda:1")
    assert eight["quantization_config"].load_in_8bit and eight["device_map"] == {"": "cuda:1"}
    four = LoadOptions("bf16", "balanced", "4bit", "flash_attention_2").arguments("cuda:1")
    config = four["quantization_config"]
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert (four["device_map"], four["attn_implementation"]) == ("balanced", "flash_attention_2")


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_language_model_is_told_so_too(
    name: str, languages: dict[str, Path], monkeypatch: pytest.MonkeyPatch, installed: None
) -> None:
    import transformers

    told: dict[str, Any] = {}

    def refuse(folder: Path, **keywords: Any) -> None:
        told.update(keywords)
        raise OSError("that is enough")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", refuse)
    load = LoadOptions("bf16", quantise="4bit", attention="eager")
    with pytest.raises(Exception, match="that is enough"):
        load_language(find_language(str(languages[name])), ["a"], LanguageWish(load=load, device="cuda:3"))
    assert told["attn_implementation"] == "eager"
    assert told["device_map"] == {"": "cuda:3"} and told["quantization_config"].load_in_4bit
    assert told["dtype"] == torch.float32  # which of its weights are frozen is known later


def test_attention_is_what_was_asked_for_and_sdpa_otherwise(languages: dict[str, Path]) -> None:
    source = find_language(str(languages["llama"]))
    for wish, expected in (("auto", "sdpa"), ("eager", "eager")):
        language = load_language(source, ["a red star"], LanguageWish(load=LoadOptions(attention=wish)))
        assert language.model.config._attn_implementation == expected


def test_weights_drawn_at_random_cannot_be_quantised(languages: dict[str, Path]) -> None:
    wish = LanguageWish(reinitialised=True, load=LoadOptions(quantise="8bit"))
    with pytest.raises(UsageError, match="control C2 draws"):
        load_language(find_language(str(languages["bert"])), ["a"], wish)


@pytest.mark.parametrize("fast", [True, False])
def test_a_dtype_that_was_not_settled_is_settled_when_a_model_is_built(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.measure.device.bf16_is_faster", lambda device: fast)
    options = ModelOptions(settings={"dtype": "auto"})
    context = BuildContext(options, TrainOptions(), DecodeOptions(), 0, Path("unused"))
    assert load_options.load_options_of(context) == (LoadOptions("bf16") if fast else LoadOptions())
    assert read_load_options(options.settings).dtype == "auto"


def test_fp16_that_gradients_pass_needs_a_scaled_loss() -> None:
    load_options.require_loss_scale(LoadOptions("fp16"), TrainOptions(precision="fp16"))
    load_options.require_loss_scale(LoadOptions("bf16"), TrainOptions(precision="fp32"))
    with pytest.raises(UsageError, match="gradients that pass fp16 weights vanish"):
        load_options.require_loss_scale(LoadOptions("fp16"), TrainOptions(precision="bf16"))


def test_a_model_says_what_it_cannot_do_by_its_name() -> None:
    class Other(SettlesLoading):
        name = "other"

    with pytest.raises(UsageError, match=r"'other' cannot be loaded with .*=eager: of these it takes dtype only"):
        settled(Other(), "cpu", attention="eager")

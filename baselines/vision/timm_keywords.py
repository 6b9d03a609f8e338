"""Which keywords of timm's networks may come from outside: those that shape a network.

`timm.create_model` also takes keywords that read files or fetch weights (`checkpoint_path`, `pretrained_cfg`,
`cache_dir` …): weights named so would stand in no digest, and a pickle among them could run code. The list is that of
the constructors in timm 1.0.31 whose values are numbers, words or lists of them; timm itself says which of them a
network takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import CheckpointError, UsageError, nearest

SHAPING = frozenset((
    "aa_layer", "act_layer", "always_partition", "attn_drop_rate", "attn_mlp_ratio", "attn_ratio", "attn_type",
    "avg_down", "base_dim", "base_dims", "base_width", "block_args", "block_config", "block_reduce_first", "bn_size",
    "bottle_ratio", "cardinality", "channel_multiplier", "channels", "class_token", "conv_bias", "conv_mlp",
    "conv_ratio", "crop_scale", "depth", "depth_mult", "depth_token_only", "depths", "dim", "dim_mul", "dims",
    "distillation", "distilled", "down_kernel_size", "down_op", "down_ops", "downsample", "downsamples",
    "drop_block_rate", "drop_path_rate", "drop_rate", "dynamic_img_pad", "dynamic_img_size", "embed_dim",
    "embed_dims", "embed_norm", "embed_norm_layer", "expand_ratio", "expansion_ratio", "fc_norm", "final_chs",
    "final_norm", "fix_init", "fix_stem", "focal_levels", "focal_windows", "fused_conv", "global_pool", "groups",
    "growth_rate", "head_bias", "head_dim", "head_hidden_size", "head_init_scale", "head_mul", "head_norm",
    "head_norm_first", "head_widths", "heads", "hidden_size", "img_size", "in_chans", "init_channels", "init_values",
    "initial_chs", "kernel_size", "kernel_sizes", "kernels", "key_dim", "layer_scale", "layer_scale_init_value",
    "layer_scale_init_values", "layers", "ls_init_value", "mlp_bias", "mlp_ratio", "mlp_ratio_token_only",
    "mlp_ratios", "named_blocks", "neck_chans", "no_embed_class", "norm_eps", "norm_layer", "norm_layer_cl",
    "num_blocks", "num_classes", "num_features", "num_heads", "num_init_features", "num_kv_heads", "num_reg_tokens",
    "output_stride", "pad_type", "patch_drop_rate", "patch_kernel", "patch_norm", "patch_padding", "patch_size",
    "patch_sizes", "patch_stride", "pool_include_prefix", "pool_size", "pool_type", "pos_drop_rate", "pos_embed",
    "pre_norm", "proj_bias", "proj_drop_rate", "q_pool", "q_stride", "qk_norm", "qkv_bias", "qkv_fused",
    "ref_feat_shape", "reg_tokens", "rel_pos_type", "rope_temperature", "rope_type", "round_chs_fn", "scale",
    "scale_attn_inner", "scale_mlp", "se_layer", "se_ratio", "sr_ratios", "stages", "stem_bias", "stem_chs",
    "stem_kernel_size", "stem_size", "stem_stride", "stem_type", "stem_width", "strict_img_size", "strides",
    "swiglu_mlp", "token_mixers", "transformer_depths", "use_abs_pos", "use_abs_pos_emb", "use_fc_norm",
    "use_layer_scale", "use_pos_emb", "use_pos_embed", "use_post_norm", "use_rel_pos", "use_rope", "use_rot_pos_emb",
    "v2", "version", "width", "width_factor", "width_mult", "widths", "window_ratio", "window_size", "window_sizes",
    "window_spec", "zero_init_last",
))  # fmt: skip
_READS = ("pretrained", "checkpoint", "cache", "hf_", "custom_load", "file", "url")


def require_shaping(keywords: Mapping[str, Any], place: str, also: tuple[str, ...]) -> None:
    """Refuse keywords from outside that are not known to shape a network; raises UsageError.

    `place` says where they stand, `also` names the keys that were taken before.
    """
    for name, value in keywords.items():
        if name not in SHAPING:
            raise UsageError(f"{place}: {_why(name, also)}")
        if not _is_plain(value):
            raise UsageError(f"{place}: {name} = {value!r:.80}; wanted a number, a word, or a list of them.")


def require_shaping_arguments(config: Mapping[str, Any], place: str) -> None:
    """Refuse a checkpoint whose `model_args` would do more than shape its network; raises CheckpointError."""
    arguments = config.get("model_args") or {}
    if not isinstance(arguments, dict):
        raise CheckpointError(f"{place}: model_args holds {arguments!r:.80}; wanted a table of timm's keywords.")
    try:
        require_shaping(arguments, f"{place}, model_args", ())
    except UsageError as error:
        raise CheckpointError(str(error)) from None


def _why(name: str, also: tuple[str, ...]) -> str:
    if name.startswith(_READS):
        return (
            f"'{name}' is not taken: it reads weights that would stand in no digest, and a pickle can run code. "
            "Name the weights with --vision-weights FILE.safetensors."
        )
    return f"unknown keyword '{name}'. {nearest(name, (*SHAPING, *also))[:200]}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return value is None or isinstance(value, bool | int | float | str)

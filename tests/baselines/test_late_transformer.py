"""The late-fusion layer beside torch's own transformer layer, and what its texts' mask and number mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from baselines.fusion.feature_fusion import FeatureFusionShape
from baselines.fusion.late_transformer import LateTransformerFeatureFusion
from baselines.language.text_tokens import TextTokens

WIDTH, TEXT = 16, 12


def fusion(layers: int) -> LateTransformerFeatureFusion:
    torch.manual_seed(layers)
    return LateTransformerFeatureFusion(FeatureFusionShape(WIDTH, TEXT, 4, 0.0, 2, {"late_layers": layers})).eval()


def texts(rows: int) -> TextTokens:
    torch.manual_seed(7)
    mask = torch.ones(rows, 5, dtype=torch.bool)
    mask[:, 3:] = False
    return TextTokens(torch.randn(rows, 5, TEXT), mask, torch.randn(rows, TEXT))


def by_torch(fused: LateTransformerFeatureFusion, visual: Tensor, text: TextTokens) -> Tensor:
    """torch's encoder layer, normalised first, over the whole sequence; its weights are those of ours."""
    told = fused.text(text.tokens) + fused.kinds[1]
    tokens = torch.cat([visual + fused.kinds[0], told], dim=1)
    hidden = torch.cat([torch.zeros(visual.shape[:2], dtype=torch.bool), ~text.mask], dim=1)
    for own in fused.layers:
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 2 * WIDTH, 0.0, nn.functional.gelu, batch_first=True, norm_first=True
        ).eval()
        attention, forward = own.attention, own.feed_forward
        with torch.no_grad():
            layer.self_attn.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
            layer.self_attn.in_proj_bias.copy_(torch.cat([attention.query.bias, attention.key_value.bias]))
        layer.self_attn.out_proj.load_state_dict(attention.output.state_dict())
        layer.linear1.load_state_dict(forward[1].state_dict())
        layer.linear2.load_state_dict(forward[3].state_dict())
        tokens = layer(tokens, src_key_padding_mask=hidden)
    return tokens[:, : visual.shape[1]]


@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_torchs_transformer_layer_over_both(layers: int) -> None:
    fused, visual = fusion(layers), torch.randn(3, 9, WIDTH)
    with torch.no_grad():
        assert torch.allclose(fused(visual, texts(3)), by_torch(fused, visual, texts(3)), atol=1e-5)


def test_what_the_mask_hides_says_nothing_and_what_it_shows_does() -> None:
    fused, visual, told = fusion(1), torch.randn(2, 4, WIDTH), texts(2)
    with torch.no_grad():
        before = fused(visual, told)
        hidden, shown = told.tokens.clone(), told.tokens.clone()
        hidden[:, 3:] += 5.0
        shown[:, 0] += 5.0 * torch.randn(TEXT)
        assert torch.equal(before, fused(visual, TextTokens(hidden, told.mask, told.pooled)))
        assert not torch.allclose(before, fused(visual, TextTokens(shown, told.mask, told.pooled)), atol=1e-3)


def test_texts_that_all_share_are_those_of_each() -> None:
    fused, visual, one = fusion(1), torch.randn(3, 4, WIDTH), texts(1)
    each = TextTokens(*(part.expand(3, *part.shape[1:]) for part in (one.tokens, one.mask, one.pooled)))
    with torch.no_grad():
        assert torch.allclose(fused(visual, one), fused(visual, each), atol=1e-6)

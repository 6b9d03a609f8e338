"""Caption metrics: BLEU, METEOR, ROUGE-L, CIDEr, SPICE, CLIPScore and what they need."""

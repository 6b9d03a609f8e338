"""Pretrained captioners taken whole, from transformers and open_clip: evaluated here, not trained.

`catalog` names them and is cheap to import; what needs torch is imported when a model is built.
"""

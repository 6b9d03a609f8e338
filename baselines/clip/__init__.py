"""CLIP and its relatives of open_clip: zero-shot, light adaptations of it, and a dual encoder trained from parts.

`source` and `hub_table` say which weights are meant, `loading` reads them; `tower`, `text_tower` and
`class_embeddings` are the frozen parts, `parts` puts them together; each adaptation is a file of its own. `model` and
`catalog` are cheap to import.
"""

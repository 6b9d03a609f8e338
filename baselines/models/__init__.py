"""Named models (compositions and their controls), without torch until one is built; imports learners and below."""

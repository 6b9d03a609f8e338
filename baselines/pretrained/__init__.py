"""Pretrained captioners, classifiers, detectors and segmenters taken whole: evaluated here, not trained.

`catalog` names them and is cheap to import; what needs torch is imported when a model is built.
"""

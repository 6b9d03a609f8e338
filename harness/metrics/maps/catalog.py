"""The metrics of label maps that come with the harness, registered by the entry points of `bench.metrics`."""

from __future__ import annotations

from harness.metrics.maps.golden import MAP_CASE, map_scores
from harness.metrics.metric import Metric

_EVERINGHAM, _LONG = "Everingham et al. 2015, IJCV 111", "Long et al. 2015, arXiv 1411.4038"
_BUCHER, _KIRILLOV = "Bucher et al. 2019, arXiv 1906.00817", "Kirillov et al. 2019, arXiv 1801.00868"
_KNOWN = (
    ("mIoU", "intersection over union, the mean over classes", _EVERINGHAM),
    ("pixel-accuracy", "share of pixels whose class is right", _LONG),
    ("mean-accuracy", "share of each class's pixels that is found, the mean over classes", _LONG),
    ("mIoU-seen", "mIoU of the classes with labels in training", _BUCHER),
    ("mIoU-unseen", "mIoU of the classes without labels in training", _BUCHER),
    ("hIoU", "harmonic mean of mIoU-seen and mIoU-unseen", _BUCHER),
    ("PQ", "panoptic quality, SQ x RQ, the mean over classes", _KIRILLOV),
    ("SQ", "segmentation quality: IoU of the segments that were found", _KIRILLOV),
    ("RQ", "recognition quality: F1 of segments", _KIRILLOV),
    ("PQ-Th", "panoptic quality of things", _KIRILLOV),
    ("PQ-St", "panoptic quality of stuff", _KIRILLOV),
)
METRICS = tuple(Metric(name, title, True, source, map_scores, (MAP_CASE,)) for name, title, source in _KNOWN)

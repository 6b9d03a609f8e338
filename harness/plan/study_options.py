"""How much `bench study` looks at: the section [study] of a profile."""

from __future__ import annotations

from dataclasses import dataclass

from harness.option_fields import Duration, Names


@dataclass(frozen=True)
class StudyOptions:
    """What `bench study` looks at where claims leave it open; `bench run` takes no notice of it."""

    models: Names = ""
    """Fused models where `--model` names none, a,b; empty: all that offer a control."""
    sizes: Names = "125,250,500,1000"
    """Numbers of training samples for claim label-efficiency, three or more; not where each has one class."""
    shots: Names = "1,2,4,8,16,32"
    """Training samples of each class for claim label-efficiency, two or more, beside all."""
    severities: Names = "1,2,3,4,5"
    """Severities of the 15 standard corruptions for claim fragility."""
    policies: Names = "lora"
    """Efficient tuning policies for claim efficient-tuning, a,b, beside full and frozen."""
    sequence: Names = ""
    """Domains for claim forgetting, a,b, as train.sequence takes them; empty: two shifts of the built-in data."""
    budget: Duration = 0.0
    """What cannot be decided in this time is dropped, where `--budget` says nothing; 0: nothing is."""

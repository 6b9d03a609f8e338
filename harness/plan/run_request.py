"""What `bench run` may be told: an option is declared once, as a field that is its flag, its key in a file, its range.

The command line, `harness.api`, the reading of TOML files and docs/options.md are all made from these fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from harness.option_fields import AtLeastOne, Duration, Option, Range

PANELS = WHAT, DATA, MODELS, TRAINING, MEASURING, OUTPUT = "What", "Data", "Models", "Training", "Measuring", "Output"
"""The panels of `bench run --help`, in their order."""


@dataclass(frozen=True)
class RunRequest:
    """The plain choices of a run, as flags or top-level TOML keys give them."""

    task: Annotated[str, Option("Task to run; a,b or all.", WHAT)] = "coco-caption"
    model: Annotated[str, Option("Models: a,b or all; film[C0]; hf:NAME, open_clip:NAME/TAG, api:URL#MODEL.", WHAT)] = (
        "all"
    )
    exclude: Annotated[str | None, Option("Models to leave out of --model, a,b.", WHAT)] = None
    seeds: Annotated[int, Range(gt=0, le=1000), Option("Training seeds per model.", WHAT)] = 1
    controls: Annotated[
        str | None, Option("Run the matched controls too: all that there are, or those of C0 to C6.", WHAT, alone="all")
    ] = None
    profile: Annotated[str, Option("Settings: smoke, standard, full, reference or a TOML file.", WHAT)] = "standard"

    data: Annotated[str | None, Option("Folder: COCO, VOC, images by class …; or coco, scenes.", DATA)] = None
    split: Annotated[
        str | None,
        Option("Split to evaluate on; all: a folder of classes as it is, untrained.", DATA, left_out="the data's"),
    ] = None
    limit: Annotated[AtLeastOne | None, Option("Evaluate on the first N samples only.", DATA, "evaluate.limit")] = None
    shift: Annotated[
        str | None, Option("A second data set to evaluate on, too: a folder, or CIFAR-10-C, ImageNet-C.", DATA)
    ] = None
    scenes_track: Annotated[
        str | None, Option("Scenes: plain, context or reference.", DATA, "task.track", left_out="plain")
    ] = None
    lexicon: Annotated[
        str | None, Option("Scenes: how classes are worded.", DATA, "task.lexicon", left_out="transparent")
    ] = None
    test_lexicon: Annotated[
        str | None, Option("Scenes: other words at test time.", DATA, "task.test_lexicon", left_out="as in training")
    ] = None
    templates: Annotated[str | None, Option("Prompts: openai-imagenet, simple or a file.", DATA, "task.templates")] = (
        None
    )
    classes: Annotated[
        str | None,
        Option(
            "Class names, one a line: NAME, INDEX NAME, or FOLDER NAME (n01440764 tench), or JSON of these: a file.",
            DATA,
            "task.classes",
        ),
    ] = None
    on_bad_sample: Annotated[Literal["fail", "skip"], Option("An unreadable image: fail or skip.", DATA)] = "fail"

    vision: Annotated[str | None, Option("Vision backbone: any timm model.", MODELS)] = None
    vision_weights: Annotated[str | None, Option("Its checkpoint: a local file.", MODELS)] = None
    language: Annotated[str | None, Option("Language model: hub name or folder.", MODELS)] = None
    tune: Annotated[
        str | None,
        Option("Tuning of the language model: frozen, full, lora or another of `bench list tuning`.", MODELS),
    ] = None
    prompts: Annotated[
        str | None,
        Option(
            "Prompts of chat models: a TOML file or builtin; each is run, and their spread told.",
            MODELS,
            "model.prompts",
            left_out="the first built-in one",
        ),
    ] = None

    trials: Annotated[
        AtLeastOne | None,
        Option(
            "Settings tried for each model and control alike; the best on validation counts.",
            TRAINING,
            "train.trials",
            left_out="1",
        ),
    ] = None
    device: Annotated[str, Option("auto, cpu, cuda or one GPU: cuda:i.", TRAINING)] = "auto"
    devices: Annotated[
        str | None, Option("GPUs that take jobs: all; or cuda:0,cuda:1, MIG-…", TRAINING, left_out="all")
    ] = None
    jobs: Annotated[
        int, Range(ge=0, le=1000), Option("Models trained in parallel.", TRAINING, left_out="one per core or GPU")
    ] = 0
    executor: Annotated[str, Option("Where cells run: local, ray://HOST:PORT, slurm://PARTITION.", TRAINING)] = "local"
    job_timeout: Annotated[
        Duration, Option("End a job that makes no report for so long, as one that hangs; 0: never.", TRAINING)
    ] = 3600.0
    job_limit: Annotated[Duration, Option("End a job that takes so long in all; 0: never.", TRAINING)] = 0.0
    checkpoint_every: Annotated[
        Duration,
        Option("Keep the state of a running training so often, to go on from when it was killed; 0: never.", TRAINING),
    ] = 60.0

    metric_engine: Annotated[
        str | None, Option("hotcoco or pycocotools.", MEASURING, "task.metric_engine", left_out="hotcoco")
    ] = None
    perturb: Annotated[
        str | None, Option("Robustness: smoke, standard, full; or fog:1-3,jpeg,shift-style.", MEASURING)
    ] = None
    perturb_scale: Annotated[
        str | None,
        Option("Strengths for 224 px (imagenet) or 32 px (cifar).", MEASURING, "perturb.scale", left_out="imagenet"),
    ] = None
    explain: Annotated[
        str | None,
        Option(
            "Explain answers: integrated-gradients, grad-cam, occlusion, shapley, kernel-shap; a,b or all.", MEASURING
        ),
    ] = None
    no_measure: Annotated[bool, Option("Leave latency and memory out.", MEASURING, "measure.timed", to=False)] = False

    results: Annotated[str, Option("Folder or fsspec URL.", OUTPUT)] = "results/local"
    log: Annotated[str | None, Option("Log to tensorboard, mlflow or wandb, too.", OUTPUT, many=True)] = None
    track: Annotated[
        str | None, Option("The older name of --log and --scenes-track.", OUTPUT, many=True, hidden=True)
    ] = None

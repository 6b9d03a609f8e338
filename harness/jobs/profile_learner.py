"""Measures what a learner costs, from uint8 pixels to prediction, tower included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import cycle
from typing import TYPE_CHECKING, Any

from harness.cell import MeasureOptions
from harness.jobs.heartbeat import Heartbeat
from harness.measure.flops import FlopCount, count_flops
from harness.measure.foreign_load import ForeignLoad, noise_reasons
from harness.measure.latency import LatencySummary, time_calls
from harness.measure.machine import describe_machine
from harness.measure.memory import PeakMeter
from harness.measure.nvml import GpuWatch
from harness.measure.parameters import ParameterCount, count_parameters
from harness.measure.reference_workload import calibration_workload
from harness.measure.throughput import Throughput, time_throughput
from harness.plan.taken_whole import Costed, StatedCosts
from harness.record import Efficiency

if TYPE_CHECKING:
    from harness.inputs.visual_tokens import VisualTokens
    from harness.protocols import Learner, Progress


def profile_learner(
    learner: Learner, visual_tokens: VisualTokens, options: MeasureOptions, meter: PeakMeter, progress: Progress
) -> Efficiency:
    """Count parameters and FLOPs, time single samples and one batch; latency is at batch 1.

    A learner without a single parameter or operation of torch has others that cannot be seen: what it does not state
    of them (`Costed`) is absent. Without `options.timed` latency, throughput and memory are absent too.

    Successive calls take different samples, since the length of an answer moves its time. The pixels
    are decoded and fitted before the clock starts; everything after that is inside it. `meter` has
    been running since before the learner was built.
    """
    import torch

    device = visual_tokens.device
    groups = learner.parameter_groups()
    trained = [parameter for named in (groups.language, groups.vision, groups.new) for _, parameter in named]
    module: Any = learner
    parameters = count_parameters(module, trained)
    stated = learner.stated_costs() if isinstance(learner, Costed) else StatedCosts()
    module.requires_grad_(False)  # torch's operation counter fails on a parameter that a module is called with
    with torch.inference_mode(), ForeignLoad() as load:
        progress("counting operations", 0, 0)
        _answer(
            learner, visual_tokens, [0]
        )  # what is read once for all samples, such as class names, is no sample's cost
        flops = count_flops(lambda: _answer(learner, visual_tokens, [0]))
        counted = _counted(parameters, flops, stated)
        if not options.timed:
            return replace(counted, notes={"not_measured": "latency, throughput and memory (--no-measure)"})
        watch = GpuWatch(device)
        watch.look()
        latency = _latency(learner, visual_tokens, options, progress)
        watch.look()  # while the clocks are those of the timed calls
        throughput = _throughput(learner, visual_tokens, options, progress)
        watch.look()
    memory = meter.read()
    machine = describe_machine(device)
    return replace(
        counted,
        latency_p50_seconds=latency.p50,
        latency_p95_seconds=latency.p95,
        latency_runs=latency.runs,
        throughput_per_second=throughput.per_second,
        throughput_batch=throughput.batch_size,
        peak_memory_bytes=memory.peak_rss_bytes if memory.reserved_bytes is None else memory.reserved_bytes,
        notes={
            "machine": machine.to_json(),
            "machine_label": machine.label,
            "memory": asdict(memory),
            "first_call_seconds": latency.first_seconds,
            "latency_iqr_over_median": latency.iqr_over_median,
            "calibrated_latency": None if latency.calibrated is None else latency.calibrated.to_json(),
            **({} if watch.state is None else {"gpu_state": watch.state.to_json()}),
            "foreign_cpu_share": load.share,
            # The calls answer different samples, so their spread is not noise: only what others did counts here.
            "noisy": list(noise_reasons(None, load.share, watch.state.other_processes if watch.state else None)),
        },
    )


def _counted(parameters: ParameterCount, flops: FlopCount, stated: StatedCosts) -> Efficiency:
    """Take what a learner states of itself, else what was counted; zero means that nothing could be seen."""
    total = (parameters.total or None) if stated.parameters is None else stated.parameters
    return Efficiency(
        parameters_total=total,
        parameters_trainable=None if total is None else parameters.trainable,
        flops=(flops.total or None) if stated.flops is None else stated.flops,
    )


def _answer(learner: Learner, visual_tokens: VisualTokens, indices: Sequence[int]) -> None:
    """Answer as if these samples were met for the first time."""
    from harness.protocols import SupportsForget

    if isinstance(learner, SupportsForget):
        learner.forget()
    learner.predict(visual_tokens.batch(indices, with_targets=False))


def _latency(
    learner: Learner, visual_tokens: VisualTokens, options: MeasureOptions, progress: Progress
) -> LatencySummary:
    order = cycle(range(len(visual_tokens)))
    total = options.warmups + options.runs
    calls, beat = iter(range(total)), Heartbeat(progress, "timing single samples")

    def call() -> None:
        done = next(calls, total)
        if done % 10 == 0:
            progress("timing single samples", done, total)
        beat()
        _answer(learner, visual_tokens, [next(order)])

    workload = calibration_workload(visual_tokens.device)
    return time_calls(call, options.warmups, options.runs, visual_tokens.device, workload)


def _throughput(
    learner: Learner, visual_tokens: VisualTokens, options: MeasureOptions, progress: Progress
) -> Throughput:
    size = min(options.throughput_batch, len(visual_tokens))
    what = f"timing batches of {size}"
    progress(what, 0, 0)
    indices, beat = list(range(size)), Heartbeat(progress, what)

    def call() -> None:
        beat()
        _answer(learner, visual_tokens, indices)

    return time_throughput(
        call,
        size,
        options.throughput_runs,
        visual_tokens.device,
    )

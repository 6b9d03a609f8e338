"""Measures what a learner costs, from uint8 pixels to prediction, tower included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from harness.cell import MeasureOptions
from harness.jobs.heartbeat import Heartbeat
from harness.measure.device import DevicePeak, synchronize
from harness.measure.energy import energy_sources, joules_per_sample, measure_energy
from harness.measure.flops import FlopCount, count_flops
from harness.measure.foreign_load import ForeignLoad, noise_reasons
from harness.measure.latency import LatencySummary, time_calls
from harness.measure.machine import describe_machine
from harness.measure.memory import PeakMemory, PeakMeter, with_device_peak
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
    learner: Learner,
    visual_tokens: VisualTokens,
    options: MeasureOptions,
    meter: PeakMeter,
    progress: Progress,
    *,
    counts: bool = True,
) -> Efficiency:
    """Count parameters and FLOPs, time single samples and one batch; latency is at batch 1.

    A learner without a single parameter or operation of torch has others that cannot be seen: what it does not state
    of them (`Costed`) is absent; without `counts` nothing is counted. Without `options.timed` latency, throughput and
    memory are absent too.

    Successive calls take different samples, since the length of an answer moves its time. The pixels of all of them
    are decoded and fitted into memory before the clock starts, whatever is cached; everything after that is inside it.
    `meter` has been running since before the learner was built. On an accelerator the peak memory is what tensors took
    at batch 1, weights included; what they took at the throughput's batch, and what the allocator reserved, is noted.
    """
    import torch

    device = visual_tokens.device
    progress("reading what is measured on", 0, 0)
    visual_tokens = visual_tokens.in_memory(_samples_met(options))
    module: Any = learner
    parameters = _parameters(learner) if counts else None
    stated = learner.stated_costs() if isinstance(learner, Costed) else StatedCosts()
    module.requires_grad_(False)  # torch's operation counter fails on a parameter that a module is called with
    with torch.inference_mode(), ForeignLoad() as load:
        progress("counting operations", 0, 0)
        # What is read once for all samples, such as class names, is no sample's cost.
        answer_afresh(learner, visual_tokens, [0])
        counted = Efficiency()
        if parameters is not None:
            counted = _counted(parameters, count_flops(lambda: answer_afresh(learner, visual_tokens, [0])), stated)
        if not options.timed:
            why = "latency, throughput and memory (--no-measure)"
            return replace(counted, notes={"not_measured": why, "machine_label": describe_machine(device).label})
        watch = GpuWatch(device)
        watch.look()
        latency, alone = with_device_peak(device, lambda: _latency(learner, visual_tokens, options, progress))
        watch.look()  # while the clocks are those of the timed calls
        throughput, batched = with_device_peak(device, lambda: _throughput(learner, visual_tokens, options, progress))
        watch.look()
        energy = _energy(learner, visual_tokens, options, progress)
    memory = meter.read()
    machine = describe_machine(device)
    return replace(
        counted,
        latency_p50_seconds=latency.p50,
        latency_p95_seconds=latency.p95,
        latency_runs=latency.runs,
        throughput_per_second=throughput.per_second,
        throughput_batch=throughput.batch_size,
        peak_memory_bytes=alone.allocated_bytes if alone else memory.peak_rss_bytes,
        memory_added_bytes=alone.allocated_bytes if alone else memory.added_bytes,
        energy_joules=joules_per_sample(energy, device),
        notes={
            "machine": machine.to_json(),
            "machine_label": machine.label,
            "memory": _memory(memory, alone, batched, throughput.batch_size),
            "energy": energy,
            "warm_up": {"latency": asdict(latency.warm_up), "throughput": asdict(throughput.warm_up)},
            "first_call_seconds": latency.first_seconds,
            "latency_iqr_over_median": latency.iqr_over_median,
            "calibrated_latency": None if latency.calibrated is None else latency.calibrated.to_json(),
            **({} if watch.state is None else {"gpu_state": watch.state.to_json()}),
            "foreign_cpu_share": load.share,
            # The calls answer different samples, so their spread is not noise: only what others did counts here.
            "noisy": list(noise_reasons(None, load.share, watch.state.other_processes if watch.state else None)),
        },
    )


def counted_costs(learner: Learner, visual_tokens: VisualTokens) -> Efficiency:
    """Count a learner's parameters and operations, and nothing else."""
    import torch

    parameters = _parameters(learner)
    with torch.inference_mode():
        answer_afresh(learner, visual_tokens, [0])
        flops = count_flops(lambda: answer_afresh(learner, visual_tokens, [0]))
    return _counted(parameters, flops, learner.stated_costs() if isinstance(learner, Costed) else StatedCosts())


def _parameters(learner: Learner) -> ParameterCount:
    groups = learner.parameter_groups()
    trained = [parameter for named in (groups.language, groups.vision, groups.new) for _, parameter in named]
    module: Any = learner
    return count_parameters(module, trained)


def _energy(
    learner: Learner, visual_tokens: VisualTokens, options: MeasureOptions, progress: Progress
) -> dict[str, Any]:
    """What batches of the throughput take by the machine's counters; absent with the reason where it has none."""
    device = visual_tokens.device
    sources, why = energy_sources(device)
    if not sources:
        return {"absent": why}
    size = min(options.throughput_batch, len(visual_tokens))
    indices, beat = list(range(size)), Heartbeat(progress, "measuring energy")

    def work() -> None:
        beat()
        answer_afresh(learner, visual_tokens, indices)
        synchronize(device)

    return {"sources": [use.to_json() for use in measure_energy(sources, work, size)]}


def _memory(
    process: PeakMemory, alone: DevicePeak | None, batched: DevicePeak | None, batch_size: int
) -> dict[str, Any]:
    """Tell the peaks of answering apart: what depends on the batch, and what the allocator keeps, is said as such."""
    if alone is None or batched is None:
        return asdict(process)
    return {
        **asdict(process),
        "allocated_bytes": alone.allocated_bytes,
        "allocated_batch_bytes": batched.allocated_bytes,
        "batch_size": batch_size,
        "reserved_bytes": max(alone.reserved_bytes, batched.reserved_bytes),
    }


def _samples_met(options: MeasureOptions) -> int:
    """How many samples of a split the calls meet: each single one another, and then a batch."""
    return max(max(1, options.warmups) + options.runs, options.throughput_batch) if options.timed else 1


def _counted(parameters: ParameterCount, flops: FlopCount, stated: StatedCosts) -> Efficiency:
    """Take what a learner states of itself, else what was counted; zero means that nothing could be seen."""
    total = (parameters.total or None) if stated.parameters is None else stated.parameters
    return Efficiency(
        parameters_total=total,
        parameters_trainable=None if total is None else parameters.trainable,
        flops=(flops.total or None) if stated.flops is None else stated.flops,
    )


def answer_afresh(learner: Learner, visual_tokens: VisualTokens, indices: Sequence[int]) -> None:
    """Answer as if these samples were met for the first time."""
    from harness.protocols import SupportsForget

    if isinstance(learner, SupportsForget):
        learner.forget()
    learner.predict(visual_tokens.batch(indices, with_targets=False))


def _latency(
    learner: Learner, visual_tokens: VisualTokens, options: MeasureOptions, progress: Progress
) -> LatencySummary:
    total, count = options.warmups + options.runs, len(visual_tokens)
    beat = Heartbeat(progress, "timing single samples")

    def call(number: int) -> None:
        if number % 10 == 0:
            progress("timing single samples", number, total)
        beat()
        answer_afresh(learner, visual_tokens, [number % count])

    workload = _in_fp32(calibration_workload(visual_tokens.device), visual_tokens.device)
    return time_calls(call, options.warmups, options.runs, visual_tokens.device, workload)


def _in_fp32(workload: Callable[[], Any], device: str) -> Callable[[], Any]:
    """Keep what latencies are divided by the same in whatever precision the learner answers."""
    import torch

    kind = device.partition(":")[0]
    if not torch.is_autocast_enabled(kind):
        return workload

    def plain() -> None:
        with torch.autocast(kind, enabled=False):
            workload()

    return plain


def _throughput(
    learner: Learner, visual_tokens: VisualTokens, options: MeasureOptions, progress: Progress
) -> Throughput:
    size = min(options.throughput_batch, len(visual_tokens))
    what = f"timing batches of {size}"
    progress(what, 0, 0)
    indices, beat = list(range(size)), Heartbeat(progress, what)

    def call() -> None:
        beat()
        answer_afresh(learner, visual_tokens, indices)

    return time_throughput(
        call,
        size,
        options.throughput_runs,
        visual_tokens.device,
    )

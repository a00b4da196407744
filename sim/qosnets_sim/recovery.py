"""Faults in the middle of inferences: none may hang the accelerator, and none may leave a trace."""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from qosnets.cycles import job_cycles

from .bench import Bench
from .network import Job
from .records import with_last
from .results import Comparison
from .words import Status

__all__ = ["check_recovery"]

STALLS = (0.0, 0.3, 0.8)
_MAX_EXTRA_BEATS = 20

Expect = Callable[[str, Any, Any], None]


async def check_recovery(bench: Bench, rules: Comparison, n_faults: int) -> None:
    """Run ``n_faults`` random faults, an inference after each of them compared in every value."""
    random, host = bench.random, bench.host
    stalls = host.stalls
    faults: tuple[Callable[[Bench, Expect], Awaitable[None]], ...] = (
        _wrong_last,
        _soft_reset,
        _reset,
        _illegal_requests,
    )
    for number in range(n_faults):
        fault = faults[number % len(faults)]

        def expect(rule: str, expected: Any, found: Any, name: str = fault.__name__) -> None:
            rules.check(f"recovery, {name[1:]}: {rule}", np.array([expected]), np.array([found]))

        host.stall(float(random.choice(STALLS)))
        # Layers before the fault: it may come anywhere in an inference.
        for layer in range(int(random.integers(bench.network.n_layers))):
            await bench.run_drawn_layer((await host.points()).active, layer, last=False)
        await fault(bench, expect)
        expect("nothing runs and no error is left", Status(0), await host.status())
        point = int(random.integers(bench.network.n_points))
        await host.request_point(point)
        await host.idle()
        await bench.run_drawn_inference(point)
    host.stall(stalls)


def _draw_job(bench: Bench, *, last: bool) -> Job:
    """Return a job of a random layer."""
    return bench.network.draw_job(int(bench.random.integers(bench.network.n_layers)), last=last)


async def _start(bench: Bench, *, last: bool) -> Job:
    """Start a job and let it run for a random time."""
    job = _draw_job(bench, last=last)
    predicted = job_cycles(bench.network.tilings[job.layer], job.positions)
    bench.start_job(job)
    await bench.host.jobs_accepted()
    cycles = int(predicted / (1 - bench.host.stalls))
    await bench.host.player.run(int(bench.random.integers(1, cycles + 1)))
    return job


async def _wrong_last(bench: Bench, expect: Expect) -> None:
    """Let a stream of a job end early, or late, and go on or not."""
    random, host = bench.random, bench.host
    job = bench.network.draw_job(
        int(random.integers(bench.network.n_layers)), last=bool(random.integers(2))
    )
    bench.start_job(job)
    name = str(random.choice(["weights", "activations"]))
    beats = with_last(bench.network.beats(job)[name])
    if len(beats) > 1 and random.random() < 0.5:
        error, at = Status.STREAM_SHORT, int(random.integers(len(beats) - 1))
        beats[at, -1] = 1
        if random.random() < 0.5:
            beats = beats[: at + 1]
    else:
        error, extra = Status.STREAM_LONG, int(random.integers(_MAX_EXTRA_BEATS))
        beats[-1, -1] = 0
        beats = np.concatenate([beats, np.repeat(beats[-1:], extra, axis=0)])
    host.player[name].send(beats)
    await host.jobs_accepted()
    await host.player.finish("weights", "activations")
    expect("it is noticed", Status.FAULTED | error, await host.status() & ~Status.BUSY)
    await host.recover()


async def _soft_reset(bench: Bench, expect: Expect) -> None:
    await _start(bench, last=bool(bench.random.integers(2)))
    await bench.host.recover()


async def _reset(bench: Bench, expect: Expect) -> None:
    await _start(bench, last=bool(bench.random.integers(2)))
    await bench.host.reset()
    points = await bench.host.points()
    expect("the first operating point is back", (0, 0, 0), points)
    await bench.load_layers()


async def _illegal_requests(bench: Bench, expect: Expect) -> None:
    """Ask for what is illegal while a job runs, which must not feel it."""
    host = bench.host
    point = (await host.points()).active
    job = await _start(bench, last=True)
    expect("the point is refused", False, await host.request_point(bench.network.n_points))
    wrong_job = ("JOB_LAYER", bench.network.n_layers)
    expect("the job is refused", False, await host.registers.try_write(wrong_job))
    await bench.finish_job(point, job)
    errors = Status.WRONG_POINT | Status.WRONG_JOB
    expect("both errors are set", errors, await host.status())
    await host.registers.write(("ERROR_CLEAR", errors))

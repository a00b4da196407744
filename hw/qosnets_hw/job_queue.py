"""Jobs that wait for the array."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import job_layout

__all__ = ["JOB_QUEUE_DEPTH", "JobQueue"]

JOB_QUEUE_DEPTH = 4
"""Jobs that can wait: software prepares the next ones while the array computes."""


class JobQueue(wiring.Component):
    """Queue between the registers that describe a job and the array.

    A job is offered in the cycle after its push at the earliest. :data:`JOB_QUEUE_DEPTH` jobs
    fit; one that is pushed while ``full`` is lost, so who pushes looks first.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    job, push : ``In(job_layout)``, ``In(1)``
        A job, and a strobe that queues it.
    drain : ``In(1)``
        The jobs that wait are dropped and no further one fits.
    free, full : ``Out``
        Jobs that fit; whether none does.
    jobs : ``Out(stream.Signature(job_layout))``
        In the order of the pushes.
    """

    module_name = "job_queue"

    def __init__(self, *, config: ArrayConfig):
        self._layout = job_layout(config)
        super().__init__(
            {
                "job": In(self._layout),
                "push": In(1),
                "drain": In(1),
                "free": Out(range(JOB_QUEUE_DEPTH + 1)),
                "full": Out(1),
                "jobs": Out(stream.Signature(self._layout)),
            }
        )

    def elaborate(self, platform):
        """Return the queue."""
        m = Module()
        queue = fifo.SyncFIFO(width=self._layout.size, depth=JOB_QUEUE_DEPTH)
        m.submodules.queue = ResetInserter(self.drain)(queue)
        m.d.comb += [
            self.full.eq(~queue.w_rdy | self.drain),
            queue.w_data.eq(self.job),
            queue.w_en.eq(self.push),
            self.jobs.payload.eq(queue.r_data),
            self.jobs.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.jobs.ready),
        ]
        with m.If(~self.drain):
            m.d.comb += self.free.eq(JOB_QUEUE_DEPTH - queue.level)
        return m

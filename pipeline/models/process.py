"""Set-up of a process that masks, and its number of GPUs, without importing torch."""

from __future__ import annotations

from pipeline.models.engine import allocator
from pipeline.models.families import machine


def prepare_process() -> None:
    """Prepare the process for inference; calling it again changes nothing."""
    allocator.keep_freed_memory()


def count_gpus() -> int:
    """Return the number of NVIDIA devices of this machine; 0 where torch could use none."""
    return machine.count_nvidia_devices() if machine.has_cuda() else 0

"""What a process that masks sets up once, and what it may ask of its machine, without torch."""

from __future__ import annotations

from pipeline.models.engine import allocator
from pipeline.models.families import machine


def prepare_process() -> None:
    """Make the process fit for inference; harmless when called again."""
    allocator.keep_freed_memory()


def count_gpus() -> int:
    """Return the number of NVIDIA devices of this machine; 0 where torch could use none."""
    return machine.count_nvidia_devices() if machine.has_cuda() else 0

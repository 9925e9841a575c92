"""Set-up of a process that masks, and its number of GPUs, without importing torch."""

from __future__ import annotations

from typing import Literal

from pipeline.errors import ModelError
from pipeline.models.engine import allocator
from pipeline.models.families import machine
from pipeline.types import Device


def prepare_process() -> None:
    """Prepare the process for inference; calling it again changes nothing."""
    allocator.keep_freed_memory()


def count_gpus() -> int:
    """Return the number of NVIDIA devices of this machine; 0 where torch could use none."""
    return machine.count_nvidia_devices() if machine.has_cuda() else 0


def composing_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device | None:
    """Return the GPU to compose on; None: the processor, whose kernels need no device.

    Parameters
    ----------
    wanted
        ``auto``: a GPU where there is one.

    Raises
    ------
    ModelError
        A GPU is wanted and there is none.
    """
    if wanted == "cpu" or (wanted == "auto" and not machine.has_cuda()):
        return None
    require_gpu(wanted)
    # It imports torch, which takes seconds.
    from pipeline.models.engine.device import TorchDevice  # noqa: PLC0415

    return TorchDevice("cuda")


def require_gpu(wanted: Literal["auto", "cpu", "cuda"]) -> None:
    """Make sure that there is a GPU where one is wanted; cheap, because torch is not imported.

    Raises
    ------
    ModelError
        There is none.
    """
    if wanted == "cuda" and not machine.has_cuda():
        raise ModelError(
            "composite.device is 'cuda', but torch finds no usable GPU in this process; "
            "set it to 'auto' or 'cpu', or run where the GPU is"
        )

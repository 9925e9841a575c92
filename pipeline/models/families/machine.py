"""Detects what the machine can compute without importing torch, since a plan needs to know before torch is loaded."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from pathlib import Path
from typing import Any

# Names of CPU flags that Linux reports where a bfloat16 product is one instruction.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
_AVX512_FLAGS = frozenset({"avx512bw", "avx512vl", "avx512dq"})


@functools.cache
def has_fast_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the CPU multiplies bfloat16 natively; elsewhere it is emulated, and slower.

    Parameters
    ----------
    cpuinfo
        Where Linux lists its CPU flags; absent on other systems, which counts as no.
    """
    return not _BF16_FLAGS.isdisjoint(_cpu_flags(cpuinfo))


@functools.cache
def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether oneDNN's bfloat16 convolutions run on the CPU at all, emulated or not.

    torch's ``mkldnn_convolution`` checks the same flags on x86; a CPU that does not list its flags there
    counts as able.
    """
    flags = _cpu_flags(cpuinfo)
    return not flags or "avx_ne_convert" in flags or flags >= _AVX512_FLAGS


def _cpu_flags(cpuinfo: Path) -> frozenset[str]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


NO_BFLOAT16 = (
    "option precision is 'bfloat16', which this CPU does not calculate with (it lacks AVX-512); "
    "set precision to 'float32' or 'auto'"
)

NO_GPU = (
    "option device is 'cuda', but torch finds no usable GPU in this process; "
    "set device to 'cpu', or run where the GPU is"
)


@functools.cache
def has_cuda() -> bool:
    """Return whether there is an NVIDIA device and the installed torch was built for one.

    `torch.cuda.is_available` decides when a model is loaded.
    """
    return _torch_knows_cuda() and count_nvidia_devices() > 0


def _torch_knows_cuda() -> bool:
    # Finding a top-level package does not import it.
    spec = importlib.util.find_spec("torch")
    folders = spec.submodule_search_locations if spec else None
    return any(
        (Path(folder) / "lib" / name).is_file()
        for folder in folders or ()
        for name in ("libtorch_cuda.so", "torch_cuda.dll")
    )


def count_nvidia_devices() -> int:
    """Return how many NVIDIA devices the driver reports."""
    # NVML counts devices without opening one: after cuInit a process can no longer fork.
    count = ctypes.c_uint(0)
    nvml = _nvml()
    known = nvml is not None and nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0
    return count.value if known else 0


def compute_capability() -> tuple[int, int]:
    """Return the CUDA compute capability (major, minor) of the first NVIDIA device; (0, 0) if there is none."""
    major, minor, device = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_void_p()
    nvml = _nvml()
    known = (
        nvml is not None
        and nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) == 0
        and nvml.nvmlDeviceGetCudaComputeCapability(
            device, ctypes.byref(major), ctypes.byref(minor)
        )
        == 0
    )
    return (major.value, minor.value) if known else (0, 0)


def _nvml() -> Any:  # noqa: ANN401 - a library of the driver
    """Return NVIDIA's management library, initialised; None where there is no driver."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        return nvml if nvml.nvmlInit_v2() == 0 else None
    except (OSError, AttributeError):
        return None

"""The models: from reflectance to classes. The only room that knows torch and ONNX.

::

    names() ─▶ what there is
    resolve(name, level, roles, options) ─▶ ModelCard     instant; torch is not imported
    check(card) ─▶ are its weights here?                  instant
    bytes_needed(card) ─▶ memory, by arithmetic           instant
    load(card) ─▶ Model ─ predict(window) ─▶ codes        once per process; several threads may predict

    registry       who provides which name; one loaded instance of each
    ukis_csmask    cards of DLR's four networks, and where their files are
    machine        what this machine can do
    -- imported by `load` alone: --
    ukis_network   card ─▶ the network of ukis-csmask in torch, its files checked
    onnx_weights   file ─▶ weights and paddings, checked
    unet           weights ─▶ the network in torch, proved to be the same one
    torch_model    network ─▶ Model, on the device that its card asks for
    inference      the network on one window of a CPU, the same answer in any thread
    gpu_model      the network on a batch of a GPU, and what is made of its scores there
    gpu            … and how windows get there and back
    entry          what stands between reflectance and a network
    no_data        what the network sees where there is nothing
    allocator      memory that layers hand to each other
    process        … and what else a process sets up once

Another package adds models by an entry point of the group ``cloudmask.models`` that names a `Provider`.
"""

from pipeline.models.process import count_gpus, prepare_process
from pipeline.models.registry import (
    Provider,
    bytes_needed,
    check,
    check_device,
    load,
    names,
    resolve,
)

__all__ = [
    "Provider",
    "bytes_needed",
    "check",
    "check_device",
    "count_gpus",
    "load",
    "names",
    "prepare_process",
    "resolve",
]

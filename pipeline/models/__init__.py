"""The models: from reflectance to classes. The only room that knows torch and ONNX.

::

    names() ─▶ every model family and model
    resolve(name, level, roles, options) ─▶ ModelCard     instant; torch is not imported
    check(card) ─▶ error if weights are missing           instant
    bytes_needed(card) ─▶ memory, by arithmetic           instant
    load(card) ─▶ Model ─ predict(window) ─▶ codes        once per process; several threads may predict

    registry    the package's own models; one loaded instance of each
    families/   one module per family: names, options, cards      provider.py  finds the provider of a model
    weights/    files of weights, their addresses and checksums   download.py  fetches them
    combined/   ensembles, and test-time augmentation of one model
    -- imported by `load` alone, because torch takes seconds: --
    networks/   each network in torch, with the weights of its file        cpu/  faster or smaller layers
    engine/     runs a network on windows: normalise, fill gaps, CPU, GPU, memory        device.py  lends the GPU to composites

Another package adds models by an entry point of the group ``cloudmask.models`` that names a `Provider`.
"""

from pipeline.models.families.provider import Provider, names
from pipeline.models.process import (
    composing_device,
    count_gpus,
    prepare_process,
    require_gpu,
)
from pipeline.models.registry import bytes_needed, check, check_device, load, resolve

__all__ = [
    "Provider",
    "bytes_needed",
    "check",
    "check_device",
    "composing_device",
    "count_gpus",
    "load",
    "names",
    "prepare_process",
    "require_gpu",
    "resolve",
]

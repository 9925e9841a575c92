"""The models: from reflectance to classes. The only room that knows torch and ONNX.

::

    names() ─▶ what there is
    resolve(name, level, roles, options) ─▶ ModelCard     instant; torch is not imported
    check(card) ─▶ are its weights here?                  instant
    bytes_needed(card) ─▶ memory, by arithmetic           instant
    load(card) ─▶ Model ─ predict(window) ─▶ codes        once per process; several threads may predict

    registry    the package's own models; one loaded instance of each
    families/   a module a family: names, options, cards          provider.py  who has which model
    weights/    files of weights: where they are, what they should be      download.py  … fetched
    combined/   ensembles, and turns and flips of one model
    -- imported by `load` alone, because torch takes seconds: --
    networks/   each network in torch, filled from its file                cpu/  … with less time or memory
    engine/     what runs a network on windows: normalise, fill gaps, CPU, GPU, memory

Another package adds models by an entry point of the group ``cloudmask.models`` that names a `Provider`.
"""

from pipeline.models.families.provider import Provider, names
from pipeline.models.process import count_gpus, prepare_process
from pipeline.models.registry import bytes_needed, check, check_device, load, resolve

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

"""Cards, real windows, and the released graphs themselves as oracle."""

import functools

import numpy as np
import onnx
import onnxruntime
import rasterio

from pipeline import models
from pipeline.models.families import ukis_csmask
from pipeline.models.weights import ukis_csmask as weights

NETWORKS = [(bands, level) for bands in ("6b", "4b") for level in ("L1C", "L2A")]


def card_of(bands, level, **options):
    return models.resolve(
        f"ukis-csmask-{bands}-{level.lower()}",
        level=level,
        roles=ukis_csmask.SIX_BANDS,
        options=options,
    )


def noise_window(n_bands, size, seed=0):
    """Smooth reflectance with some texture, so that all classes occur now and then."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((n_bands, size // 32, size // 32), dtype=np.float32)
    texture = rng.normal(0, 0.03, (n_bands, size, size)).astype(np.float32)
    return np.kron(coarse, np.ones((1, 32, 32), np.float32)) + texture


@functools.cache
def _session(bands, level, float32):
    content = weights.FILES[bands, level].onnx.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if float32:
        content = _as_float32(content)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _as_float32(content):
    """Rewrite a graph whose weights and values are float16 to float32; sizes stay as exported."""
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    model = onnx.load_model_from_string(content)
    del model.graph.value_info[:]
    for tensor in model.graph.initializer:
        if tensor.data_type == half:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = single
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == half:
                array = onnx.numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(array))
    return model.SerializeToString()


def onnx_logits(bands, level, window, *, float32):
    """Run the released graph itself on a window of 256 px, normalised in numpy."""
    card = card_of(bands, level)
    content = weights.FILES[bands, level].json.read_bytes()
    mean, std = (
        np.float32(each)[:, None, None] for each in weights.statistics(content, card.roles)
    )
    session = _session(bands, level, float32)
    x = ((window - mean) / std)[np.newaxis].astype(np.float32)
    return session.run(None, {session.get_inputs()[0].name: x})[0][0]


def read_reference(folder, sensor):
    """Six bands of reflectance and the class map, in the networks' own classes."""
    with np.load(folder / "reference" / f"ukis_{sensor}.npz") as data:
        bands, classes = data["img"], data["msk"][..., 0]
    window = np.ascontiguousarray(np.moveaxis(bands, -1, 0))
    return window, np.select([classes == 4, classes == 0], [1, 2], 0)


def read_chip(folder, number):
    """Four bands of surface reflectance and the human cloud label; older than the offset of 2022."""
    with rasterio.open(folder / "labelled" / f"chip_{number}.tif") as source:
        data = source.read()
    return (data[:4] / 1e4).astype(np.float32), data[4].astype(bool)


def real_windows(folder, bands, size=256):
    """One window of each kind; four-band networks also see a human-labelled chip."""
    images = [read_reference(folder, sensor)[0] for sensor in ("sentinel2", "landsat7")]
    if bands == "4b":
        images = [images[0][:4], read_chip(folder, 1)[0]]
    return [
        np.ascontiguousarray(image[:, 128 : 128 + size, 128 : 128 + size]) for image in images
    ]

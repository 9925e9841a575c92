"""Each failure ends in an error that says what to do, or in the mask of an undisturbed run; never in clear."""

import hashlib
import shutil
import threading
from dataclasses import replace

import dask
import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline import models
from pipeline.errors import ModelError
from pipeline.mask import read_geobox
from pipeline.mask.combined import mask_with_confidence
from pipeline.models import registry
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import of_network
from pipeline.models.engine.normalise import ZeroGaps
from pipeline.models.families import dl_l8s2_uv, s2cloudless, ukis_csmask
from pipeline.models.families.dl_l8s2_uv import RGBI
from pipeline.models.families.omnicloudmask import FILES as OCM_FILES
from pipeline.models.weights import files as weights
from pipeline.models.weights import onnx
from pipeline.models.weights import ukis_csmask as weights_of
from pipeline.testing import ThresholdModel
from pipeline.types import Code, Lattice

ROLES = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")
BANDS = ("blue", "green", "red", "nir")
LATTICE = Lattice(core_px=32, halo_px=16, blend_px=16, shift_px=8)
GEOBOX = GeoBox((150, 170), Affine(20, 0, 0, 0, -20, 0), "EPSG:32632")
PATIENCE_S = 60
"""Nothing here takes a second of work."""

WORLD = np.random.default_rng(4).random((4, 260, 280), dtype=np.float32)
"""(role, y, x), what a lattice reads for `GEOBOX` and more."""
SPOT = 120, 110
"""(y, x) of a pixel in the middle of the world."""


def masked(model, world=WORLD, threads=3, bands=BANDS):
    """Codes and confidence (2, y, x), or what was raised: it ends, or the test fails."""
    reads = read_geobox(model.card.lattice, GEOBOX)
    height, width = reads.shape
    cube = xr.Dataset(
        {
            role: (("time", "y", "x"), da.from_array(band[None, :height, :width], (1, 50, 60)))
            for role, band in zip(bands, world, strict=True)
        },
        xr_coords(reads),
    )
    for role in bands:
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    ended = []

    def run():
        try:
            with dask.config.set(scheduler="threads", num_workers=threads):
                made = dask.compute(*mask_with_confidence(cube, model, GEOBOX))
            ended.append(np.stack(made)[:, 0])
        except Exception as error:  # noqa: BLE001 - raised again below
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert ended, "the run hangs"
    if isinstance(ended[0], Exception):
        raise ended[0]
    return ended[0]


class Bright(ThresholdModel):
    """Never calls a pixel clear unless it was asked about it; `disturb` sees each window first."""

    def __init__(self, disturb, batch):
        super().__init__(LATTICE, BANDS, batch=batch)
        self.disturb = disturb

    def predict(self, windows):
        for window in windows:
            self.disturb(window)
        return super().predict(windows)


def touched(window):
    """Whether the window sees the marked pixel."""
    return bool((window[0] == 9).any())


@pytest.fixture
def marked():
    world = WORLD.copy()
    world[0][SPOT] = 9
    return world


# -- a window that fails -----------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad luck"),
        MemoryError("no memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("device lost"),
        StopIteration("not a failure to some"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_one_failing_window_fails_the_mask_and_never_hangs(marked, threads, batch, error):
    def disturb(window):
        if touched(window):
            raise error

    with pytest.raises(
        ModelError, match=f"model threshold failed in the window .*{type(error).__name__}"
    ):
        masked(Bright(disturb, batch), marked, threads)


@pytest.mark.parametrize("batch", [1, 3])
def test_after_a_failure_the_model_goes_on(marked, batch):
    """What waited in the queue with the window that failed does not wait for ever."""
    failing = [True]

    def disturb(window):
        if failing[0] and touched(window):
            raise ValueError("bad luck")

    model = Bright(disturb, batch)
    with pytest.raises(ModelError, match="bad luck"):
        masked(model, marked)
    failing[0] = False
    np.testing.assert_array_equal(masked(model, marked), masked(Bright(len, 1), marked))


# -- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("batch", [1, 3])
def test_infinite_reflectance_is_named_with_its_window(value, batch):
    world = WORLD.copy()
    world[1][SPOT] = value
    with pytest.raises(ModelError, match="1 infinite reflectances in the window of scene 0 at"):
        masked(Bright(len, batch), world)


@pytest.mark.parametrize("batch", [1, 3])
def test_windows_of_nothing_are_no_data_and_never_run(batch):
    def disturb(window):
        assert not np.isnan(window).all(axis=0).all()

    world = WORLD.copy()
    world[:, :, 100:] = np.nan
    codes, sure = masked(Bright(disturb, batch), world)
    reads = read_geobox(LATTICE, GEOBOX)
    gap = 100 - round((GEOBOX.transform.c - reads.transform.c) / 20)
    assert (codes[:, gap:] == Code.NO_DATA).all()
    assert (sure[:, gap:] == 0).all()
    assert (codes[:, :gap] != Code.NO_DATA).all()


def test_a_band_that_is_nothing_everywhere_makes_no_data():
    def disturb(window):
        raise AssertionError("asked about nothing")

    world = WORLD.copy()
    world[2] = np.nan
    assert (masked(Bright(disturb, 1), world)[0] == Code.NO_DATA).all()


def test_a_missing_band_is_named():
    with pytest.raises(
        ModelError, match="model threshold needs red, nir, which the cube lacks"
    ):
        masked(ThresholdModel(LATTICE, BANDS), WORLD[:2], bands=BANDS[:2])


# -- memory of a device ------------------------------------------------------------------------


class Cramped(torch.nn.Module):
    """Adds up bands; has room for a few windows at a time, and after some batches for fewer."""

    def __init__(self, rooms):
        super().__init__()
        self.rooms = list(rooms)
        self.largest = []

    def forward(self, x):
        room = self.rooms.pop(0) if len(self.rooms) > 1 else self.rooms[0]
        if len(x) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.largest.append(len(x))
        total = x.sum(dim=1)
        return torch.stack([total, 4 - total, total * 0 + 2.3], dim=1)


def on_device(rooms, batch):
    net = Cramped(rooms)
    card = replace(
        ThresholdModel(LATTICE, BANDS, batch=batch).card,
        scores="logits",
        options={"device": "cuda", "precision": "float32"},
    )
    return of_network(card, net, ZeroGaps(), stride=32, gaps=fill_gaps.as_it_is), net


@pytest.mark.parametrize("rooms", [[2], [8, 8, 3, 1], [8, 4, 2, 1]])
def test_a_device_out_of_memory_takes_fewer_windows_and_gives_the_same_mask(
    gpu_stand_in, rooms
):
    calm, _ = on_device([8], 8)
    expected = masked(calm)
    model, net = on_device(rooms, 8)
    np.testing.assert_array_equal(masked(model), expected)
    assert len(np.unique(expected[0])) == 3
    assert max(net.largest[-3:]) <= rooms[-1]


@pytest.mark.parametrize("rooms", [[2], [8, 3, 1]])
def test_no_window_is_lost_when_memory_runs_out_between_batches(gpu_stand_in, rooms):
    """A window that is never run has scores of zero, and would be of the first class: clear."""
    calm, _ = on_device([8], 8)
    model, _ = on_device(rooms, 8)
    edge = LATTICE.window_px
    windows = np.random.default_rng(3).random((20, len(BANDS), edge, edge), dtype=np.float32)
    np.testing.assert_array_equal(model.predict(windows), calm.predict(windows))


def test_a_device_without_room_for_one_window_is_an_error(gpu_stand_in):
    model, _ = on_device([0], 8)
    with pytest.raises(ModelError, match=r"runs out of memory .* set device to 'cpu'"):
        masked(model)


# -- weights -----------------------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache of weights, and nothing loaded yet."""
    monkeypatch.setattr(weights, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setattr(registry, "_loaded", {})
    folder = tmp_path / "cloudmask" / "models"
    folder.mkdir(parents=True)
    return folder


def damaged(content, how):
    if how == "cut off":
        return content[: len(content) // 2]
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def resolve(name, **options):
    level = "L1C" if name.startswith("dl-") else "L2A"
    return models.resolve(name, level=level, roles=ROLES, options=options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (RGBI, {}),
        ("omnicloudmask", {}),
        ("tta", {"model": "omnicloudmask"}),
        ("ensemble", {"members": ["ukis-csmask", "omnicloudmask"]}),
        ("ensemble", {"members": [{"model": "tta", "options": {"model": "omnicloudmask"}}]}),
    ],
)
def test_missing_weights_are_found_before_anything_is_read(cache, name, options):
    card = resolve(name, **options)
    missing = RGBI if name == RGBI else "omnicloudmask"
    what_to_do = f"not on this machine: .*run `cloudmask models fetch {missing}` once, or set"
    with pytest.raises(ModelError, match=what_to_do):
        registry.check(card)
    with pytest.raises(ModelError, match=what_to_do):
        models.load(card)


def test_weights_that_are_there_pass_the_check(cache, shared_data):
    registry.check(resolve("ukis-csmask"))
    registry.check(models.resolve("scl", level="L2A", roles=["scl"]))
    registry.check(resolve(RGBI, weights=str(shared_data / "weights")))
    for name in (RGBI, dl_l8s2_uv.RGBISWIR):
        shutil.copy(shared_data / "weights" / dl_l8s2_uv.FILES[name].name, cache)
        registry.check(resolve(name))


@pytest.mark.parametrize("how", ["cut off", "changed"])
@pytest.mark.parametrize("name", [RGBI, "omnicloudmask"])
def test_damaged_weights_in_the_cache_are_refused(cache, shared_data, name, how):
    files = OCM_FILES if name == "omnicloudmask" else (dl_l8s2_uv.FILES[RGBI],)
    for each in files:
        # Whatever it is, it is not what was published.
        whole = bytes(each.size_bytes)
        if name == RGBI:
            whole = (shared_data / "weights" / each.name).read_bytes()
        (cache / each.name).write_bytes(damaged(whole, how))
    card = resolve(name)
    with pytest.raises(ModelError, match=f"have the checksum .* models fetch {name}` again"):
        models.load(card)
    if how == "cut off":
        with pytest.raises(
            ModelError, match=f"are damaged: .* bytes instead of {each_size(files)}"
        ):
            registry.check(card)


def each_size(files):
    return files[0].size_bytes


@pytest.mark.parametrize("how", ["cut off", "changed"])
def test_own_weights_that_are_damaged_are_refused(cache, shared_data, tmp_path, how):
    """Their checksum is their own, so that only what they hold can tell."""
    source = (shared_data / "weights" / dl_l8s2_uv.FILES[RGBI].name).read_bytes()
    path = tmp_path / "own.hdf5"
    path.write_bytes(damaged(source, "cut off"))
    if how == "cut off":
        with pytest.raises(ModelError, match="no Keras HDF5 file"):
            models.load(resolve(RGBI, weights=str(path)))
        return
    path.write_bytes(source)
    card = resolve(RGBI, weights=str(path))
    path.write_bytes(damaged(source, "changed"))
    with pytest.raises(ModelError, match="changed since the model was chosen"):
        models.load(card)


@pytest.mark.parametrize("how", ["cut off", "changed"])
def test_a_damaged_package_is_refused(cache, monkeypatch, tmp_path, how):
    """ukis-csmask brings its weights along."""
    card = resolve("ukis-csmask-4b-l2a")
    files = ukis_csmask.FILES["4b", "L2A"]
    whole = files.onnx.read_bytes()
    (tmp_path / files.onnx.name).write_bytes(damaged(whole, how))
    shutil.copy(files.json, tmp_path)
    monkeypatch.setattr(weights_of, "package_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="is damaged or of another release: expected sha256"):
        models.load(card)
    (tmp_path / files.onnx.name).unlink()
    with pytest.raises(ModelError, match="is missing; install ukis-csmask"):
        resolve("ukis-csmask-4b-l2a")


def test_what_has_the_right_checksum_is_still_read_with_care():
    with pytest.raises(ModelError, match="junk"):
        onnx.parse(b"no ONNX at all", "junk")


def test_damaged_trees_are_refused(cache, monkeypatch, tmp_path):
    pytest.importorskip("lightgbm", reason="the extra s2cloudless is not installed")
    roles = s2cloudless.ROLES
    card = models.resolve("s2cloudless", level="L1C", roles=roles)
    path = tmp_path / "trees.txt"
    path.write_bytes(b"tree")
    monkeypatch.setattr(s2cloudless, "trees_file", lambda: path)
    found = hashlib.sha256(b"tree").hexdigest()
    with pytest.raises(ModelError, match=f"have the checksum {found} instead of .* install"):
        models.load(card)


def test_a_model_that_failed_to_load_can_be_loaded_later(cache, shared_data):
    card = resolve(RGBI)
    with pytest.raises(ModelError, match="not on this machine"):
        models.load(card)
    shutil.copy(shared_data / "weights" / dl_l8s2_uv.FILES[RGBI].name, cache)
    assert models.load(card).card == card

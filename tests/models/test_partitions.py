"""Any partition, same mask: every model here through the mask room, whole and in pieces, in any threads.

Bit for bit, codes and confidence: no model needs the allowance of a pixel in a million. Networks keep
their weights and get smaller windows than their own, so that a small scene has many.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.models import names, registry
from pipeline.models.combined import members as combining
from pipeline.models.combined.ensemble import EnsembleModel
from pipeline.models.combined.tta import TtaModel
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import of_network
from pipeline.models.engine.normalise import OwnStatistics
from pipeline.models.families.dl_l8s2_uv import RGBI, RGBISWIR
from pipeline.models.networks import dynamic_unet, omnicloudmask_earlier
from pipeline.models.networks.omnicloudmask import Ensemble as MeanOfNetworks
from pipeline.models.networks.omnicloudmask import architecture, fold
from pipeline.models.weights.omnicloudmask import NETWORKS
from pipeline.models.weights.omnicloudmask_earlier import RELEASES
from pipeline.types import Code, Lattice
from tests.models import recipe
from tests.models.worlds import ORIGIN, OnLattice, box, masked, on_lattice, real, simulated

BLENDED = Lattice(core_px=64, halo_px=16, blend_px=16, shift_px=24)
CARRIED = Lattice(core_px=64, halo_px=24)

# -- models ------------------------------------------------------------------------------------


def resolved(name, world, level="L1C", **options):
    return registry.resolve(name, level=level, roles=set(world), options=options)


def of_product(name):
    def load(world, shared_data):
        card = resolved(name, world, "L2A")
        return registry.load(card), Lattice(core_px=32, halo_px=0)

    return load


def of_ukis(name, level):
    def load(world, shared_data):
        return registry.load(resolved(name, world, level)), BLENDED

    return load


def of_dl_l8s2_uv(name):
    def load(world, shared_data):
        card = resolved(name, world, weights=str(shared_data / "weights"))
        return registry.load(card), CARRIED

    return load


def of_cloudmask_si(world, shared_data):
    """On windows of its own stride; in jobs they are wider."""
    return registry.load(resolved("cloudmask-si", world)), Lattice(core_px=64, halo_px=32)


def of_s2cloudless(world, shared_data):
    pytest.importorskip("lightgbm", reason="the extra s2cloudless is not installed")
    pytest.importorskip("s2cloudless", reason="the extra s2cloudless is not installed")
    return registry.load(resolved("s2cloudless", world)), Lattice(core_px=48, halo_px=2)


def of_omnicloudmask(world, shared_data):
    """Both networks, with random weights."""
    torch.manual_seed(0)
    nets = [architecture(network).eval().requires_grad_(False) for network in NETWORKS]
    # Random batch norms, or there is nothing to fold; a sharp last layer, or all is one class.
    for net in nets:
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    folded = [fold(net, network) for net, network in zip(nets, NETWORKS, strict=True)]
    # As `load` has it: what lies far beyond the data is not run.
    return of_networks(folded, world, fill_gaps.only_cut), BLENDED


def of_release_3(world, shared_data):
    """Both networks, with weights by a formula."""
    nets = []
    for network in RELEASES["3"]:
        net = dynamic_unet.build(network.encoder, 3, 4)
        layout = {name: tuple(each.shape) for name, each in net.state_dict().items()}
        state = recipe.state(layout)
        net.load_state_dict({name: torch.from_numpy(each) for name, each in state.items()})
        net.eval().requires_grad_(False)
        nets.append(omnicloudmask_earlier.fold(net, network))
    return of_networks(nets, world, fill_gaps.only_cut), BLENDED


def of_windows(world, shared_data):
    """The normalisation of omnicloudmask, by what a window holds, before one convolution."""
    torch.manual_seed(0)
    nets = [torch.nn.Conv2d(3, 4, 5, padding=2).requires_grad_(False) for _ in range(2)]
    return of_networks(nets, world), Lattice(core_px=64, halo_px=32, blend_px=32, shift_px=24)


def of_networks(nets, world, gaps=fill_gaps.as_it_is, **options):
    card = replace(resolved("omnicloudmask", world, **options), batch=3)
    return of_network(card, MeanOfNetworks(nets), OwnStatistics(), stride=32, gaps=gaps)


def of_windows_on_a_gpu(world, shared_data):
    """The same where a device has them: with a stand-in for it."""
    torch.manual_seed(0)
    nets = [torch.nn.Conv2d(3, 4, 5, padding=2).requires_grad_(False) for _ in range(2)]
    model = of_networks(nets, world, device="cuda")
    return model, Lattice(core_px=64, halo_px=32, blend_px=32, shift_px=24)


def of_tta(inside):
    def load(world, shared_data):
        inner, lattice = inside(world, shared_data)
        options = {"model": inner.card.name, "options": "{}", "depth": "3"}
        card = replace(inner.card, scores="probabilities", options=options)
        return TtaModel(card, inner), lattice

    return load


def of_ensemble(rule, *inside):
    """Members on lattices of their own."""

    def load(world, shared_data):
        members = [OnLattice(*each(world, shared_data)) for each in inside]
        words = ["qa-pixel"] * len(members)
        card = resolved("ensemble", world, members=words, rule=rule)
        codes = {code for each in members for code in each.card.classes}
        order = (*sum(combining.GROUPS, ()), Code.NO_DATA)
        card = replace(
            card,
            roles=tuple(dict.fromkeys(role for each in members for role in each.card.roles)),
            classes=tuple(code for code in order if code in codes),
        )
        return EnsembleModel(card, members), None

    return load


UKIS = {
    f"ukis-csmask-{bands}-{level.lower()}": of_ukis(
        f"ukis-csmask-{bands}-{level.lower()}", level
    )
    for bands in ("6b", "4b")
    for level in ("L1C", "L2A")
}
QUICK = {
    "scl": of_product("scl"),
    "qa-pixel": of_product("qa-pixel"),
    "fmask": of_product("fmask"),
    "dea-fmask": of_product("dea-fmask"),
    "windows": of_windows,
    "windows-on-a-gpu": of_windows_on_a_gpu,
    "tta": of_tta(of_windows),
    "ensemble": of_ensemble("mean", of_windows, of_product("qa-pixel"), of_dl_l8s2_uv(RGBI)),
    RGBI: of_dl_l8s2_uv(RGBI),
    RGBISWIR: of_dl_l8s2_uv(RGBISWIR),
}
HEAVY = {
    **UKIS,
    "cloudmask-si": of_cloudmask_si,
    "omnicloudmask": of_omnicloudmask,
    "omnicloudmask-3": of_release_3,
    "s2cloudless": of_s2cloudless,
}
SLOW = {
    "tta-ukis": of_tta(UKIS["ukis-csmask-4b-l2a"]),
    "ensemble-of-jobs": of_ensemble("mean", UKIS["ukis-csmask-6b-l1c"], of_cloudmask_si),
    "ensemble-union": of_ensemble("union", UKIS["ukis-csmask-6b-l1c"], of_omnicloudmask),
}
EVERY = {**QUICK, **HEAVY, **SLOW}


def test_no_model_is_left_out():
    families = {"ukis-csmask", "dl-l8s2-uv"}
    assert set(names()) - families <= set(EVERY)


# -- scenes ------------------------------------------------------------------------------------


@dataclass
class Scenes:
    """The worlds, and what was found of them as a whole, each made when it is first asked for."""

    shared_data: Path
    folder: Path

    def __post_init__(self):
        self.worlds, self.models, self.wholes = {}, {}, {}

    def world(self, name):
        if name not in self.worlds:
            real_one = name == "real"
            self.worlds[name] = (
                real(self.shared_data) if real_one else simulated(self.folder / "a")
            )
        return self.worlds[name]

    def model(self, name, batch=1):
        if name not in self.models:
            self.models[name] = EVERY[name](self.world("real"), self.shared_data)
        model, lattice = self.models[name]
        if lattice is not None:
            return on_lattice(model, lattice, batch)
        members = [OnLattice(each.model, each.card.lattice, batch) for each in model.members]
        joint = combining.enclosing_lattice([each.card.lattice for each in members])
        return EnsembleModel(replace(model.card, lattice=joint), members)

    def whole(self, name, world, size):
        """Codes and confidence (2, y, x) in one thread from one chunk; checked to hold a choice."""
        key = name, world, size
        if key not in self.wholes:
            with dask.config.set(scheduler="synchronous"):
                found = masked(self.world(world), self.model(name), box(*CORNER, *size), 640)
            codes = set(np.unique(found[0]).tolist())
            assert int(Code.NO_DATA) in codes
            assert len(codes) >= 3, f"{name} sees one class: no cut could show a difference"
            self.wholes[key] = found
        return self.wholes[key]


@pytest.fixture(scope="module")
def scenes(shared_data, tmp_path_factory, gpu_stand_in):
    threads = torch.get_num_threads()
    yield Scenes(shared_data, tmp_path_factory.mktemp("simulated"))
    torch.set_num_threads(threads)


# -- the law -----------------------------------------------------------------------------------

CORNER = -70, -60
LARGE, SMALL = (200, 232), (112, 120)


@st.composite
def parts(draw, size):
    """A rectangle of the scene: its corner, and its size."""
    corner = tuple(draw(st.integers(0, edge - 1)) for edge in size)
    return corner, tuple(
        draw(st.integers(1, edge - start)) for edge, start in zip(size, corner, strict=True)
    )


means = st.fixed_dictionaries(
    {
        "chunk": st.integers(20, 200),
        "batch": st.integers(1, 5),
        "workers": st.sampled_from([1, 2, 3]),
        "torch_threads": st.sampled_from([1, 2, 3]),
    }
)


def check(scenes, name, world, size, part, how):
    whole = scenes.whole(name, world, size)
    (top, left), (height, width) = part
    torch.set_num_threads(how["torch_threads"])
    scheduler = "synchronous" if how["workers"] == 1 else "threads"
    model = scenes.model(name, how["batch"])
    geobox = box(CORNER[0] + top, CORNER[1] + left, height, width)
    with dask.config.set(scheduler=scheduler, num_workers=how["workers"]):
        found = masked(scenes.world(world), model, geobox, how["chunk"])
    assert np.array_equal(found, whole[:, top : top + height, left : left + width])


def few(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# Begins and ends on no line of any lattice here.
CUT = ((37, 51), (61, 58))
HOW = {"chunk": 45, "batch": 3, "workers": 3, "torch_threads": 2}


# The four networks of ukis-csmask differ by their weights and first layer alone: one of them stands for all here.
REPEATS = set(UKIS) - {"ukis-csmask-6b-l2a"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in REPEATS else name
        for name in (*QUICK, *HEAVY)
    ],
)
def test_a_cut_of_a_real_scene_gives_the_same_mask_and_confidence(scenes, name):
    check(scenes, name, "real", SMALL, CUT, HOW)


@pytest.mark.parametrize("name", QUICK)
@few(2)
@given(world=st.sampled_from(["simulated", "real"]), part=parts(LARGE), how=means)
def test_any_partition_gives_the_same_mask_and_confidence(scenes, name, world, part, how):
    check(scenes, name, world, LARGE, part, how)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
@few(8)
@given(world=st.sampled_from(["real", "simulated"]), part=parts(LARGE), how=means)
def test_any_partition_of_either_world_gives_the_same(scenes, name, world, part, how):
    check(scenes, name, world, LARGE, part, how)


# -- workers -----------------------------------------------------------------------------------


def in_processes(scenes, folder, name, level, options):
    """Mask the two halves of a scene in two processes, of one and of two threads, and join them."""
    world = scenes.world("real")
    model = scenes.model(name)
    np.savez(folder / "world.npz", **{role: world[role] for role in model.card.roles})
    middle = SMALL[1] // 2 + 3
    halves = [(0, middle), (middle, SMALL[1])]
    workers = []
    for number, (start, stop) in enumerate(halves):
        part = [CORNER[0], CORNER[1] + start, SMALL[0], stop - start]
        given_words = [json.dumps(each) for each in (options, asdict(model.card.lattice), part)]
        arguments = [
            folder / "world.npz",
            folder / f"{number}.npy",
            str(1 + number),
            name,
            level,
        ]
        workers.append(
            subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("worker.py")),
                    *(str(each) for each in arguments),
                    *given_words,
                ],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        )
    try:
        assert [worker.wait(timeout=600) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return np.concatenate([np.load(folder / f"{number}.npy") for number in (0, 1)], axis=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "level"),
    [("ukis-csmask-6b-l2a", "L2A"), (RGBISWIR, "L1C"), ("s2cloudless", "L1C")],
)
def test_worker_processes_give_the_same(scenes, shared_data, tmp_path, name, level):
    options = {"weights": str(shared_data / "weights")} if name == RGBISWIR else {}
    found = in_processes(scenes, tmp_path, name, level, options)
    assert np.array_equal(found, scenes.whole(name, "real", SMALL))


# -- models that see a few pixels --------------------------------------------------------------


@pytest.mark.parametrize("name", ["scl", "qa-pixel", "s2cloudless", RGBI, RGBISWIR])
def test_models_that_see_a_few_pixels_equal_the_whole_scene_in_one_pass(scenes, name):
    """Not even the lattice shows: one window as large as the scene gives the same, bit for bit."""
    world, model = scenes.world("real"), scenes.model(name)
    top, left, margin = CORNER[0] - ORIGIN, CORNER[1] - ORIGIN, 24
    # Two poolings: the window has to begin on a multiple of four pixels from the origin.
    top, left = top - (top + ORIGIN - margin) % 4, left - (left + ORIGIN - margin) % 4
    height, width = LARGE
    window = np.stack(
        [
            world[role][
                top - margin : top + height + margin, left - margin : left + width + margin
            ]
            for role in model.card.roles
        ]
    )
    scores = model.predict(window[np.newaxis])[0, :, margin:-margin, margin:-margin]
    expected = np.array(model.card.classes, np.uint8)[scores.argmax(axis=0)]
    missing = np.isnan(window[:, margin:-margin, margin:-margin]).any(axis=0)
    expected[missing] = Code.NO_DATA
    with dask.config.set(scheduler="synchronous"):
        found = masked(world, model, box(top + ORIGIN, left + ORIGIN, height, width), 100)[0]
    assert np.array_equal(found, expected)

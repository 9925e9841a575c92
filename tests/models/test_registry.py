"""Names, levels, bands and options to cards, without torch; one instance per process."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models import registry
from pipeline.models.families import machine, ukis_csmask
from pipeline.models.families import provider as providers
from pipeline.models.weights import ukis_csmask as weights
from pipeline.types import Code

SIX = ukis_csmask.SIX_BANDS
FOUR = ukis_csmask.FOUR_BANDS


@pytest.mark.parametrize(
    ("name", "level", "roles", "expected"),
    [
        ("ukis-csmask", "L1C", SIX, "ukis-csmask-6b-l1c"),
        ("ukis-csmask", "L2A", SIX, "ukis-csmask-6b-l2a"),
        ("ukis-csmask", "L1C", FOUR, "ukis-csmask-4b-l1c"),
        ("ukis-csmask", "L2A", (*FOUR, "swir16", "nir08"), "ukis-csmask-4b-l2a"),
        ("ukis-csmask-4b-l2a", "L2A", SIX, "ukis-csmask-4b-l2a"),
        ("ukis-csmask-6b-l1c", "L1C", (*SIX, "cirrus"), "ukis-csmask-6b-l1c"),
    ],
)
def test_resolves_to_the_network_for_level_and_bands(name, level, roles, expected):
    card = models.resolve(name, level=level, roles=roles)
    assert card.name == expected
    assert card.levels == (level,)
    assert set(card.roles) <= set(roles)
    assert card.options == {"precision": "float32", "device": "cpu"}
    assert set(card.classes) == {Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW}


@pytest.mark.parametrize(
    ("name", "level", "roles", "complaint"),
    [
        ("fmaks", "L2A", SIX, r"no model 'fmaks'; known are .*ukis-csmask, ukis-csmask-4b-l1c"),
        ("ukis-csmask", "L2A", ("blue", "green", "red"), "lack nir"),
        ("ukis-csmask", "L2A", ("nir", "swir16"), "lack blue, green, red"),
        ("ukis-csmask-6b-l2a", "L2A", FOUR, "lack swir16, swir22"),
        ("ukis-csmask-6b-l2a", "L1C", SIX, "is for L2A items; these are 'L1C'"),
        ("ukis-csmask", "L3A", SIX, "is for L1C or L2A items; these are 'L3A'"),
    ],
)
def test_refuses_what_does_not_fit(name, level, roles, complaint):
    with pytest.raises(ModelError, match=complaint):
        models.resolve(name, level=level, roles=roles)


@given(
    roles=st.sets(st.sampled_from([*SIX, "coastal", "nir08", "cirrus"])),
    level=st.sampled_from(["L1C", "L2A"]),
)
def test_asks_only_for_offered_bands_and_takes_all_it_can(roles, level):
    if not set(FOUR) <= roles:
        with pytest.raises(ModelError, match="lack"):
            models.resolve("ukis-csmask", level=level, roles=roles)
        return
    card = models.resolve("ukis-csmask", level=level, roles=roles)
    assert card.roles == (SIX if set(SIX) <= roles else FOUR)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"halo": 3}, "no option 'halo'; it has precision, device"),
        ({"precision": "float64"}, "one of float32, bfloat16, float16, auto; got 'float64'"),
        ({"device": 0}, "one of cpu, cuda, auto; got 0"),
    ],
)
def test_refuses_unknown_options(options, complaint):
    with pytest.raises(ModelError, match=complaint):
        models.resolve("ukis-csmask", level="L2A", roles=SIX, options=options)


@pytest.mark.parametrize(
    ("bf16", "gpu", "expected"),
    [
        (True, None, {"precision": "bfloat16", "device": "cpu"}),
        (False, None, {"precision": "float32", "device": "cpu"}),
        (False, (9, 0), {"precision": "bfloat16", "device": "cuda"}),
        (True, (7, 5), {"precision": "float16", "device": "cuda"}),
        (True, (6, 1), {"precision": "float32", "device": "cuda"}),
    ],
)
def test_auto_is_resolved_on_the_card(monkeypatch, bf16, gpu, expected):
    monkeypatch.setattr(machine, "has_fast_bfloat16", lambda: bf16)
    monkeypatch.setattr(machine, "has_cuda", lambda: gpu is not None)
    monkeypatch.setattr(machine, "compute_capability", lambda: gpu)
    options = {"precision": "auto", "device": "auto"}
    card = models.resolve("ukis-csmask", level="L2A", roles=SIX, options=options)
    assert card.options == expected


def test_float16_is_for_gpus():
    asked = {"level": "L2A", "roles": SIX}
    with pytest.raises(ModelError, match="'float16' is for GPUs"):
        models.resolve("ukis-csmask", **asked, options={"precision": "float16"})
    options = {"precision": "float16", "device": "cuda"}
    card = models.resolve("ukis-csmask", **asked, options=options)
    brief = models.resolve(
        "ukis-csmask", **asked, options={"precision": "bfloat16", "device": "cuda"}
    )
    assert models.bytes_needed(card) == models.bytes_needed(brief)


def test_a_plan_never_imports_torch_or_onnx():
    program = (
        "import sys; from pipeline import models;"
        "auto = {'precision': 'auto', 'device': 'auto'};"
        "card = models.resolve('ukis-csmask', level='L2A', options=auto,"
        " roles=['blue', 'green', 'red', 'nir']);"
        "models.bytes_needed(card); models.names();"
        "print({'torch', 'onnx', 'onnxruntime', 'scipy', 'ukis_csmask'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


SMALL = """
import sys
import numpy as np
from pipeline import models

others = {"onnxruntime", "segmentation_models_pytorch", "sympy", "timm", "torch._dynamo", "torchvision"}
for name in ("ukis-csmask", "cloudmask-si"):
    roles = ["blue", "green", "red", "nir", "swir16", "swir22"]
    card = models.resolve(name, level="L2A", options={}, roles=roles)
    models.load(card).predict(np.zeros((1, len(card.roles), 64, 64), np.float32))
    print(name, *sorted(others & set(sys.modules)))
"""


def test_a_small_job_does_not_wait_for_libraries_of_other_networks():
    """Neither for those of training and export: torch's compiler takes longer to import than torch."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["ukis-csmask", "cloudmask-si"]


def test_says_when_the_weights_are_not_installed(monkeypatch):
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    weights.package_folder.cache_clear()
    try:
        with pytest.raises(ModelError, match=r"install ukis-csmask 1\.0\.0"):
            models.resolve("ukis-csmask", level="L2A", roles=SIX)
    finally:
        weights.package_folder.cache_clear()


def test_bytes_grow_with_windows_and_shrink_with_precision():
    card = models.resolve("ukis-csmask", level="L2A", roles=SIX)
    short = models.resolve(
        "ukis-csmask", level="L2A", roles=SIX, options={"precision": "bfloat16"}
    )
    one, four = models.bytes_needed(card), models.bytes_needed(card, windows=4)
    assert one == 78e6 + 87e6 + 576**2 * 603
    assert four - one == 3 * ukis_csmask.window_bytes(card)
    assert models.bytes_needed(short, windows=4) < 0.6 * four


# -- other packages' models --------------------------------------------------------------------


class SlowProvider:
    """Counts its loads, each of which takes long enough for other threads to come by."""

    def __init__(self):
        self.loads = 0
        self.pause = threading.Event()

    def names(self):
        return ("theirs",)

    def resolve(self, name, *, level, roles, options):
        card = models.resolve("ukis-csmask", level="L2A", roles=SIX)
        return type(card)(**{**_fields(card), "name": name, "options": dict(options)})

    def load(self, card):
        self.loads += 1
        self.pause.wait(0.1)
        return object()

    def bytes_needed(self, card, *, windows):
        return 7 * windows


def _fields(card):
    return {name: getattr(card, name) for name in card.__dataclass_fields__}


THEIRS = SlowProvider()


@pytest.fixture
def theirs(monkeypatch):
    entry_point = EntryPoint("theirs", f"{__name__}:THEIRS", providers.ENTRY_POINTS)
    monkeypatch.setattr(providers, "entry_points", lambda group: [entry_point])
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(EntryPoint, "load", lambda self: THEIRS)
    providers.installed.cache_clear()
    yield THEIRS
    providers.installed.cache_clear()


def test_another_package_adds_a_model(theirs):
    assert "theirs" in models.names()
    card = models.resolve("theirs", level="L2A", roles=SIX)
    assert models.bytes_needed(card, windows=3) == 21


def test_loads_once_per_process_and_card(theirs):
    cards = [
        models.resolve("theirs", level="L2A", roles=SIX, options={"precision": p})
        for p in ("a", "b", "a", "a", "b", "a", "a", "a")
    ]
    before = theirs.loads
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(models.load, cards))
    assert theirs.loads - before == 2
    assert len({id(each) for each in loaded}) == 2
    assert loaded[0] is loaded[2] is loaded[7]
    assert loaded[1] is loaded[4]


PACKAGE = """
import numpy as np
from pipeline.types import Code, Lattice, ModelCard

class Theirs:
    def __init__(self, card):
        self.card = card

    def predict(self, windows):
        cloud = windows[:, :1] > 0.5
        return np.concatenate([~cloud, cloud], axis=1).astype(np.float32)

class Provider:
    def names(self):
        return ["bright"]

    def resolve(self, name, *, level, roles, options):
        return ModelCard(
            name=name, version="1", roles=("blue",), levels=(level,), resolution_m=(10.0, 60.0),
            normalisation="none", lattice=Lattice(core_px=64, halo_px=0),
            classes=(Code.CLEAR, Code.THICK_CLOUD), scores="probabilities", weights="none",
            weights_sha256="", licence="MIT", source="example", accuracy="none", options={},
        )

    def load(self, card):
        return Theirs(card)

    def bytes_needed(self, card, *, windows):
        return 0

provider = Provider()
"""

ASKS = """
import sys, numpy as np
from pipeline import models
from pipeline.models import registry
card = models.resolve("ensemble", level="L2A", roles=["blue", "scl"],
                      options={"members": ["bright", "scl"], "rule": "union"})
registry.check(card)
print("bright" in models.names(), models.load(card).members[0].card.name, "torch" in sys.modules)
"""


def test_an_installed_distribution_adds_a_model(tmp_path):
    """A package as pip leaves it, found by its metadata, in a process of its own."""
    (tmp_path / "their_models.py").write_text(PACKAGE)
    info = tmp_path / "their_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{providers.ENTRY_POINTS}]\ntheirs = their_models:provider\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ASKS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"},
    )
    assert done.stdout.split() == ["True", "bright", "False"]


def test_a_broken_package_is_named(monkeypatch):
    entry_point = EntryPoint("broken", "no_such_package:provider", providers.ENTRY_POINTS)
    monkeypatch.setattr(providers, "entry_points", lambda group: [entry_point])
    providers.installed.cache_clear()
    try:
        with pytest.raises(ModelError, match="provider 'broken'"):
            models.names()
        # Our own models do not depend on it.
        assert models.resolve("ukis-csmask", level="L2A", roles=SIX).name
    finally:
        providers.installed.cache_clear()

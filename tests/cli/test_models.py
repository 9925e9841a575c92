"""`cloudmask models`: the list, cards, and weights by their name."""

import json

import pytest

from pipeline.models import download
from pipeline.models.combined.ensemble import Ensemble
from pipeline.models.families import provider as providers
from pipeline.models.families.dl_l8s2_uv import FILES, DlL8s2Uv
from pipeline.models.families.omnicloudmask import OmniCloudMask
from pipeline.models.families.product_masks import ProductMasks
from pipeline.models.families.trained import Trained
from pipeline.models.families.ukis_csmask import UkisCsmask
from pipeline.models.weights import files
from pipeline.models.weights.omnicloudmask_earlier import RELEASES


@pytest.fixture(autouse=True)
def few_providers(monkeypatch, tmp_path):
    own = (UkisCsmask(), DlL8s2Uv(), OmniCloudMask(), ProductMasks(), Trained(), Ensemble())
    monkeypatch.setattr(providers, "OWN", own)
    monkeypatch.setattr(files, "user_cache_path", lambda name: tmp_path / name)


@pytest.mark.parametrize("words", [("models",), ("models", "list")])
def test_list(cloudmask, words):
    rows = [line.split("│") for line in cloudmask(*words).stdout.splitlines()]
    shown = {cells[1].strip(): cells[-2].strip() for cells in rows if len(cells) > 2}
    assert {"dl-l8s2-uv", "scl", "ukis-csmask"} <= set(shown)
    # A model that waits for its weights says how to get them.
    assert "`cloudmask models fetch dl-l8s2-uv` gets" in shown["dl-l8s2-uv"]
    assert shown["scl"] == "nothing to fetch"


def test_show_says_whether_the_weights_are_here(cloudmask, tmp_path):
    def fetched(name):
        return json.loads(cloudmask("models", "show", name, "--json").stdout)["fetched"]

    name = "dl-l8s2-uv-rgbi"
    assert fetched(name) == f"no: `cloudmask models fetch {name}` gets 1.4 MiB"
    folder = tmp_path / "cloudmask" / "models"
    folder.mkdir(parents=True)
    (folder / FILES[name].name).touch()
    assert fetched(name) == "yes"
    assert fetched("scl") == "nothing to fetch"


def test_show_knows_the_users_own_weights(cloudmask, tmp_path):
    words = ("models", "show", "omnicloudmask", "--json", "--option", "version=3")
    assert "published on Google Drive without checksums" in cloudmask(*words).stderr
    for each in RELEASES["3"]:
        (tmp_path / each.file.name).touch()
    card = json.loads(cloudmask(*words, "--option", f"weights={tmp_path}").stdout)
    assert card["version"] == "3"
    assert card["fetched"] == "not needed: option weights says where they are"
    assert json.loads(cloudmask(*words[:4]).stdout)["version"] == "4"


def test_show_takes_options(cloudmask):
    result = cloudmask(
        "models",
        "show",
        "ensemble",
        "--json",
        "--option",
        "members=[scl]",
        "--option",
        "rule=union",
    )
    card = json.loads(result.stdout)
    assert card["roles"] == ["scl"]
    assert card["options"]["rule"] == "union"
    assert cloudmask("models", "show", "scl", "--option", "rule").exit_code == 2
    assert cloudmask("models", "show", "scl", "--option", "a=[").exit_code == 2
    assert "cloudmask-si" in cloudmask("models", "show", "ensemble").stdout


def test_fetch_prints_the_path_and_the_progress(cloudmask, monkeypatch, tmp_path):
    def fetch(name, progress):
        for done in (0, 1_000_000, 2_000_000):
            progress("net.bin", done, 2_000_000)
        return (tmp_path / "net.bin",)

    monkeypatch.setattr(download, "fetch", fetch)
    result = cloudmask("models", "fetch", "net")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'net.bin'}\n"
    assert result.stderr.splitlines() == [
        "net.bin [kB]: 2000 to do",
        "net.bin [kB]: 1000 of 2000",
        "net.bin [kB]: 2000 of 2000",
    ]
    assert cloudmask("models", "fetch", "net", "-q").stderr == ""


def test_fetch_of_what_has_nothing(cloudmask):
    result = cloudmask("models", "fetch", "scl")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "scl has nothing to fetch" in result.stderr

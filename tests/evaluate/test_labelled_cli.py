"""`cloudmask evaluate labelled`, with a model that needs no weights."""

import json

import pytest
from typer.testing import CliRunner

from pipeline import models
from pipeline.cli import app
from pipeline.testing.models import ThresholdModel
from tests.evaluate import layouts


@pytest.fixture
def cloudmask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = ThresholdModel()

    def resolve(name, *, level, roles, options):
        assert (name, level, set(roles)) == ("mine", "L2A", {"blue", "green", "red", "nir"})
        assert options == {"batch": 2}
        return model.card

    monkeypatch.setattr(models, "resolve", resolve)
    monkeypatch.setattr(models, "load", lambda card: model)
    layouts.chip(tmp_path / "chips", "chip_1")
    layouts.chip(tmp_path / "chips", "chip_2", codes=(0, 0, 1))

    def call(*arguments):
        return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])

    return call


MODEL = ("--model", "mine", "--option", "batch=2")


def test_tables_json_and_page(cloudmask, tmp_path):
    done = cloudmask(
        *("labelled", "chips", "chips", *MODEL, "--dilate-m", 60),
        *("--report", "out/r.html", "--out", "r.json"),
    )
    assert done.exit_code == 0, done.output
    assert "threshold, cloud dilate_m 60 on Sentinel-2 L2A chips" in done.stdout
    assert "leak: not known what threshold was trained on" in done.stdout
    assert "note: shadows are not labelled" in done.stdout
    assert "cloud IoU" in done.stdout
    assert "pooled k=2" in done.stdout
    plain = json.loads((tmp_path / "r.json").read_text())
    assert [image["id"] for image in plain["images"]] == ["chip_1", "chip_2"]
    assert "data:image/png" in (tmp_path / "out" / "r.html").read_text()


def test_some_images_and_another_buffer_as_json(cloudmask):
    done = cloudmask(
        "labelled", "chips", "chips", *MODEL, "--limit", 1, "--buffer-px", 3, "--json"
    )
    plain = json.loads(done.stdout)
    assert (len(plain["images"]), plain["buffers_px"]) == (1, [0, 3])
    none = cloudmask("labelled", "chips", "chips", *MODEL, "--split", "test")
    assert (none.exit_code, "no labelled images" in none.output) == (2, True)


def test_masks_instead_of_a_model(cloudmask, tmp_path):
    layouts.pixbox(tmp_path / "p")
    for name in ("11", "12"):
        layouts.tiff(tmp_path / "masks" / f"{name}.tif", layouts.stripes((1, 5), (4, 4)))
    done = cloudmask("labelled", "pixbox-s2", "p", "--masks", "masks")
    assert done.exit_code == 0, done.output
    assert "in percent; masks in masks on PixBox" in done.stdout
    assert "BOA" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("labelled", "moon", "chips", *MODEL), "there is no data set 'moon'; known are chips"),
        (("labelled", "chips", "chips"), "--model, --masks: expected one of them"),
        (("labelled", "chips", "chips", *MODEL, "--masks", "x"), "expected one of them"),
        (
            ("labelled", "chips", "chips", "--masks", "x", "--dilate-m", 9),
            "these are for --model",
        ),
        (("labelled", "cesbio", "chips", *MODEL), "images of cesbio come apart; give --masks"),
        (("labelled", "chips", "none", *MODEL), "none: there is no such file"),
        # What names no command is a store, as it was before there were commands.
        (("none", "--truth", "t.zarr"), "there is no store at"),
        (("--truth", "t.zarr", "labelled/none"), "there is no store at"),
    ],
)
def test_wrong_arguments(cloudmask, arguments, message):
    done = cloudmask(*arguments)
    assert done.exit_code != 0
    assert message in done.output

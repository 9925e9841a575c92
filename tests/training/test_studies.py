"""Studies: the committed ones are sound, and a tiny one runs to its section of the page, once however often it is run."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import benchmarks.studies.__main__ as studies
from benchmarks.studies import page
from benchmarks.studies.judged import Together, Views
from pipeline.evaluate.confusion import Agreement
from pipeline.types import CLOUD, Code

COMMITTED = sorted((Path(__file__).parents[2] / "benchmarks/studies").glob("*.yaml"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_studies_are_sound(path, tmp_path):
    study = yaml.safe_load(path.read_text())
    assert study["name"] == path.stem
    assert len(study["seeds"]) >= 3
    for arm in study["arms"]:
        found = studies.experiment_of(study, arm, 7, tmp_path)
        assert found.seed == 7
        assert found.train.steps == study["set"]["train.steps"]
    assert len(studies.patches(study["judged"] | {"patches": 1})) == 1


def test_statistics_of_the_comparison_of_u_nets():
    """Table 1 of the comparison, but for its accuracy, which its own counts contradict."""
    found = page.statistics(Agreement(tp=2166535, fn=118878, fp=363524, tn=890007))
    expected = {
        "TPR": 0.948,
        "FNR": 0.052,
        "FPR": 0.29,
        "TNR": 0.71,
        "Prev": 0.646,
        "ACC": 0.8637,
        "BA": 0.829,
        "PPV": 0.856,
        "FOR": 0.118,
        "LRP": 3.269,
        "LRN": 0.073,
        "TS": 0.818,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=6e-4), name
    assert found["FDR"] == pytest.approx(1 - found["PPV"])
    assert found["NPV"] == pytest.approx(1 - found["FOR"])


def counts(**pairs):
    found = np.zeros((len(Code), len(Code)), int)
    for names, number in pairs.items():
        true, _, said = names.partition("_as_")
        found[Code[true.upper()], Code[said.upper()]] = number
    return found


def test_thin_and_thick_are_one_cloud_and_patches_without_any_are_left_out():
    one = counts(thin_cloud_as_thick_cloud=3, clear_as_thin_cloud=1, water_as_clear=5)
    clear = counts(clear_as_clear=9)
    found = page.agreement(one, CLOUD)
    assert (found.tp, found.fn, found.fp, found.tn) == (3, 0, 1, 5)
    result = page.Result(arm="a", seed=1, counts=[one.tolist(), clear.tolist()], cpu_s=1)
    each = page.per_patch(result)
    assert each[0] == pytest.approx(6 / 7)
    assert math.isnan(each[1])
    measures = page.measures(result)
    assert measures["median patch"] == pytest.approx(6 / 7)
    # Of 18 pixels one too many is called cloud.
    assert measures["CAD"] == pytest.approx(100 / 18)


WORLD = {"sensors": ["landsat-8"], "bands": [4, 4], "main_bands": 1, "grounds": {"forest": 1}}
TINY = {
    "name": "tiny",
    "asks": "Does it run?",
    "seeds": [1, 2],
    "set": {
        "train.steps": 2,
        "train.batch": 2,
        "train.crop_px": 32,
        "train.check_every": 2,
        "train.check_patches": 1,
        "train.workers": 0,
        "network.channels": [4, 8],
        "network.roles": ["blue", "green", "red", "nir"],
        "sources": [{"stream": WORLD}],
    },
    "judged": {"patches": 3, "size_px": 32, "stream": WORLD},
    "arms": {
        "U-Net": {"recipe": "unmask"},
        "an FCN": {"recipe": "fcnmask"},
        "8 views": {"of": "U-Net", "views": 8},
        "the other": {"of": "U-Net", "ensemble": True},
    },
}


def test_a_study_runs_once_and_its_section_stands_once(tmp_path, capsys):
    path, text = tmp_path / "tiny.yaml", tmp_path / "studies.md"
    path.write_text(yaml.safe_dump(TINY))
    text.write_text("# Studies\n\n<!-- other -->\nkept\n<!-- end of other -->\n")
    studies.run(path, tmp_path / "out", text)
    assert "U-Net 1 step 2" in capsys.readouterr().out
    first = text.read_text()
    assert first.startswith("# Studies\n\n<!-- other -->\nkept\n<!-- end of other -->\n")
    assert first.count("## tiny\n") == 1
    assert "| cloud F1 | 0." in first
    assert "| water F1" not in first
    assert not (tmp_path / "out/tiny/8-views/1/model.safetensors").exists()
    # Of two seeds, the ensemble of all others is the other one.
    counts_of = {
        (arm, seed): json.loads((tmp_path / f"out/tiny/{arm}/{seed}/judged.json").read_text())[
            "counts"
        ]
        for arm in ("U-Net", "the-other")
        for seed in (1, 2)
    }
    assert counts_of["the-other", 1] == counts_of["U-Net", 2]
    assert (tmp_path / "studies/tiny.png").stat().st_size > 1000
    studies.run(path, tmp_path / "out", text)
    assert text.read_text() == first
    assert "steps_per_s" not in capsys.readouterr().out


class East(torch.nn.Module):
    """Scores how much brighter a pixel is than the next to the west, and the opposite."""

    stride_px = 1

    def forward(self, images, bands_um, present):
        rise = images[:, :1] - images[:, :1].roll(1, -1)
        return torch.cat([rise, -rise], dim=1)


def test_views_are_turned_back_and_eight_of_them_know_no_direction():
    images = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    one = Views(East(), 1, while_noisy=False)(images, None, None)
    torch.testing.assert_close(one, East()(images, None, None).softmax(dim=1))
    eight = Views(East(), 8, while_noisy=False)
    turned = eight(images.rot90(1, (-2, -1)), None, None)
    torch.testing.assert_close(turned, eight(images, None, None).rot90(1, (-2, -1)))
    mirrored = eight(images.flip(-1), None, None)
    torch.testing.assert_close(mirrored, eight(images, None, None).flip(-1))


def test_views_stop_where_nothing_is_isolated():
    flat = torch.ones(1, 1, 6, 6)
    once = East()(flat, None, None).softmax(dim=1)
    torch.testing.assert_close(Views(East(), 8, while_noisy=True)(flat, None, None), once)
    torch.testing.assert_close(Together([East(), East()])(flat, None, None), once)


def test_results_on_other_patches_are_not_mixed(tmp_path):
    path, text = tmp_path / "tiny.yaml", tmp_path / "studies.md"
    text.write_text("# Studies\n")
    small = TINY | {"seeds": [1], "arms": {"U-Net": {"recipe": "unmask"}}, "found": "Nothing."}
    path.write_text(yaml.safe_dump(small))
    studies.run(path, tmp_path / "out", text)
    assert "**Found:** Nothing." in text.read_text()
    path.write_text(yaml.safe_dump(small | {"judged": TINY["judged"] | {"patches": 2}}))
    with pytest.raises(SystemExit, match="judged on other patches"):
        studies.run(path, tmp_path / "out", text)

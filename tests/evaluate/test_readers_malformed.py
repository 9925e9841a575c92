"""A file that is not what its layout says is refused by name, with what was expected."""

import json
import re

import numpy as np
import pytest

from pipeline.datasets import READERS, reader_of, tortilla
from pipeline.datasets.labels import LabelledDataError
from pipeline.errors import ConfigError
from tests.evaluate import layouts


def refused(name, root, file, found):
    """Read all; return the message, which must name the file and say what was found and expected."""
    with pytest.raises(LabelledDataError, match=re.escape(file)) as caught:
        list(reader_of(name).read(root))
    message = str(caught.value)
    assert re.search(found, message), message
    assert "; expected " in message
    return message


def cut(root, pattern):
    """Cut the last third off a file."""
    (file, *_) = sorted(root.rglob(pattern))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])


def drop(root, pattern):
    next(root.rglob(pattern)).unlink()


@pytest.mark.parametrize("name", sorted(READERS))
def test_nothing_there(tmp_path, name):
    refused(name, tmp_path / "nowhere", "nowhere", "no such file")
    if not name.startswith("pixbox"):
        refused(name, tmp_path, tmp_path.name, "nothing of the data set")


UNKNOWN = {
    "chips": (lambda r: layouts.chip(r, codes=(0, 7)), "chip_1.tif", "codes 7"),
    "cloudsen12": (lambda r: layouts.cloudsen12(r, codes=(0, 9)), "manual_hq.tif", "codes 9"),
    "cloudsen12plus-l1c": (
        lambda r: layouts.cloudsen12plus(r, codes=(0, 8)),
        "ROI_2/label",
        "codes 8",
    ),
    "cloudsen12-memmap": (
        lambda r: layouts.cloudsen12_memmap(r, codes=(0, 5)),
        "LABEL_manual_hq.dat",
        "codes 5",
    ),
    "cmc": (lambda r: _two_hot(layouts.cmc(r)), "masks/S2A_1.npy", "not one-hot"),
    "kappaset": (lambda r: layouts.kappaset(r, codes=(0, 6)), "T32_1.nc", "codes 6"),
    "cesbio": (lambda r: layouts.cesbio(r, codes=(0, 8)), "classification_map.tif", "codes 8"),
    "sparcs": (lambda r: layouts.sparcs(r, codes=(0, 7)), "_labels.tif", "codes 7"),
    "l8biome": (lambda r: layouts.l8biome(r, codes=(0, 1)), "_fixedmask.img", "codes 1"),
    "l7irish": (lambda r: layouts.l7irish(r, codes=(0, 64)), "mask2019.TIF", "codes 64"),
    "38cloud": (lambda r: layouts.cloud38_training(r, codes=(0, 1)), "gt_patch_1_", "codes 1"),
    "pixbox-s2": (
        lambda r: layouts.pixbox(r, layouts.S2_POINTS + "12,1,1,13,0\n"),
        "pixbox_sentinel2",
        "line 8: .* is 13",
    ),
}


def _two_hot(root):
    file = root / "masks" / "S2A_1.npy"
    mask = np.load(file)
    mask[3, 3] = True
    np.save(file, mask)
    return root


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_codes(tmp_path, name):
    make, file, found = UNKNOWN[name]
    refused(name, make(tmp_path), file, found)


SHORT = {
    "chips": (layouts.chip, "chip_1.tif"),
    "cloudsen12": (layouts.cloudsen12, "S2L1C.tif"),
    "cloudsen12plus-l1c": (layouts.cloudsen12plus, "*.taco"),
    "cloudsen12-memmap": (layouts.cloudsen12_memmap, "L1C_B5.dat"),
    "cmc": (layouts.cmc, "subscenes/S2A_1.npy"),
    "kappaset": (layouts.kappaset, "T32_1.nc"),
    "cesbio": (layouts.cesbio, "classification_map.tif"),
    "sparcs": (layouts.sparcs, "*_data.tif"),
    "l8biome": (layouts.l8biome, "*_B3.TIF"),
    "l7irish": (layouts.l7irish, "*_B30.TIF"),
    "38cloud": (layouts.cloud38_training, "red_patch_1_*.TIF"),
    "pixbox-s2": (layouts.pixbox, "*.csv"),
}


@pytest.mark.parametrize("name", SHORT)
def test_files_that_are_cut_off(tmp_path, name):
    make, pattern = SHORT[name]
    make(tmp_path)
    cut(tmp_path, pattern)
    refused(
        name,
        tmp_path,
        pattern.strip("*").split("*")[0],
        r"cannot be read|cut off|line \d|has \d+ bytes",
    )


MISSING = {
    "cloudsen12": (layouts.cloudsen12, "manual_hq.tif"),
    "cloudsen12-memmap": (layouts.cloudsen12_memmap, "L1C_B5.dat"),
    "cmc": (layouts.cmc, "masks/S2A_1.npy"),
    "sparcs": (layouts.sparcs, "*_labels.tif"),
    "l7irish": (layouts.l7irish, "*_MTL.txt"),
    "l8biome": (layouts.l8biome, "*_B3.TIF"),
    "38cloud": (layouts.cloud38_training, "gt_patch_1_*"),
    "cesbio": (layouts.cesbio, "used_parameters.json"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_labels_bands_and_metadata(tmp_path, name):
    make, pattern = MISSING[name]
    make(tmp_path)
    drop(tmp_path, pattern)
    file = {"sparcs": "_mask.png"}.get(name, pattern.strip("*").split("*")[0])
    refused(name, tmp_path, file, "there is no")


def test_missing_bands_and_wrong_shapes(tmp_path):
    refused(
        "kappaset", layouts.kappaset(tmp_path / "a", without=("B08",)), "T32_1.nc", "no B08"
    )
    refused("kappaset", layouts.kappaset(tmp_path / "b", edge=500), "T32_1.nc", r"\(500, 500\)")
    refused(
        "kappaset", layouts.kappaset(tmp_path / "c", without=("Label",)), "T32_1", "no Label"
    )
    refused("cmc", layouts.cmc(tmp_path / "d", edge=1000), "S2A_1.npy", r"\(1000, 1000, 3\)")
    refused("sparcs", layouts.sparcs(tmp_path / "e", bands=9), "_data.tif", "9 bands")
    refused(
        "38cloud", layouts.cloud38_training(tmp_path / "f", edge=256), "patch_1", r"\(256, 256"
    )
    refused(
        "38cloud",
        layouts.cloud38_training(tmp_path / "g", without=("nir",)),
        "nir_patch",
        "no such",
    )
    layouts.tiff(tmp_path / "h" / "chip_9.tif", np.ones((4, 8, 8), np.uint16))
    refused("chips", tmp_path / "h", "chip_9.tif", "its bands are")
    layouts.l8biome(tmp_path / "i")
    band = next((tmp_path / "i").rglob("*_B4.TIF"))
    # GDAL would take the metadata away with the file.
    band.unlink()
    layouts.tiff(band, np.ones((20, 24), np.uint16))
    refused("l8biome", tmp_path / "i", "_B4.TIF", r"\(20, 24\)")


def test_a_scene_of_38cloud_lacks_a_patch(tmp_path):
    refused(
        "38cloud", layouts.cloud38_test(tmp_path, without=2), layouts.SCENE, "has 3 patches"
    )


def test_metadata_without_what_is_needed(tmp_path):
    layouts.l8biome(tmp_path)
    mtl = next(tmp_path.rglob("*_MTL.txt"))
    text = mtl.read_text()
    mtl.write_text(text.replace("SUN_ELEVATION", "MOON_ELEVATION"))
    refused("l8biome", tmp_path, "_MTL.txt", "no SUN_ELEVATION")
    mtl.write_text(text.replace("SUN_ELEVATION = 30.0", "SUN_ELEVATION = -3"))
    refused("l8biome", tmp_path, "_MTL.txt", "SUN_ELEVATION is -3")
    mtl.write_text(text.replace("REFLECTANCE_MULT_BAND_2 = 2.0000E-05", ""))
    refused("l8biome", tmp_path, "_MTL.txt", "REFLECTANCE_MULT_BAND_2")
    mtl.write_text(text.replace("2.0000E-05", "many"))
    refused("l8biome", tmp_path, "_MTL.txt", "'many'")


def test_colours_that_sparcs_does_not_use(tmp_path):
    layouts.sparcs(tmp_path, codes=(0, 7), picture=True)
    refused("sparcs", tmp_path, "_mask.png", "#123456")


def test_json_and_tables(tmp_path):
    layouts.cesbio(tmp_path / "a", parameters={})
    refused("cesbio", tmp_path / "a", "used_parameters.json", "cloudy_product_name")
    file = next((tmp_path / "a").rglob("*.json"))
    file.write_text("{")
    refused("cesbio", tmp_path / "a", "used_parameters.json", "no JSON")
    file.write_text(json.dumps([]))
    refused("cesbio", tmp_path / "a", "used_parameters.json", "holds a list")
    head, _, rest = layouts.S2_POINTS.partition("\n")
    layouts.pixbox(tmp_path / "b", head.replace("SHADOW_ID", "SHADE") + "\n" + rest)
    refused("pixbox-s2", tmp_path / "b", "pixbox_sentinel2", "no SHADOW_ID")
    layouts.pixbox(tmp_path / "c", head + "\n")
    refused("pixbox-s2", tmp_path / "c", "pixbox_sentinel2", "no points")


@pytest.mark.parametrize(
    ("more", "file", "found"),
    [
        ({"kind": "guess"}, "ROI_2", "label_type is 'guess'"),
        ({"edge": 512}, "ROI_2", "real_proj_shape is 512"),
        ({"bands": 12}, "ROI_1/image", "12 bands"),
    ],
)
def test_images_of_cloudsen12plus(tmp_path, more, file, found):
    refused("cloudsen12plus-l1c", layouts.cloudsen12plus(tmp_path, **more), file, found)


def test_containers(tmp_path):
    file = tmp_path / "x.taco"
    file.write_bytes(b"PK" + bytes(100))
    refused("cloudsen12plus-l1c", tmp_path, "x.taco", "begins b'PK'")
    file.write_bytes(layouts.container([("a", "GTiff", b"12")]).replace(b"PAR1", b"RAP1"))
    refused("cloudsen12plus-l1c", tmp_path, "x.taco", "table cannot be read")


def test_taco_files_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "x.taco").write_bytes(b"WX" + bytes(64))
    with pytest.raises(ConfigError, match=r"cloudmask\[taco\]"):
        tortilla.open_container(tmp_path / "x.taco")


def test_objects_in_arrays_are_not_loaded(tmp_path):
    layouts.cmc(tmp_path)
    np.save(tmp_path / "masks" / "S2A_1.npy", np.array([{}], object), allow_pickle=True)
    refused("cmc", tmp_path, "masks/S2A_1.npy", "cannot be read")


def test_an_unknown_data_set():
    with pytest.raises(ConfigError, match="known are chips, "):
        reader_of("moon")

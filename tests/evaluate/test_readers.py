"""Every layout is read back; labels and reflectance are what the data set's own rules say."""

import numpy as np
import pytest

from pipeline.datasets import READERS, reader_of
from pipeline.datasets import labels as L
from pipeline.datasets.landsat import etm_reflectance, read_mtl
from tests.evaluate import layouts


def only(name, root, roles=None):
    (image,) = reader_of(name).read(root, roles)
    return image


def columns(image, count):
    """Return the labels of the first columns of the last row."""
    return image.labels[-1, :count].tolist()


def test_every_data_set_has_a_layout_that_is_read_back():
    assert set(layouts.LAYOUTS) == set(READERS), "tests/evaluate/layouts.py: LAYOUTS"


def test_chips(tmp_path):
    image = only("chips", layouts.chip(tmp_path))
    assert (image.id, image.level, image.resolution_m) == ("chip_1", "L2A", 10)
    assert image.roles == ("blue", "green", "red", "nir")
    assert image.pixels.dtype == np.float32
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.1, 0.11, 0.12, 0.13])
    assert columns(image, 2) == [L.NOT_CLOUD, L.CLOUD]
    assert image.geobox.crs.epsg == layouts.EPSG


def test_bands_are_read_as_asked(tmp_path):
    image = only("chips", layouts.chip(tmp_path), {"nir", "red", "swir16"})
    assert image.roles == ("red", "nir")
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.12, 0.13])
    assert only("chips", tmp_path, set()).pixels is None


@pytest.mark.parametrize(
    ("scene", "clear"), [("Forest_00", L.CLEAR), ("Urban_11", L.NOT_CLOUD)]
)
def test_biome_patches(tmp_path, scene, clear):
    image = only(
        "biome-patches", layouts.biome_patch(tmp_path, f"{scene}_0001"), {"red", "cirrus"}
    )
    assert (image.id, image.tags["scene"]) == (f"{scene}_0001", scene)
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.12, 0.16])
    assert columns(image, 5) == [L.NO_DATA, L.SHADOW, clear, L.THIN, L.THICK]


def test_shadows_of_alberta(tmp_path):
    image = only("alberta", layouts.alberta(tmp_path), {"blue", "nir"})
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([102 / 637.5, 402 / 65535])
    assert columns(image, 3) == [L.CLEAR | L.CLOUD, L.SHADOW, L.IGNORED]


def test_cloudsen12(tmp_path):
    image = only("cloudsen12", layouts.cloudsen12(tmp_path), {"nir08", "coastal", "swir22"})
    assert image.id == "ROI_0001/20200101T1_T32"
    # B8A is the ninth band of thirteen, B12 the last.
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.1, 0.18, 0.22])
    assert columns(image, 4) == [L.CLEAR, L.THICK, L.THIN, L.SHADOW]


def test_where_cloudsen12_has_no_image(tmp_path):
    layouts.cloudsen12(tmp_path)
    file = next(tmp_path.rglob("S2L1C.tif"))
    data = layouts.numbers(13, (509, 509), dtype=np.int16)
    data[:, :3] = 0
    layouts.tiff(file, data)
    image = only("cloudsen12", tmp_path, {"blue"})
    assert np.isnan(image.pixels[0, :3]).all()
    assert (image.labels[:3] == L.NO_DATA).all()
    assert (image.labels[3:] != L.NO_DATA).all()


def test_cloudsen12_as_raw_arrays(tmp_path):
    layouts.cloudsen12_memmap(tmp_path)
    images = list(reader_of("cloudsen12-memmap").read(tmp_path, {"swir16", "nir08"}))
    assert [(i.id, i.split) for i in images] == [
        ("test/00000", "test"),
        ("test/00001", "test"),
        ("train/00000", "train"),
        ("train/00001", "train"),
    ]
    first, second = images[:2]
    assert second.roles == ("nir08", "swir16")
    # The n-th image holds 1000 n more; B8A is the ninth band, B11 the twelfth.
    assert second.pixels[:, 0, 0].tolist() == pytest.approx([0.28, 0.31])
    assert (first.labels[:, 509:] == L.NO_DATA).all()
    assert first.labels[0, :4].tolist() == [L.CLEAR, L.THICK, L.THIN, L.SHADOW]


def test_cloudsen12plus(tmp_path):
    images = list(
        reader_of("cloudsen12plus-l1c").read(layouts.cloudsen12plus(tmp_path), {"red"})
    )
    # Sorted, without the one that has no label; padding is cut off.
    assert [(i.id, i.split) for i in images] == [("ROI_1", "train"), ("ROI_2", "test")]
    second = images[1]
    assert second.pixels.shape == (1, 509, 509)
    assert second.pixels[0, 0, 0] == pytest.approx(0.13)
    assert columns(second, 5) == [L.CLEAR, L.THICK, L.THIN, L.SHADOW, L.IGNORED]
    assert tuple(second.geobox.shape) == (509, 509)


def test_cloudsen12plus_scribbles_and_surface_reflectance(tmp_path):
    layouts.cloudsen12plus(tmp_path / "a", kind="scribble", codes=(0, 1, 2, 3, 4, 5, 6, 99))
    scribble = list(reader_of("cloudsen12plus-l1c").read(tmp_path / "a", set()))[1]
    clouds = [L.THICK, L.THICK, L.THIN, L.THIN, L.SHADOW, L.SHADOW]
    assert columns(scribble, 8) == [L.CLEAR, *clouds, L.IGNORED]
    layouts.cloudsen12plus(tmp_path / "b", bands=12)
    surface = next(reader_of("cloudsen12plus-l2a").read(tmp_path / "b", {"swir16"}))
    # Without B10, B11 is the eleventh.
    assert surface.level == "L2A"
    assert surface.pixels[0, 0, 0] == pytest.approx(0.2)


def test_cmc_without_tags(tmp_path):
    image = only("cmc", layouts.cmc(tmp_path), {"green", "nir08"})
    assert image.pixels[:, 5, 5].tolist() == pytest.approx([0.02, 0.08])
    assert (image.resolution_m, image.level) == (20, "L1C")
    assert columns(image, 3) == [L.CLEAR, L.CLOUD, L.SHADOW]


def test_cmc_tags_say_more(tmp_path):
    tags = {"snow/ice": 0, "thin": 1, "thick": 0, "shadows_marked": 1}
    image = only("cmc", layouts.cmc(tmp_path / "a", tags=tags), set())
    assert columns(image, 3) == [L.FLOODED, L.THIN, L.SHADOW]
    tags = {"snow/ice": 1, "thin": 1, "thick": 1, "shadows_marked": 0}
    image = only("cmc", layouts.cmc(tmp_path / "b", tags=tags, classes=(0, 1)), set())
    assert columns(image, 2) == [L.NOT_CLOUD, L.CLOUD]


def test_kappaset(tmp_path):
    image = only("kappaset", layouts.kappaset(tmp_path), {"blue", "swir22"})
    assert image.pixels[:, 0, 1].tolist() == pytest.approx([0.11, 0.22], rel=1e-5)
    assert np.isnan(image.pixels[:, :, 0]).all()
    expected = [L.NO_DATA, L.CLEAR, L.SHADOW, L.THIN, L.THICK, L.IGNORED]
    assert columns(image, 6) == expected


def test_cesbio(tmp_path):
    image = only("cesbio", layouts.cesbio(tmp_path))
    assert (image.id, image.tags["product"]) == ("Arles_20170917", "S2A_MSIL1C_1")
    assert image.pixels is None
    clouds = [L.NO_DATA, L.IGNORED, L.CLOUD, L.CLOUD, L.SHADOW]
    assert columns(image, 8) == [*clouds, L.LAND, L.WATER, L.SNOW]


@pytest.mark.parametrize("picture", [False, True])
def test_sparcs(tmp_path, picture):
    image = only("sparcs", layouts.sparcs(tmp_path, picture=picture), {"blue", "cirrus"})
    # (2e-5 · number - 0.1) / sin 30°; B9 is the eighth band.
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.204, 0.228], abs=1e-6)
    expected = [L.SHADOW, L.SHADOW, L.WATER, L.SNOW, L.LAND, L.CLOUD, L.FLOODED]
    assert columns(image, 7) == expected


@pytest.mark.parametrize("repacked", [False, True])
def test_l8biome(tmp_path, repacked):
    image = only("l8biome", layouts.l8biome(tmp_path, repacked=repacked), {"red", "cirrus"})
    assert image.id == "LC80010112014080LGN00"
    assert image.tags == {"biome": "snow_ice"}
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.212, 0.232], abs=1e-6)
    assert columns(image, 5) == [L.NO_DATA, L.SHADOW, L.CLEAR, L.THIN, L.THICK]


def test_l8biome_without_shadow_labels(tmp_path):
    image = only("l8biome", layouts.l8biome(tmp_path, codes=(0, 128, 255)), set())
    assert columns(image, 3) == [L.NO_DATA, L.NOT_CLOUD, L.THICK]


# A period of five in rows of twelve: every column holds every code somewhere.
IRISH = [
    ("p_mask2019.TIF", (0, 128, 192, 255), {128: L.NOT_CLOUD, 192: L.THIN, 255: L.THICK}),
    (
        "p_mask2019.TIF",
        (255, 0, 128, 192, 255),
        {0: L.SHADOW, 128: L.THICK, 192: L.THIN, 255: L.CLEAR},
    ),
    (
        "L7_p226_r98_newmask2015.TIF",
        (0, 64, 128, 192, 255),
        {64: L.SHADOW, 128: L.CLEAR, 192: L.THIN, 255: L.THICK},
    ),
]


@pytest.mark.parametrize(("mask", "codes", "meaning"), IRISH)
@pytest.mark.parametrize("repacked", [False, True])
def test_l7irish(tmp_path, mask, codes, meaning, repacked):
    layouts.l7irish(tmp_path, codes=codes, mask=mask, repacked=repacked)
    image = only("l7irish", tmp_path, {"blue", "swir22"})
    raw = np.resize(np.array(codes, np.uint8), (10, 12))
    for code, label in meaning.items():
        seen = (raw == code)[:, 2:]
        assert set(np.unique(image.labels[:, 2:][seen])) == {label}
    assert (image.labels[:, :2] == L.NO_DATA).all()
    assert np.isnan(image.pixels[:, :, :2]).all()
    assert np.isfinite(image.pixels[:, :, 2:]).all()


def test_etm_reflectance_by_hand(tmp_path):
    path = tmp_path / "MTL.txt"
    layouts.etm_mtl(path)
    # The highest number is LMAX; 2001-11-12 is day 316, the sun 0.98911 away.
    found = etm_reflectance(np.array([[255, 0]], np.uint8), 1, read_mtl(path), path)
    assert found[0, 0] == pytest.approx(np.pi * 191.6 * 0.98911**2 / (1997 * 0.5), rel=2e-3)
    assert np.isnan(found[0, 1])


def test_38cloud_training_patches_that_are_listed(tmp_path):
    image = only("38cloud", layouts.cloud38_training(tmp_path), {"nir", "red"})
    assert image.id == f"patch_1_1_by_1_{layouts.SCENE}"
    assert image.split == "train"
    assert image.roles == ("red", "nir")
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.06, 0.066], abs=1e-6)
    assert columns(image, 2) == [L.NOT_CLOUD, L.CLOUD]


@pytest.mark.parametrize("corner", [(0, 0), (34, 4)])
def test_38cloud_scenes_are_put_together(tmp_path, corner):
    image = only("38cloud", layouts.cloud38_test(tmp_path, corner=corner))
    assert (image.id, image.split) == (layouts.SCENE, "test")
    assert image.pixels.shape == (4, 700, 760)
    # Row y of the scene holds 8000 + y, whatever the padding.
    assert image.pixels[0, 699, 759] == pytest.approx(2e-5 * 8699 - 0.1)
    assert (image.labels[:50, :60] == L.NO_DATA).all()
    assert columns(image, 2) == [L.NOT_CLOUD, L.CLOUD]


def test_pixbox_sentinel2(tmp_path):
    first, second = reader_of("pixbox-s2").read(layouts.pixbox(tmp_path))
    assert (first.id, second.id) == ("11", "12")
    # A point that is cloud and shadow is cloud: targets are exclusive.
    assert first.labels.tolist() == [L.CLEAR, L.THICK, L.THIN, L.CLOUD]
    assert second.labels.tolist() == [L.SHADOW, L.CLEAR]
    assert second.points.tolist() == [[1, 0], [1, 1]]


def test_pixbox_landsat8(tmp_path):
    name = "pixbox_landsat8_cmix_20150527.csv"
    image = only("pixbox-l8", layouts.pixbox(tmp_path, layouts.L8_POINTS, name) / name)
    assert image.labels.tolist() == [L.CLOUD, L.CLOUD, L.SHADOW, L.CLEAR, L.IGNORED]
    assert image.points.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4]]


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_what_cards_promise_is_what_files_hold(tmp_path, name):
    reader = reader_of(name)
    images = list(reader.read(layouts.LAYOUTS[name](tmp_path), set()))
    assert images
    found = {label for image in images for label in image.labels.flat}
    assert found - {L.NO_DATA, L.IGNORED} <= set(reader.card.known)


def test_quicklooks(tmp_path):
    image = only("quicklooks", layouts.quicklook(tmp_path), {"blue", "red"})
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.1, 0.5 * 251 / 255])
    assert columns(image, 2) == [L.NOT_CLOUD, L.CLOUD]


def test_chips_without_labels(tmp_path):
    image = only("unlabelled-chips", layouts.unlabelled(tmp_path), {"blue", "nir"})
    assert image.pixels[:, 0, 0].tolist() == pytest.approx([0.1, 0.13])
    assert columns(image, 2) == [L.IGNORED, L.IGNORED]

"""Small files in the layouts that the authors of labelled data sets publish."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import xarray as xr
from PIL import Image
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

EPSG = 32632


def tiff(path, data, *, descriptions=None, driver="GTiff", crs=EPSG, step=10.0):
    """Write (band, y, x) or (y, x)."""
    data = np.asarray(data)
    data = data[np.newaxis] if data.ndim == 2 else data
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": driver,
        "dtype": data.dtype.name,
        "count": len(data),
        "height": data.shape[1],
        "width": data.shape[2],
        "crs": f"EPSG:{crs}",
        "transform": from_origin(600000, 5300000, step, step),
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(data)
        if descriptions:
            raster.descriptions = descriptions


def numbers(bands, shape, *, first=1000, dtype=np.uint16):
    """Return (band, y, x): band b holds first + 100 b, growing by one a row."""
    rows = np.arange(shape[0])[:, np.newaxis] + np.zeros(shape, int)
    return np.stack([first + 100 * b + rows for b in range(bands)]).astype(dtype)


def stripes(codes, shape, dtype=np.uint8):
    """Return (y, x): column x holds the x-th of the codes, over and over."""
    return np.broadcast_to(np.resize(np.array(codes, dtype), shape[1]), shape).copy()


def chip(root, name="chip_1", codes=(0, 1)):
    data = np.concatenate(
        [numbers(4, (32, 40)), stripes(codes, (32, 40), np.uint16)[np.newaxis]]
    )
    tiff(root / f"{name}.tif", data, descriptions=("B02", "B03", "B04", "B08", "cloud_label"))
    return root


def biome_patch(root, name, codes=(0, 64, 128, 192, 255)):
    names = ("blue", "green", "red", "nir", "swir16", "swir22", "cirrus", "tir11")
    tiff(root / f"{name}.tif", numbers(8, (4, 10)), descriptions=names)
    tiff(root / f"{name}_label.tif", stripes(codes, (4, 10)))
    return root


def alberta(root, codes=(0, 1, 99)):
    names = ("B02_8bit", "B03_8bit", "B04_8bit", "B08", "CLP", "CLD", "SCL", "shadow")
    painted = stripes(codes, (4, 6), np.uint16)[np.newaxis]
    data = np.concatenate([numbers(7, (4, 6), first=102), painted])
    tiff(root / "2020-06-15.tif", data, descriptions=names)
    return root


def quicklook(root, codes=(0, 1)):
    drawn = stripes(codes, (4, 6))[np.newaxis]
    data = np.concatenate([numbers(3, (4, 6), first=51, dtype=np.uint8), drawn])
    tiff(root / "S2A_1.tif", data, descriptions=("blue", "green", "red", "label"))
    return root


def unlabelled(root):
    tiff(root / "adwp.tif", numbers(4, (4, 6)))
    return root


def cloudsen12(root, codes=(0, 1, 2, 3)):
    folder = root / "high" / "ROI_0001" / "20200101T1_T32"
    tiff(folder / "S2L1C.tif", numbers(13, (509, 509), dtype=np.int16))
    tiff(folder / "labels" / "manual_hq.tif", stripes(codes, (509, 509)))
    return root


def cloudsen12_memmap(root, codes=(0, 1, 2, 3)):
    bands = ("1", "2", "3", "4", "5", "6", "7", "8", "8A", "9", "10", "11", "12")
    for part in ("train", "test"):
        (root / part).mkdir(parents=True)
        for i, band in enumerate(bands):
            data = np.zeros((2, 512, 512), np.int16)
            data[:, :509, :509] = np.array([1000, 2000])[:, np.newaxis, np.newaxis] + 100 * i
            data.tofile(root / part / f"L1C_B{band}.dat")
        labels = np.stack([stripes(codes, (512, 512), np.int8)] * 2)
        labels[:, 509:], labels[:, :, 509:] = 0, 0
        labels.tofile(root / part / "LABEL_manual_hq.dat")
    return root


def _in_memory(data):
    with MemoryFile() as memory:
        profile = {"driver": "GTiff", "dtype": data.dtype.name, "count": len(data)}
        place = {"crs": f"EPSG:{EPSG}", "transform": from_origin(600000, 5300000, 10, 10)}
        size = {"height": data.shape[1], "width": data.shape[2], "compress": "deflate"}
        with memory.open(**profile, **place, **size) as raster:
            raster.write(data)
        return memory.read()


def container(files, *, magic=b"#y", extra=()):
    """Return the bytes of a tortilla or TACO of ``(id, format, content)``."""
    head = 66 if magic == b"WX" else 50
    body, rows = b"", []
    extra = extra or [{}] * len(files)
    for (name, kind, content), more in zip(files, extra, strict=True):
        rows.append(
            {
                "tortilla:id": name,
                "tortilla:file_format": kind,
                "tortilla:offset": head + len(body),
                "tortilla:length": len(content),
                **more,
            }
        )
        body += content
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), table)
    footer = table.getvalue()
    start = magic + (head + len(body)).to_bytes(8, "little") + len(footer).to_bytes(8, "little")
    return start.ljust(head, b"\0") + body + footer


def taco_image(bands, stored, codes):
    """Return the bytes of one image of CloudSEN12+: the image, then its label."""
    image = numbers(bands, (stored, stored))
    label = stripes(codes, (stored, stored))[np.newaxis]
    return container(
        [("s2", "GTiff", _in_memory(image)), ("target", "GTiff", _in_memory(label))]
    )


def cloudsen12plus(root, *, bands=13, codes=(0, 1, 2, 3, 99), kind="high", edge=509):
    files = [
        ("ROI_2", "TORTILLA", taco_image(bands, 512, codes)),
        ("ROI_1", "TORTILLA", taco_image(bands, 512, (0, 1))),
        ("ROI_3", "TORTILLA", b""),
    ]
    extra = [
        {"real_proj_shape": edge, "label_type": kind, "tortilla:data_split": "test"},
        {"real_proj_shape": 509, "label_type": "high", "tortilla:data_split": "train"},
        {"real_proj_shape": 509, "label_type": "nolabel", "tortilla:data_split": "train"},
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / "cloudsen12-l1c.0000.part.taco").write_bytes(
        container(files, magic=b"WX", extra=extra)
    )
    return root


def cmc(root, *, tags=None, classes=(0, 1, 2), edge=1022):
    for name in ("subscenes", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    image = np.zeros((edge, edge, 13), np.float32)
    image += np.arange(13, dtype=np.float32) / 100
    np.save(root / "subscenes" / "S2A_1.npy", image)
    one_hot = np.eye(3, dtype=bool)[stripes(classes, (edge, edge))]
    np.save(root / "masks" / "S2A_1.npy", one_hot)
    if tags is not None:
        head, values = ",".join(tags), ",".join(map(str, tags.values()))
        (root / "classification_tags.csv").write_text(f"index,scene,{head}\n0,S2A_1,{values}\n")
    return root


KAPPA = (
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B10",
    "B11",
    "B12",
)


def kappaset(root, *, codes=(0, 1, 2, 3, 4, 5), without=(), edge=512):
    root.mkdir(parents=True, exist_ok=True)
    bands = {
        name: (("y", "x"), np.full((edge, edge), (1000 + 100 * i) / 65535, np.float32))
        for i, name in enumerate(KAPPA)
    }
    bands["Label"] = (("y", "x"), stripes(codes, (edge, edge)))
    kept = {name: each for name, each in bands.items() if name not in without}
    xr.Dataset(kept).to_netcdf(root / "T32_1.nc", engine="h5netcdf")
    return root


def cesbio(root, *, codes=range(8), parameters=None):
    scene = root / "Arles_20170917"
    tiff(scene / "Classification" / "classification_map.tif", stripes(codes, (30, 40)), step=60)
    content = {"cloudy_product_name": "S2A_MSIL1C_1"} if parameters is None else parameters
    (scene / "Statistics").mkdir(parents=True)
    (scene / "Statistics" / "used_parameters.json").write_text(json.dumps(content))
    return root


def sparcs(root, *, codes=range(7), picture=False, bands=10):
    root.mkdir(parents=True, exist_ok=True)
    scene = root / "LC81480352013195LGN00_32"
    tiff(Path(f"{scene}_data.tif"), numbers(bands, (1000, 1000), first=10000), step=30)
    Path(f"{scene}_mtl.txt").write_text("GROUP = L1\n  SUN_ELEVATION = 30.0\nEND_GROUP = L1\n")
    labels = stripes(codes, (1000, 1000))
    if picture:
        palette = [
            "000000",
            "000080",
            "0000FF",
            "00FFFF",
            "808080",
            "FFFFFF",
            "808000",
            "123456",
        ]
        colours = np.array([[*bytes.fromhex(each)] for each in palette], np.uint8)
        Image.fromarray(colours[labels]).save(f"{scene}_mask.png")
    else:
        tiff(Path(f"{scene}_labels.tif"), labels, step=30)
    return root


def oli_mtl(path):
    lines = ["GROUP = RADIOMETRIC_RESCALING"]
    for band in range(1, 10):
        lines.append(f"    REFLECTANCE_MULT_BAND_{band} = 2.0000E-05")
        lines.append(f"    REFLECTANCE_ADD_BAND_{band} = -0.100000")
    lines += ["    SUN_ELEVATION = 30.0", "END_GROUP = RADIOMETRIC_RESCALING", "END"]
    path.write_text("\n".join(lines))


def l8biome(root, *, codes=(0, 64, 128, 192, 255), repacked=False):
    name = "LC80010112014080LGN00"
    folder = root / "snow_ice" / name
    data = numbers(11, (20, 25), first=10000)
    if repacked:
        tiff(folder / f"{name}.TIF", data, step=30)
        tiff(folder / f"{name}_fixedmask.TIF", stripes(codes, (20, 25)), step=30)
    else:
        for band, each in enumerate(data, start=1):
            tiff(folder / f"{name}_B{band}.TIF", each, step=30)
        mask = folder / f"{name}_fixedmask.img"
        tiff(mask, stripes(codes, (20, 25)), driver="ENVI", step=30)
    oli_mtl(folder / f"{name}_MTL.txt")
    return root


ETM = {1: (191.6, -6.2), 2: (196.5, -6.4), 3: (152.9, -5.0), 4: (241.1, -5.1), 5: (31.06, -1.0)}
ETM_FILES = ("B10", "B20", "B30", "B40", "B50", "B61", "B62", "B70", "B80")


def etm_mtl(path):
    lines = ["ACQUISITION_DATE = 2001-11-12", "SUN_ELEVATION = 30.0"]
    for band, (high, low) in {**ETM, 7: (10.8, -0.35)}.items():
        lines += [f"LMAX_BAND{band} = {high}", f"LMIN_BAND{band} = {low}"]
        lines += [f"QCALMAX_BAND{band} = 255.0", f"QCALMIN_BAND{band} = 1.0"]
    path.write_text("\n".join(lines))


def l7irish(root, *, codes=(0, 128, 192, 255), mask="p226_r98_mask2019.TIF", repacked=False):
    folder = root / "austral" / "p226_r98"
    data = numbers(9, (10, 12), first=20, dtype=np.uint8)
    data[:, :, :2] = 0  # fill
    if repacked:
        tiff(folder / "L71226098_09820011112.TIF", data, step=30)
    else:
        for name, each in zip(ETM_FILES, data, strict=True):
            prefix = "L72" if name in ("B62", "B70", "B80") else "L71"
            tiff(folder / f"{prefix}226098_09820011112_{name}.TIF", each, step=30)
    tiff(folder / mask, np.resize(np.array(codes, np.uint8), (10, 12)), step=30)
    etm_mtl(folder / "L71226098_09820011112_MTL.txt")
    return root


SCENE = "LC08_L1TP_002053_20160520_20170324_01_T1"


def cloud38_training(root, *, codes=(0, 255), edge=384, without=()):
    base = root / "38-Cloud_training"
    for i, band in enumerate(("red", "green", "blue", "nir", "gt")):
        for number in (1, 2):
            path = base / f"train_{band}" / f"{band}_patch_{number}_1_by_{number}_{SCENE}.TIF"
            data = stripes(codes, (edge, edge)) if band == "gt" else None
            values = numbers(1, (edge, edge), first=8000 + 100 * i)[0] if data is None else data
            if band not in without:
                tiff(path, values)
    listed = f"name\npatch_1_1_by_1_{SCENE}\n"
    (base / "training_patches_38-Cloud_nonempty.csv").write_text(listed)
    return root


def cloud38_test(root, *, corner=(10, 4), shape=(700, 760), without=None):
    """Write a scene of two by two patches, padded on both sides."""
    base = root / "38-Cloud_test"
    label = stripes((1, 2), shape)
    label[:50, :60] = 0
    tiff(base / "Entire_scene_gts" / f"edited_corrected_gts_{SCENE}.TIF", label)
    for i, band in enumerate(("red", "green", "blue", "nir")):
        whole = np.zeros((768, 768), np.uint16)
        scene = numbers(1, shape, first=8000 + 100 * i)[0]
        scene[label == 0] = 0
        whole[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]] = scene
        for number, (row, col) in enumerate(np.ndindex(2, 2), start=1):
            if number == without:
                continue
            name = f"{band}_patch_{number}_{row + 1}_by_{col + 1}_{SCENE}.TIF"
            part = whole[row * 384 : row * 384 + 384, col * 384 : col * 384 + 384]
            tiff(base / f"test_{band}" / name, part)
    return root


S2_POINTS = """PRODUCT_ID,PIXEL_X,PIXEL_Y,CLOUD_CHARACTERISTICS_ID,SHADOW_ID
11,0,0,1,0
11,1,0,2,0
11,2,0,3,0
11,3,0,8,3
12,0,1,7,3
12,1.5,1.5,0,0
"""
L8_POINTS = """PRODUCT_ID;PIXEL_X;PIXEL_Y;PIXEL_SURFACE_TYPE_ID;CLOUD_SHADOW_ID
5;0;0;0;0
5;1;0;1;1
5;2;0;4;1
5;3;0;4;0
5;4;0;8;1
"""


def pixbox(root, text=S2_POINTS, name="pixbox_sentinel2_cmix_20180425.csv"):
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


def pixbox_l8(root):
    return pixbox(root, L8_POINTS, "pixbox_landsat8_cmix_20150527.csv")


def cloudsen12plus_l2a(root):
    return cloudsen12plus(root, bands=12)


LAYOUTS = {
    "38cloud": cloud38_training,
    "alberta": alberta,
    "biome-patches": lambda root: biome_patch(root, "LC80010112014080LGN00_1"),
    "cesbio": cesbio,
    "chips": chip,
    "cloudsen12": cloudsen12,
    "cloudsen12-memmap": cloudsen12_memmap,
    "cloudsen12plus-l1c": cloudsen12plus,
    "cloudsen12plus-l2a": cloudsen12plus_l2a,
    "cmc": cmc,
    "kappaset": kappaset,
    "l7irish": l7irish,
    "l8biome": l8biome,
    "pixbox-l8": pixbox_l8,
    "pixbox-s2": pixbox,
    "quicklooks": quicklook,
    "sparcs": sparcs,
    "unlabelled-chips": unlabelled,
}
"""Name of a data set -> what writes a small one into a folder, and returns the folder."""

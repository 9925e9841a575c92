"""The tables of codes and bits against what real items say of their own masks."""

from pathlib import Path

from pipeline.sensors import qa
from tests.sensors.real_items import index, read


def _described(shared_data: Path, field: str, keys: set[str]):
    """Yield what assets say of their values: at the asset, or in their first raster band."""
    for name in index(shared_data):
        for key, asset in read(shared_data, name).assets.items():
            if key not in keys:
                continue
            bands = asset.extra_fields.get("raster:bands") or [{}]
            stated = asset.extra_fields.get(field) or bands[0].get(field)
            if stated:
                yield name, stated


def test_scl_classes_are_those_of_the_items(shared_data: Path):
    found = list(
        _described(
            shared_data, "classification:classes", {"scl", "scl_60m", "SCL_20m", "SCL_60m"}
        )
    )
    assert len(found) >= 12
    for name, classes in found:
        assert {entry["value"]: entry["name"] for entry in classes} == dict(qa.SCL), name


def test_qa_pixel_bits_are_those_of_the_items(shared_data: Path):
    found = list(_described(shared_data, "classification:bitfields", {"qa_pixel"}))
    whole = 0
    for name, fields in found:
        whole += len(fields) == len(qa.QA_PIXEL)
        for field in fields:
            ours = qa.QA_PIXEL[field["name"]]
            assert (ours.offset, ours.length) == (field["offset"], field["length"]), name
            if ours.length == 2:
                theirs = {entry["value"]: entry["name"] for entry in field["classes"]}
                # MSS calls the middle confidence of clouds reserved.
                if "medium" not in theirs.values():
                    theirs = {v: n for v, n in theirs.items() if n != "reserved"}
                assert theirs.items() <= dict(enumerate(ours.classes)).items(), name
    assert whole >= 10
    assert len(found) > whole


def test_the_bits_of_qa_pixel_fill_sixteen_without_overlap():
    taken = [bits.mask for bits in qa.QA_PIXEL.values()]
    assert sum(taken) == 0xFFFF
    assert all(len(bits.classes) == 2**bits.length for bits in qa.QA_PIXEL.values())


def test_fmask_bits_are_those_of_the_items(shared_data: Path):
    ours = {"snow_ice": "snow", "aerosol_level": "aerosol"}
    found = list(_described(shared_data, "classification:bitfields", {"fmask"}))
    assert len(found) == 2
    for name, fields in found:
        for field in fields:
            bits = qa.FMASK[ours.get(field["name"], field["name"])]
            assert (bits.offset, bits.length) == (field["offset"], field["length"]), name
            if bits.length == 2:
                said = [entry["description"].lower() for entry in field["classes"]]
                assert said == list(bits.classes), name


def test_the_bits_of_fmask_fill_eight_without_overlap():
    assert sum(bits.mask for bits in qa.FMASK.values()) == qa.FMASK_FILL

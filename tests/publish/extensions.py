"""What the extensions ask for, in our own words: no package ships their schemas, tests have no network.

Each schema says what version and place a field has, its type and range, and that no unknown field
of its prefix is there.
"""

import jsonschema

DATA_TYPES = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
DATA_TYPES += ["float32", "float64"]
PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
NUMBER, TEXT, LOGICAL = {"type": "number"}, {"type": "string"}, {"type": "boolean"}
COMMON_NAMES = [
    "coastal",
    "blue",
    "green",
    "red",
    "rededge",
    "rededge071",
    "rededge075",
    "rededge078",
    "nir",
    "nir08",
    "nir09",
    "cirrus",
    "swir16",
    "swir22",
    "lwir",
    "lwir11",
    "lwir12",
]


def fields(prefix: str, **known: dict) -> dict:
    """A schema of the fields of one prefix; others of the prefix are mistakes."""
    named = {f"{prefix}:{name}": schema for name, schema in known.items()}
    return {
        "type": "object",
        "properties": named,
        "patternProperties": {f"^(?!{prefix}:)": {}},
        "additionalProperties": False,
    }


def numbers(*lengths: int, **more: object) -> dict:
    return {"anyOf": [{"minItems": n, "maxItems": n} for n in lengths], "type": "array"} | {
        "items": NUMBER | more
    }


CLASS = {
    "type": "object",
    "required": ["value", "name"],
    "additionalProperties": False,
    "properties": {
        "value": {"type": "integer"},
        "name": {"type": "string", "pattern": "^[0-9A-Za-z_-]+$"},
        "title": TEXT,
        "description": TEXT,
        "color_hint": {"type": "string", "pattern": "^[0-9A-F]{6}$"},
        "nodata": LOGICAL,
        "percentage": PERCENT,
        "count": {"type": "integer", "minimum": 0},
    },
}
FIELDS = {
    "projection/v2.0.0": fields(
        "proj",
        code={"type": ["string", "null"], "pattern": "^[A-Z]+:[0-9]+$"},
        wkt2={"type": ["string", "null"]},
        shape=numbers(2, type="integer"),
        transform=numbers(6, 9),
        bbox=numbers(4, 6),
    ),
    "raster/v2.0.0": fields("raster", scale=NUMBER, offset=NUMBER),
    "eo/v2.0.0": fields("eo", cloud_cover=PERCENT, common_name={"enum": COMMON_NAMES}),
    "classification/v2.0.0": fields(
        "classification", classes={"type": "array", "minItems": 1, "items": CLASS}
    ),
    "processing/v1.1.0": fields(
        "processing",
        level=TEXT,
        lineage=TEXT,
        software={"type": "object", "additionalProperties": TEXT},
    ),
    "zarr/v1.0.0": fields(
        "zarr",
        consolidated=LOGICAL,
        node_type={"enum": ["group", "array"]},
        zarr_format={"type": "integer"},
    ),
}
DIMENSION = {
    "oneOf": [
        {
            "required": ["type", "axis", "extent"],
            "properties": {
                "type": {"const": "spatial"},
                "axis": {"enum": ["x", "y"]},
                "extent": numbers(2),
                "step": {"type": ["number", "null"]},
                "reference_system": {"type": ["string", "number", "object"]},
            },
        },
        {
            "required": ["type", "extent"],
            "properties": {
                "type": {"const": "temporal"},
                "extent": {"type": "array", "minItems": 2, "maxItems": 2},
                "step": {"type": ["string", "null"]},
                "values": {"type": "array", "items": TEXT, "minItems": 1},
            },
            "not": {"required": ["axis"]},
        },
        {
            "required": ["type"],
            "anyOf": [{"required": ["extent"]}, {"required": ["values"]}],
            "properties": {
                "type": {"type": "string", "not": {"enum": ["spatial", "temporal"]}},
                "step": {"type": ["number", "null"]},
            },
            "not": {"required": ["axis"]},
        },
    ]
}
VARIABLE = {
    "type": "object",
    "required": ["dimensions", "type"],
    "properties": {
        "dimensions": {"type": "array", "items": TEXT},
        "type": {"enum": ["data", "auxiliary"]},
        "description": TEXT,
        "unit": TEXT,
    },
}
CUBE = {
    "type": "object",
    "required": ["cube:dimensions", "cube:variables"],
    "properties": {
        "cube:dimensions": {"type": "object", "additionalProperties": DIMENSION},
        "cube:variables": {"type": "object", "additionalProperties": VARIABLE},
    },
}


def places(document: dict) -> list[dict]:
    """Everything in a document that can have fields of extensions."""
    assets = [
        *document.get("assets", {}).values(),
        *document.get("item_assets", {}).values(),
    ]
    bands = [band for asset in assets for band in asset.get("bands", ())]
    for band in bands:
        assert band["data_type"] in DATA_TYPES
    top = document.get("properties", document)
    return [top, *assets, *bands, *document.get("providers", ())]


def check(document: dict) -> None:
    """Check the extensions of a document: valid, all that is used is declared, and nothing else."""
    declared = {
        uri.removeprefix("https://stac-extensions.github.io/").removesuffix("/schema.json")
        for uri in document["stac_extensions"]
    }
    found = places(document)
    for name, schema in FIELDS.items():
        prefixes = tuple(key.partition(":")[0] + ":" for key in schema["properties"])
        used = any(key.startswith(prefixes) for place in found for key in place)
        assert used == (name in declared), name
        for place in found:
            jsonschema.validate(place, schema)
    assert ("datacube/v2.2.0" in declared) == ("cube:dimensions" in document)
    if "cube:dimensions" in document:
        jsonschema.validate(document, CUBE)
        named = set(document["cube:dimensions"])
        for variable in document["cube:variables"].values():
            assert set(variable["dimensions"]) <= named
    assert declared <= {*FIELDS, "datacube/v2.2.0"}

"""Tables of what collections hold: which sensor, which bands, which numbers mean which reflectance.

Data, not code paths::

    types.py         words: Profile, Radiometry
    bands.py         role -> asset keys, a table for each way of naming bands
    profiles.py      PROFILES: collection -> what it holds     (a new collection is a row here)
    rules.py         RULES: what turns numbers to reflectance  (a new quirk is a row here)
    conflicts.py     whether what its assets announce agrees with that
    formats.py       which assets are rasters that are read
    metadata.py      what an item says of itself: catalogue, baseline, scale and offset
    recorded.py      a decision written into the item itself, and read back
    names.py         what the names of products say
    passes.py        which pass an item is of: platform, orbit and time
    acquisitions.py  which items are processings of one acquisition, and which is newest
    projection.py    the CRS that an item states
    qa.py            what the codes and bits of the products' own masks mean
    adjust/          what lets sensors share a composite: band pass, view angle

Reflectance = DN · scale + offset is decided per item, before items are mosaicked, because
metadata lies: the sensing date does not tell the processing, and some catalogues announce an
offset that they have already applied to the pixels.
"""

from pipeline.sensors.acquisitions import acquisitions, newest, processing_rank
from pipeline.sensors.adjust.adjustment import Adjust
from pipeline.sensors.metadata import origin, processing_baseline, sun, view_zenith
from pipeline.sensors.names import is_name
from pipeline.sensors.passes import (
    FAMILIES,
    Sighting,
    nearness,
    one_pass,
    sighting,
    stored_sighting,
)
from pipeline.sensors.profiles import PROFILES, is_known, profile, sensors_of
from pipeline.sensors.projection import crs_of, two_codes
from pipeline.sensors.recorded import asks_for_offset, record, recorded, unrecorded, was_unread
from pipeline.sensors.rules import RULES, radiometry
from pipeline.sensors.types import Flags, Limits, Profile, Radiometry
from pipeline.types.roles import ROLES, THERMAL_ROLES

__all__ = [
    "FAMILIES",
    "PROFILES",
    "ROLES",
    "RULES",
    "THERMAL_ROLES",
    "Adjust",
    "Flags",
    "Limits",
    "Profile",
    "Radiometry",
    "Sighting",
    "acquisitions",
    "asks_for_offset",
    "crs_of",
    "is_known",
    "is_name",
    "nearness",
    "newest",
    "one_pass",
    "origin",
    "processing_baseline",
    "processing_rank",
    "profile",
    "radiometry",
    "record",
    "recorded",
    "sensors_of",
    "sighting",
    "stored_sighting",
    "sun",
    "two_codes",
    "unrecorded",
    "view_zenith",
    "was_unread",
]

"""Which model was trained on which data set: scores on those are too good."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.types import ModelCard

TRAINED_ON: Mapping[str, Mapping[str, str]] = {
    "omnicloudmask": {
        "cloudsen12": "trained on CloudSEN12; its test split was excluded",
        "cloudsen12-memmap": "trained on CloudSEN12; its test split was excluded",
        "cloudsen12plus-l1c": "trained on CloudSEN12; its test split was excluded",
        "cloudsen12plus-l2a": "trained on CloudSEN12; its test split was excluded",
        "kappaset": "trained on KappaSet",
    },
    "ukis-csmask": {
        "sparcs": "trained on SPARCS",
        "cloudsen12": "trained on CloudSEN12+, which extends CloudSEN12",
        "cloudsen12-memmap": "trained on CloudSEN12+, which extends CloudSEN12",
        "cloudsen12plus-l1c": "trained on CloudSEN12+",
        "cloudsen12plus-l2a": "trained on CloudSEN12+",
    },
    "dl-l8s2-uv": {
        "l8biome": "trained on Landsat 8 Biome",
        "biome-patches": "trained on Landsat 8 Biome",
    },
    "clouds2mask": {
        "cmc": "trained on the Cloud Mask Catalogue",
        "cesbio": "trained on CESBIO's masks",
        "kappaset": "trained on KappaSet",
        "cloudsen12": "trained on CloudSEN12",
        "cloudsen12-memmap": "trained on CloudSEN12",
        "cloudsen12plus-l1c": "trained on CloudSEN12",
        "cloudsen12plus-l2a": "trained on CloudSEN12",
    },
}
"""Family of models -> data set -> what is known (projects' own statements; MODELS of the survey)."""


OURS = "`cloudmask train`"
"""What the source of a model that was trained here begins with."""


def leak(card: ModelCard, dataset: str) -> str:
    """Say whether a model has seen a data set, ensembles by their members; for every table."""
    # Training writes the names of data sets as separate words.
    ours = dataset in re.split(r"[^a-z0-9-]+", card.weights)
    if card.source.startswith(OURS):
        return f"leak: {'' if ours else 'none, '}{card.name} was {card.weights}"
    named = " ".join((card.name, *card.options.values()))
    families = [family for family in TRAINED_ON if family in named]
    if not families:
        return f"leak: not known what {card.name} was trained on"
    seen = [f"{f} was {TRAINED_ON[f][dataset]}" for f in families if dataset in TRAINED_ON[f]]
    seen += [f"a member was trained on it ({card.weights})"] if ours else []
    if not seen:
        return f"leak: none known between {card.name} and this data set"
    return "leak: " + "; ".join(seen)

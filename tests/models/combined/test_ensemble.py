"""`ensemble`: each rule by hand, any members together, and lattices that cannot be joined."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.datasets import reader_of
from pipeline.errors import ModelError
from pipeline.evaluate.labelled import by_model
from pipeline.models import registry
from pipeline.models.combined import members as combining
from pipeline.models.combined.ensemble import RULES, Ensemble, EnsembleModel
from pipeline.models.combined.tta import Tta
from pipeline.models.families import provider as providers
from pipeline.models.families.dl_l8s2_uv import DlL8s2Uv
from pipeline.models.families.omnicloudmask import OmniCloudMask
from pipeline.models.families.product_masks import ProductMasks
from pipeline.models.families.trained import Trained
from pipeline.models.families.ukis_csmask import UkisCsmask
from pipeline.testing.models import fake_card
from pipeline.types import CLOUD, Code, Lattice, MaskSettings

ROLES = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22", "scl", "qa_pixel")
LATTICE = Lattice(core_px=8, halo_px=0)

CLEAR, WATER, SNOW = Code.CLEAR, Code.WATER, Code.SNOW
THICK, THIN, SHADOW, NO_DATA = (
    Code.THICK_CLOUD,
    Code.THIN_CLOUD,
    Code.CLOUD_SHADOW,
    Code.NO_DATA,
)


@pytest.fixture(autouse=True)
def all_providers(monkeypatch):
    own = (
        UkisCsmask(),
        DlL8s2Uv(),
        OmniCloudMask(),
        ProductMasks(),
        Trained(),
        Tta(),
        Ensemble(),
    )
    monkeypatch.setattr(providers, "OWN", own)


class Says:
    """A model that gives the same scores everywhere."""

    def __init__(self, scores, kind="probabilities", roles=("blue",)):
        card = fake_card("says", LATTICE, roles)
        self.card = replace(card, classes=tuple(scores), scores=kind)
        self.scores = np.array(list(scores.values()), np.float32)
        self.saw = None

    def predict(self, windows):
        self.saw = windows
        shape = (len(windows), len(self.scores), *windows.shape[2:])
        return np.broadcast_to(self.scores[:, None, None], shape).copy()


def joined(models, rule, weights=None, roles=("blue",)):
    held = {code for model in models for code in model.card.classes}
    order = (*sum(combining.GROUPS, ()), NO_DATA)
    card = replace(
        fake_card("ensemble", LATTICE, roles),
        classes=tuple(code for code in order if code in held),
        scores="probabilities",
        options={
            "rule": rule,
            "weights": json.dumps(weights or [1.0] * len(models)),
            "members": "",
        },
    )
    return EnsembleModel(card, models)


def answer(models, rule, weights=None):
    model = joined(models, rule, weights)
    scores = model.predict(np.zeros((2, 1, 8, 8), np.float32))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert (scores == scores[:1, :, :1, :1]).all()
    share = dict(zip(model.card.classes, scores[0, :, 0, 0].tolist(), strict=True))
    return model.card.classes[scores[0, :, 0, 0].argmax()], share


# -- rules by hand -----------------------------------------------------------------------------


def test_mean_averages_probabilities():
    code, share = answer(
        [Says({CLEAR: 0.9, THICK: 0.1}), Says({CLEAR: 0.4, THICK: 0.6})], "mean"
    )
    assert code is CLEAR
    assert share[CLEAR] == pytest.approx(0.65)
    assert share[THICK] == pytest.approx(0.35)


def test_mean_makes_probabilities_of_logits():
    logits = Says({CLEAR: np.log(0.2), THICK: np.log(0.8)}, kind="logits")
    _, share = answer([logits, Says({CLEAR: 1.0, THICK: 0.0})], "mean")
    assert share[CLEAR] == pytest.approx(0.6)


def test_weights_count():
    models = [Says({CLEAR: 0.9, THICK: 0.1}), Says({CLEAR: 0.4, THICK: 0.6})]
    code, share = answer(models, "mean", [1, 9])
    assert code is THICK
    assert share[THICK] == pytest.approx(0.1 * 0.1 + 0.9 * 0.6)


def test_kinds_of_cloud_count_together_against_clear():
    one = Says({CLEAR: 0.4, THICK: 0.6})
    other = Says({CLEAR: 0.4, THIN: 0.6})
    code, share = answer([one, other, other], "mean")
    assert code is THIN
    assert share[THIN] == pytest.approx(0.6)
    assert share[THICK] == 0


def test_majority_counts_votes_not_shares():
    models = [
        Says({CLEAR: 0.51, THICK: 0.49}),
        Says({CLEAR: 0.51, THICK: 0.49}),
        Says({CLEAR: 0.01, THICK: 0.99}),
    ]
    code, share = answer(models, "majority")
    assert code is CLEAR
    assert share[CLEAR] == pytest.approx(2 / 3)
    assert answer(models, "mean")[0] is THICK


@pytest.mark.parametrize("rule", ["mean", "majority"])
def test_a_tie_is_never_ground(rule):
    for worse in (THICK, THIN, SHADOW):
        models = [Says({CLEAR: 1.0, worse: 0.0}), Says({CLEAR: 0.0, worse: 1.0})]
        assert answer(models, rule)[0] is worse


def test_union_takes_cloud_from_whoever_sees_one():
    clear = Says({CLEAR: 0.9, THICK: 0.05, SHADOW: 0.05})
    shadow = Says({CLEAR: 0.2, THICK: 0.1, SHADOW: 0.7})
    cloud = Says({CLEAR: 0.3, THICK: 0.6, SHADOW: 0.1})
    assert answer([clear, clear, cloud], "union")[0] is THICK
    assert answer([shadow, shadow, cloud], "union")[0] is THICK
    assert answer([clear, clear, shadow], "union")[0] is SHADOW
    assert answer([clear, clear], "union")[0] is CLEAR


def test_a_shadow_that_nobody_confirms_is_the_ground_that_others_see():
    shadow = Says({CLEAR: 0.2, THICK: 0.1, SHADOW: 0.7})
    water = Says({CLEAR: 0.2, THICK: 0.0, SHADOW: 0.2, WATER: 0.6})
    cloud = Says({CLEAR: 0.3, THICK: 0.6, SHADOW: 0.1})
    assert answer([shadow, water], "confirmed")[0] is WATER
    assert answer([shadow, shadow], "confirmed")[0] is SHADOW
    assert answer([shadow, water, cloud], "confirmed")[0] is SHADOW
    assert answer([cloud, water], "confirmed")[0] is THICK
    assert answer([water, shadow], "confirmed")[0] is WATER


def test_ground_is_named_by_whoever_knows_it():
    plain = Says({CLEAR: 0.9, THICK: 0.1})
    water = Says({WATER: 1.0, CLEAR: 0.0, THICK: 0.0})
    assert answer([plain, water], "mean")[0] is WATER


@pytest.mark.parametrize("rule", RULES)
def test_a_member_without_data_abstains(rule):
    blind = Says({NO_DATA: 1.0, CLEAR: 0.0, THICK: 0.0})
    for code, other in (
        (SHADOW, Says({CLEAR: 0.1, THICK: 0.2, SHADOW: 0.7})),
        (CLEAR, Says({CLEAR: 0.8, THICK: 0.2})),
        (THICK, Says({CLEAR: 0.3, THICK: 0.7})),
    ):
        assert answer([blind, blind, other], rule)[0] is code
        assert answer([other, blind], rule)[0] is code
    assert answer([blind, blind], rule)[0] is NO_DATA


def test_members_see_their_own_bands_in_their_own_order():
    one = Says({CLEAR: 1.0, THICK: 0.0}, roles=("red", "blue"))
    other = Says({CLEAR: 1.0, THICK: 0.0}, roles=("blue", "nir"))
    model = joined([one, other], "mean", roles=("red", "blue", "nir"))
    windows = np.stack([np.full((8, 8), each, np.float32) for each in (1, 2, 3)])[np.newaxis]
    model.predict(windows)
    assert one.saw[0, :, 0, 0].tolist() == [1, 2]
    assert other.saw[0, :, 0, 0].tolist() == [2, 3]


# -- laws --------------------------------------------------------------------------------------

GROUP_OF = {code: number for number, group in enumerate(combining.GROUPS) for code in group}
FOUR = (THICK, THIN, SHADOW, CLEAR)
ANSWERS = hnp.arrays(np.float32, (3, 4), elements=st.floats(0.0625, 1, width=16))


@given(ANSWERS)
def test_rules_agree_with_their_definitions(raw):
    shares = raw / raw.sum(axis=1, keepdims=True)
    models = [Says(dict(zip(FOUR, each.tolist(), strict=True))) for each in shares]

    def groups(each):
        return np.array([each[0] + each[1], each[2], each[3]])

    mean = groups(shares.mean(axis=0))
    if np.sort(mean)[-1] - np.sort(mean)[-2] > 1e-5:
        assert GROUP_OF[answer(models, "mean")[0]] == mean.argmax()
    sure = all(np.diff(np.sort(groups(each)))[-1] > 1e-5 for each in shares)
    if sure:
        votes = [int(groups(each).argmax()) for each in shares]
        counts = np.bincount(votes, minlength=3)
        assert GROUP_OF[answer(models, "majority")[0]] == counts.argmax()
        assert GROUP_OF[answer(models, "union")[0]] == min(votes)
        alone = votes[0] == 1 and set(votes[1:]) == {2}
        assert GROUP_OF[answer(models, "confirmed")[0]] == (2 if alone else votes[0])


@given(ANSWERS)
def test_one_model_alone_keeps_its_answer(raw):
    shares = raw[:1] / raw[:1].sum()
    model = Says(dict(zip(FOUR, shares[0].tolist(), strict=True)))
    codes = {rule: answer([model], rule)[0] for rule in RULES}
    assert len(set(codes.values())) == 1
    group = [shares[0, :2].sum(), shares[0, 2], shares[0, 3]]
    if np.diff(np.sort(group))[-1] > 1e-5:
        assert GROUP_OF[codes["mean"]] == int(np.argmax(group))


# -- resolving ---------------------------------------------------------------------------------


def resolve(members, level="L2A", roles=ROLES, **options):
    return Ensemble().resolve(
        "ensemble", level=level, roles=roles, options={"members": members, **options}
    )


def test_the_card_of_the_whole():
    card = resolve(["ukis-csmask", {"model": "scl"}], rule="union", weights=[2, 1])
    assert card.roles == ("blue", "green", "red", "nir", "swir16", "swir22", "scl")
    assert card.lattice == registry.resolve("ukis-csmask", level="L2A", roles=ROLES).lattice
    assert card.classes == (THICK, THIN, SHADOW, SNOW, WATER, CLEAR, NO_DATA)
    assert card.resolution_m == (10.0, 60.0)
    assert "Apache-2.0" in card.licence
    assert all(isinstance(each, str) for each in card.options.values())
    members = json.loads(card.options["members"])
    assert [each["model"] for each in members] == ["ukis-csmask-6b-l2a", "scl"]


def test_a_card_leads_to_the_same_members_again():
    card = resolve(["ukis-csmask", {"model": "tta", "options": {"model": "ukis-csmask"}}])
    again = Ensemble().resolve(
        "ensemble", level=card.levels[0], roles=card.roles, options=card.options
    )
    assert again == card


@pytest.mark.parametrize("bits", [0, 1 << 3])
def test_loads_and_runs_real_members(bits):
    card = resolve(
        ["qa-pixel", {"model": "dl-l8s2-uv-rgbi", "options": {"weights": ""}}], level="L1C"
    )
    assert card.lattice.halo_px == 24
    card = resolve(["qa-pixel"], level="L1C")
    model = Ensemble().load(card)
    windows = np.full((2, 1, 16, 16), bits, np.float32)
    codes = np.array(card.classes)[model.predict(windows).argmax(axis=1)]
    assert (codes == (THICK if bits else CLEAR)).all()
    assert Ensemble().bytes_needed(card, windows=2) > ProductMasks().bytes_needed(
        registry.resolve("qa-pixel", level="L1C", roles=ROLES), windows=2
    )


def test_members_are_loaded_inside_the_registrys_own_load(monkeypatch):
    """It holds a lock meanwhile, so that nothing may ask it for the members."""
    monkeypatch.setattr(registry, "_loaded", {})
    loaded = []
    card = resolve([{"model": "tta", "options": {"model": "scl"}}, "scl"])
    thread = threading.Thread(target=lambda: loaded.append(registry.load(card)), daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert len(loaded) == 1
    assert registry.load(card) is loaded[0]


def test_local_members_go_along_with_any_lattice_that_carries_them():
    ocm = {"model": "omnicloudmask", "options": {"core_px": 256, "halo_px": 128}}
    lattice = resolve([ocm, "dl-l8s2-uv", "qa-pixel"], level="L1C").lattice
    assert (lattice.core_px, lattice.halo_px) == (256, 128)


def test_lattices_that_differ_are_read_round():
    card = resolve(["ukis-csmask", "omnicloudmask", "scl"])
    # omnicloudmask: cores from 512 to 1536 have a say in pixels 480 to 1568, and see 64 px more.
    assert card.lattice == Lattice(core_px=1024, halo_px=512 + 64)
    members = Ensemble().inside(card)
    assert [each.card.lattice.window_px for each in members] == [576, 1152, 512]
    assert "core 512, halo 32, blend 32, shift 128 px" in card.version
    theirs = sum(each.bytes_needed(1) for each in members)
    assert theirs < Ensemble().bytes_needed(card, windows=1) < 2 * theirs


def test_a_local_member_that_is_not_carried_keeps_its_own_windows():
    ocm = {"model": "omnicloudmask", "options": {"core_px": 256, "halo_px": 16}}
    members = Ensemble().inside(resolve([ocm, "dl-l8s2-uv"], level="L1C"))
    assert [each.card.lattice.halo_px for each in members] == [16, 24]


def test_windows_of_several_sizes_cannot_be_turned():
    mixed = {"model": "ensemble", "options": {"members": ["ukis-csmask", "omnicloudmask"]}}
    with pytest.raises(ModelError, match=r"members of ensemble have windows of different.*tta"):
        Tta().resolve("tta", level="L2A", roles=ROLES, options=mixed)
    alike = {"model": "ensemble", "options": {"members": ["ukis-csmask", "scl"]}}
    assert Tta().resolve("tta", level="L2A", roles=ROLES, options=alike).name == "tta"


def test_without_options_it_is_the_default_of_a_job():
    card = Ensemble().resolve(
        MaskSettings().model, level="L2A", roles=ROLES, options={"precision": "bfloat16"}
    )
    first, second = Ensemble().inside(card)
    assert (first.card.name, second.card.name) == ("ukis-csmask-6b-l2a", "cloudmask-si")
    assert {each.card.options["precision"] for each in (first, second)} == {"bfloat16"}
    assert card.options["rule"] == "mean"
    assert card.options["weights"] == "[1.0,2.0]"
    assert "cloudmask-si: it misses half of the shadows" in card.limits
    assert card.best_m == 20


def test_a_member_s_own_option_wins():
    card = resolve(
        ["ukis-csmask", {"model": "omnicloudmask", "options": {"precision": "float32"}}],
        level="L2A",
        precision="bfloat16",
    )
    chosen = [each.card.options["precision"] for each in Ensemble().inside(card)]
    assert chosen == ["bfloat16", "float32"]


def test_all_that_decides_its_pixels_is_on_the_card():
    """The option `weights` alone is no part of a fingerprint: of other models it is a path."""
    versions = {
        resolve(["ukis-csmask", "scl"], weights=share).version
        for share in ([1, 2], [2, 1], None)
    }
    assert len(versions) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 5}, "option members of ensemble is a list"),
        ({"members": []}, "option members of ensemble is a list"),
        ({"members": "scl"}, "is no JSON"),
        ({"members": [3]}, "a member of ensemble is a name or"),
        ({"members": [{"model": "scl", "weight": 2}]}, "a member of ensemble is a name or"),
        ({"members": ["nonesuch"]}, "there is no model 'nonesuch'"),
        ({"members": ["dl-l8s2-uv"]}, "is for L1C items"),
        (
            {"members": ["scl"], "rule": "vote"},
            "one of mean, majority, union, confirmed; got 'vote'",
        ),
        ({"members": ["scl"], "weights": [1, 2]}, "one positive number for each of its 1"),
        ({"members": ["scl"], "weights": [0]}, "one positive number"),
        ({"members": ["scl"], "weights": "x"}, "is no JSON"),
        (
            {"members": ["scl"], "mode": 1},
            "no option 'mode'; it has members, rule, weights, precision, device",
        ),
    ],
)
def test_what_is_wrong_is_named(options, message):
    with pytest.raises(ModelError, match=message):
        Ensemble().resolve("ensemble", level="L2A", roles=ROLES, options=options)


def test_a_network_of_a_bounded_neighbourhood_takes_the_windows_of_the_others():
    alone = registry.resolve("ukis-csmask", level="L2A", roles=ROLES)
    for members in (("ukis-csmask", "cloudmask-si"), ("cloudmask-si", "ukis-csmask")):
        card = resolve(list(members))
        assert card.lattice == alone.lattice
        inside = Ensemble().inside(card)
        assert all(each.card.lattice == alone.lattice for each in inside)
    assert resolve(["cloudmask-si"]).lattice.halo_px == 128


def test_where_the_others_have_no_common_windows_it_keeps_its_own():
    members = Ensemble().inside(resolve(["ukis-csmask", "omnicloudmask", "cloudmask-si"]))
    assert [each.card.lattice.window_px for each in members] == [576, 1152, 1152]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_its_scores_on_their_windows_are_nearly_its_own(shared_data):
    """Of the pixels of a real chip few change, though their windows have a quarter of the halo."""
    reader = reader_of("chips")
    card = resolve(["ukis-csmask", "cloudmask-si"], roles=reader.card.roles)
    lent = Ensemble().inside(card)[1]
    own = registry.resolve("cloudmask-si", level="L2A", roles=reader.card.roles)
    image = next(iter(reader.read(shared_data / "labelled")))
    models = lent.load(), registry.load(own)
    lent_cloud, cloud = (
        np.isin(by_model(each, reader.card).predict(image), CLOUD) for each in models
    )
    assert 0 < (lent_cloud != cloud).mean() < 0.03

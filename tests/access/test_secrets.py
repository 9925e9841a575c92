"""Secrets stay out of reprs, messages, logs and pickles."""

import logging
import pickle

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from pipeline import access, catalogs
from pipeline.access import Credentials
from pipeline.catalogs import Storage
from pipeline.errors import AccessError
from pipeline.shown import shown

SECRET = "s3cr3t/Value+x=="
QUOTED = "s3cr3t%2FValue%2Bx%3D%3D"
VARIABLES = {
    "CLOUDMASK_CDSE_S3_KEY": "cdse-key-value",
    "CLOUDMASK_CDSE_S3_SECRET": "cdse-secret-value",
    "CLOUDMASK_EARTHDATA_TOKEN": "earthdata-token-value",
    "CLOUDMASK_PLANETARY_COMPUTER_KEY": "planetary-key-value",
}


@pytest.fixture
def accounts(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "text",
    [
        f"https://a.org/b.tif?se=2026-11-21&sp=r&sig={QUOTED}",
        f"/vsicurl/https://a.org/b.tif?sig={QUOTED}&se=2026: HTTP 403",
        f"/vsicurl?url=https%3A%2F%2Fa.org%2Fb.tif%3Fsig%3D{QUOTED}",
        f"'/b.tif?X-Amz-Date=2026&X-Amz-Credential={QUOTED}&X-Amz-Signature={QUOTED}' is not",
        f"X-Amz-Security-Token={QUOTED}",
        f"https://a.org/b.tif?Policy={QUOTED}&Signature={QUOTED}&Key-Pair-Id={QUOTED}",
        f"https://a.org/b.tif?AWSAccessKeyId={QUOTED}",
        f"https://a.org/b.tif?access_token={QUOTED}",
        f"https://a.org/b.tif?apikey={QUOTED}, and more",
        f'{{"token": "{SECRET}"}}',
        f"https://me:{QUOTED}@a.org/b.tif",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
    ],
)
def test_tokens_in_texts_are_starred(text):
    told = shown(text)
    assert "s3cr3t" not in told
    assert "***" in told
    assert shown(told) == told


@pytest.mark.parametrize(
    "text",
    [
        "item S2A_1, asset 'red': cannot be read: HTTP response code: 404",
        "https://a.org/b.tif?datetime=2026-11-21T10:00:00Z&bbox=1,2,3,4&page=2&limit=100",
        "asset key: B04 is missing; known keys: B02, B03",
        "the token server did not answer; signature ended",
        "s3://sentinel-cogs/a/B04.tif",
    ],
)
def test_other_texts_are_left_alone(text):
    assert shown(text) == text


@given(
    st.sampled_from(("sig", "X-Amz-Signature", "token", "Signature", "subscription-key")),
    st.text(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=-_.~", min_size=12
    ),
    st.sampled_from(("https://a.org/b.tif", "/vsicurl/https://a.org/b.tif", "")),
)
def test_law_no_signature_survives(name, secret, before):
    url = requests.models.RequestEncodingMixin._encode_params(
        {"x": "1", name: secret, "page": "2"}
    )
    told = shown(f"cannot read {before}?{url}: HTTP 403")
    assert secret not in told
    # A parameter that nobody knows may be anybody's secret; one of a search is none.
    assert "x=1" not in told
    assert "page=2" in told


def test_values_of_accounts_are_starred_wherever_they_stand(accounts):
    text = " ".join(VARIABLES.values())
    assert shown(f"curl said: {text}!") == "curl said: *** *** *** ***!"


def test_credentials_show_no_values_and_do_not_travel(accounts):
    found = Credentials()
    assert found.cdse_s3_key.get_secret_value() == "cdse-key-value"
    for text in (repr(found), str(found), found.model_dump_json(), str(found.model_dump())):
        assert not any(value in text for value in VARIABLES.values())
    with pytest.raises(TypeError, match="in the process that uses them"):
        pickle.dumps(found)


def test_an_opening_shows_where_and_not_with_which_secrets(accounts):
    hrefs = (
        "s3://eodata/a.jp2",
        "https://data.lpdaac.earthdatacloud.nasa.gov/a.tif",
        f"https://sentinel2l2a01.blob.core.windows.net/c/a.tif?se=2999-01-01&sig={QUOTED}",
    )
    for href in hrefs:
        found = access.opening(href, remote=True)
        for text in (repr(found), str(found), f"{found}"):
            assert not any(value in text for value in VARIABLES.values())
            assert "s3cr3t" not in text
            assert "/a." in text


@pytest.mark.parametrize("status", [403, 503])
def test_neither_messages_nor_logs_show_secrets(accounts, server, monkeypatch, caplog, status):
    caplog.set_level(logging.DEBUG)
    storage = Storage(
        signing="planetary-computer-sas",
        hosts=("127.0.0.1",),
        tokens=f"{server.url}/token",
    )
    monkeypatch.setitem(catalogs.STORAGES, "local", storage)
    server.answers["/token/127/c"] = (status, {}, f'{{"token": "{SECRET}"}}'.encode())
    with pytest.raises(AccessError) as caught:
        access.opening(f"{server.url}/c/a.tif", remote=True, hosts=("127.0.0.1",))
    monkeypatch.delitem(catalogs.STORAGES, "local")
    server.answers["/c/a.tif"] = (302, {"Location": f"http://10.0.0.1/?sig={QUOTED}"}, b"")
    with pytest.raises(AccessError) as also:
        access.opening(
            f"{server.url}/c/a.tif?token={QUOTED}", remote=True, hosts=("127.0.0.1",)
        )
    server.close()
    with pytest.raises(AccessError) as lastly:
        access.opening(
            f"{server.url}/c/b.tif?token={QUOTED}", remote=True, hosts=("127.0.0.1",)
        )
    assert "/c/a.tif" in caplog.text, "urllib3 logs its requests"
    for text in (str(caught.value), str(also.value), str(lastly.value), caplog.text):
        assert "s3cr3t" not in text
        assert not any(value in text for value in VARIABLES.values())
    for error in (caught.value, also.value, lastly.value):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_renewed_token_is_hidden_from_then_on(monkeypatch):
    for token in ("the-first-token", "the-second-token"):
        monkeypatch.setenv("CLOUDMASK_EARTHDATA_TOKEN", token)
        assert shown(f"refused: {token} is not valid") == "refused: *** is not valid"

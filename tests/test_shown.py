"""What may be seen: secrets by every way that URLs, headers and servers write them."""

import base64
import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import AssetError, SearchError
from pipeline.shown import HARMLESS, excerpt, printable, shown, strip_url
from pipeline.types import Dropped

SECRET = "hUsh7Kq2/pL+x9Zw=="
QUOTED = quote(SECRET, safe="")
TWICE = quote(QUOTED, safe="")
BASE64 = base64.b64encode(f"me:{SECRET}".encode()).decode()
NAMES = (
    *("sig", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Signature"),
    *("Policy", "Signature", "Key-Pair-Id", "token", "apikey", "api_key", "api-key", "APIKEY"),
    *("access_token", "code", "client_secret", "subscription_key", "subscription-key"),
    *("password", "auth", "key", "sv", "sr", "hdnts", "md5", "verify", "jwt", "sid", "x", "_"),
)


@pytest.mark.quick(20)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [SECRET, QUOTED, TWICE])
def test_no_parameter_of_a_url_is_shown(name, value):
    for url in (
        f"https://a.org/b.tif?{name}={value}",
        f"https://a.org/b.tif?limit=1&{name}={value}&page=2",
        f"/vsicurl/https://a.org/b.tif?{name}={value}",
        f"/vsicurl?url={quote(f'https://a.org/b.tif?{name}={value}', safe='')}",
        quote(quote(f"https://a.org/b.tif?{name}={value}", safe=""), safe=""),
        f"HTTPConnectionPool(host='a.org', port=80): Max retries exceeded with url: /s?{name}={value} (Caused by",
        f"s3://bucket/a.tif?{name}={value}",
        f"https://a.org/b.tif#{name}={value}",
        f"https://a.org/b.tif;{name}={value}",
        f"HTTPS://A.ORG/B.TIF?{name.upper()}={value}",
        f"https://a.org/b.tif?a=1&amp;{name}={value}",
        f"https://proxy.org/https://me:{QUOTED}@a.org/?{name}={value}",
        f"https://a.org/b.tif?{value}",
        f"https://a.org/b.tif?q=https://b.org/?{name}={value}",
    ):
        for text in (url, f"cannot read {url}: HTTP 403", f"({url}), and more", f"'{url}'"):
            seen = shown(text)
            assert "hUsh7Kq2" not in seen, seen
            assert shown(seen) == seen
        if url.lower().startswith(("https://", "s3://")):
            assert "hUsh7Kq2" not in strip_url(url)


@pytest.mark.parametrize(
    "text",
    [
        f"https://{QUOTED}@a.org/stac",
        f"https://me:{QUOTED}@a.org/stac",
        f"https://me:{SECRET}@a.org/stac",
        f"https://:{QUOTED}@a.org",
        f"postgresql://me:{QUOTED}@db/x",
        f"s3://{QUOTED}:x@bucket/a.tif",
        f"//me:{QUOTED}@a.org/stac",
        f"me:{QUOTED}@a.org",
        f"https://a.org/apikey/{QUOTED}/b.tif",
    ],
)
def test_no_login_is_shown(text):
    for each in (text, f"catalogue {text} is down", f'"{text}"'):
        assert "hUsh7Kq2" not in shown(each), shown(each)
        assert shown(shown(each)) == shown(each)
    assert "hUsh7Kq2" not in strip_url(text) or "://" not in text


@pytest.mark.parametrize("name", ["token", "client_secret", "api-key", "X-Api-Key", "password"])
def test_no_answer_of_a_server_is_shown_with_its_secrets(name):
    for text in (
        json.dumps({"detail": "wrong", name: SECRET}),
        json.dumps({"detail": json.dumps({name: SECRET})}),
        repr({name: SECRET}),
        f"grant_type=x&{name}={QUOTED}&scope=y",
        f"{name}: {SECRET}",
        f"{name.upper()}: {SECRET}",
        f"wrong {name}={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {BASE64}",
        f"{{'Authorization': 'Token {SECRET}'}}",
        f"Cookie: session={SECRET}; other={SECRET}",
        f"Basic {BASE64}",
    ):
        for each in (shown(text), excerpt(text), str(SearchError(text))):
            assert "hUsh7Kq2" not in each, each
            assert BASE64 not in each


@pytest.mark.parametrize(
    "text",
    [
        "item S2A_MSIL2A_20230605T101559_N0509_R065_T32UPU_20230605T162556, asset 'red': HTTP 404",
        "https://a.org/v1/search?limit=100&bbox=1,2,3,4&datetime=2023-06-01T00:00:00Z/..",
        "asset key: B04 is missing; known keys: B02, B03",
        "run.min_completeness is 90.0%; nothing is published",
        "s3://sentinel-cogs/year=2023/B04.tif, gs://a/b, zarr+./store",
        "weights sha256 0f3a9c5b2f6f1f0a8b5d6b6c; model: ukis-csmask",
        "mask.options: {precision: float32}; the token is good for an hour",
        "datetime: found '2023-06-01/..', expected an ISO date; who is it?",
    ],
)
def test_what_is_no_secret_is_left(text):
    assert shown(text) == text


@given(st.text(max_size=200))
def test_law_twice_is_as_once(text):
    assert shown(shown(text)) == shown(text)
    assert printable(printable(text)) == printable(text)
    printable(text).encode()


@given(
    st.text("abcXYZ0189+/=-_.~%", min_size=12).filter(lambda text: not text.startswith("***")),
    st.text("abcdefghijklmnop-_", min_size=1, max_size=12),
)
def test_law_no_unknown_parameter_survives(secret, name):
    if name in HARMLESS:
        return
    assert secret not in shown(f"https://a.org/?{name}={quote(secret, safe='')}&page=2")
    assert secret not in strip_url(f"https://a.org/?{name}={secret}&page=2")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f" https://a.org/b.tif?sig={QUOTED}", " https://a.org/b.tif"),
        (f"//me:{QUOTED}@a.org/b.tif?x={QUOTED}", "//a.org/b.tif"),
        (f"/vsicurl/https://a.org/b.tif?x={QUOTED}", "/vsicurl/https://a.org/b.tif"),
        (f"see https://a.org/?code={QUOTED}", "see https://a.org/"),
        (f"./b.tif?file=1&X-Amz-Signature={QUOTED}", "./b.tif?file=1"),
        (f"b.tif?token={QUOTED}", "b.tif"),
    ],
)
def test_what_is_kept_of_a_reference_has_no_secret(given, kept):
    """What did not begin with a scheme was kept as it was."""
    assert strip_url(given) == kept
    assert strip_url(kept) == kept


def test_what_is_kept_of_a_url_is_a_url():
    url = f"https://me:x@a.org:8443/a/b.tif?sig={QUOTED}&file=B04.tif&se=2026#x"
    assert strip_url(url) == "https://a.org:8443/a/b.tif?file=B04.tif"
    for plain in ("s3://bucket/a b/c.tif", "/data/50%?x#y/a.tif", "./a?b=c.tif", "C:/a.tif"):
        assert strip_url(plain) == plain


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b2J", "a\rb", "\x07", "\u202eabc", "\ud800", "\u2028", "\x00"]
)
def test_control_characters_are_written_out(text):
    seen = printable(text)
    assert seen != text
    assert seen.encode().decode().isprintable()
    assert printable("a\n\tb") == "a\n\tb"
    assert printable("a\n\tb", lines=False) == "a\\x0a\\x09b"


def test_errors_and_reasons_are_fit_to_be_seen_from_the_start():
    url = f"https://me:{QUOTED}@a.org/b.tif?sig={QUOTED}"
    error = AssetError("i\x1b[2J", "red", f"cannot be read: {url}\x1b[2J")
    for each in (error, pickle.loads(pickle.dumps(error)), SearchError(f"{url} \x1b[2J")):
        for text in (str(each), repr(each), repr(vars(each)).replace("i\\x1b", "")):
            assert "hUsh7Kq2" not in text
            assert "\x1b" not in text
    dropped = Dropped(item_id="a", reason=f"{url} \x1b[2J\n")
    assert dropped.reason == "https://***@a.org/b.tif?sig=*** \\x1b[2J\\x0a"


def test_what_a_server_said_is_cut_to_a_line():
    assert excerpt("a\n b") == "a b"
    assert len(excerpt("x" * 10**7)) == 120
    assert excerpt("<html>\x1b[31m") == "<html>\\x1b[31m"

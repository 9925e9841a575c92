"""Text that is fit to be seen: without secrets, and without what steers a terminal.

The one place that decides it, below everything else, so that whatever carries text outward can pass
it through here: errors and reasons when they are made, log records when they are made (`pipeline.watch`),
records and reports when they are written, the console when it prints.

::

    shown      signatures, tokens, keys, logins and passwords become ``***``
    starred    … without a look at the accounts of this machine
    printable  control characters become visible: an id cannot move the cursor or forge a line
    heard      both, cut: what a server said
    cut        after a word, so that it shows
    words_of   what an error said, never nothing
    bare       one URL without its secrets, to be kept and not to be seen: nothing stands for them
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote, unquote_plus

HIDDEN = "***"

HARMLESS = frozenset(
    {
        # Of searches.
        *("limit", "page", "offset", "start", "startindex", "count", "rows", "skip", "bbox"),
        *("bbox-crs", "crs", "datetime", "collections", "collection", "ids", "id", "sortby"),
        *("fields", "filter-lang", "filter-crs", "f", "format", "intersects", "item", "items"),
        # Of files.
        *("file", "filename", "path", "name", "band", "bands", "asset", "assets", "version"),
        *("versionid", "product", "tile", "level", "year", "month", "day", "variable", "layer"),
        *("service", "request", "map", "list-type", "prefix", "delimiter", "max-keys"),
        # Of stores, in the URLs of our own jobs.
        *("region", "endpoint", "endpoint_url", "anonymous", "allow_http", "force_path_style"),
    }
)
"""Names of parameters whose values are shown. A name that is not here may be anybody's secret."""

_PLAIN_VALUE = re.compile(r"(?!.*://)[\w.,:/ +*()\[\]-]{0,200}")
_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w.:$\[\]-]{0,39}")

# -- what is known to be secret wherever it stands ------------------------------------------------

_told: list[Callable[[], Iterable[str]]] = []


def hide_also(values: Callable[[], Iterable[str]]) -> None:
    """Name a function that gives values which are secret wherever they stand, as of now."""
    _told.append(values)


def shown(text: str) -> str:
    """Return a text in which signatures, tokens, keys, logins and passwords are ``***``.

    URLs are found wherever they stand, percent-encoded ones too: of their parameters only the values
    of `HARMLESS` names are left, the login goes, the fragment goes. Outside of URLs it is the name
    that tells: ``client_secret=…``, ``"apikey": "…"``, ``Authorization: …``. Twice is as once.
    """
    for values in _told:
        for secret in values():
            text = text.replace(secret, HIDDEN)
    return starred(text)


def starred(text: str) -> str:
    """Do as `shown` does, except for values of accounts: for texts from elsewhere, and many of them."""
    if not _SUSPECT.search(text):
        return text
    text = _ENCODED.sub(_decoded, text)
    text = _URL.sub(lambda found: _in_text(found[0], _seen_url), text)
    text = _LOGIN.sub(rf"\g<before>{HIDDEN}@", text)
    text = _QUERY.sub(lambda found: _in_text(found[0], _seen_query), text)
    for pattern, replacement in _NAMED:
        text = pattern.sub(replacement, text)
    return text


def bare(url: str) -> str:
    """Return a URL without login, fragment and every parameter that is not known to be harmless.

    For what is kept: nothing stands for what was taken off. Of a path, whose letters may be any, a
    query goes that names a secret; a URL that stands behind something else is treated as one.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or not _SCHEME.fullmatch(scheme):
        return _bare_reference(url)
    if not _ODD.search(rest):
        return url
    rest = rest.partition("#")[0]
    place, _, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    _, at, host = _without_login(authority, place)
    if at and "/" in host:
        host, slash, path = host.partition("/")
    path = path.partition(";")[0] if "=" in path.partition(";")[2] else path
    if inner := _NESTED.search(path):
        path = path[: inner.start()] + bare(path[inner.start() :])
    kept = _harmless(query)
    # A path can hold a secret, too: what nobody may see is not kept either.
    return starred(f"{scheme}://{host}{slash}{path}{kept}")


def _bare_reference(text: str) -> str:
    if text.startswith("//"):
        return bare(f"https:{text}").removeprefix("https:")
    if inner := _NESTED.search(text):
        return text[: inner.start()] + bare(text[inner.start() :])
    place, mark, query = text.partition("?")
    if mark and any(pattern.search(f"?{query}") for pattern, _ in _NAMED):
        return place + _harmless(query)
    return text


def _harmless(query: str) -> str:
    """Return what may be kept of a query, with its mark; nothing if that is nothing."""
    kept = "&".join(each for each in re.split("[&;]", query) if each and _is_harmless(each))
    return f"?{kept}" if kept else ""


def printable(text: str, *, lines: bool = True) -> str:
    r"""Return a text whose control characters are written out, as ``\x1b`` or ``\u202e``.

    Parameters
    ----------
    text
        From anywhere.
    lines
        Leave line breaks and tabs as they are; else they are written out too.
    """
    if text.isascii() and text.isprintable():
        return text
    return (_CONTROL if lines else _CONTROL_OR_LINE).sub(_escaped, text)


def spelt(document: str) -> str:
    r"""Return a JSON document whose steering letters are spelt, as ``\\u202e``: its values stay the same."""
    if document.isascii():
        return document
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], document)


def heard(said: object, most: int = 120) -> str:
    """Return what a server or a file said: one line, cut, fit to be seen."""
    # Cut before as well: an answer may have megabytes.
    text = " ".join(shown(str(said)[: 20 * most]).split())
    return cut(printable(text, lines=False), most)


def cut(text: str, most: int = 200) -> str:
    """Return a text on one line, cut after a word where it is longer; ``…`` says so.

    A long word, such as a URL, is cut inside.
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    kept, _, rest = line[: most - 1].rpartition(" ")
    short = kept if kept and len(rest) <= most // 2 else line[: most - 2]
    # A bracket or quote that opens at the end would never be closed.
    return f"{short.rstrip(' ,;:([{<')} …"


def words_of(error: BaseException, most: int = 200) -> str:
    """Return what an error says, never nothing: its kind where that is all, or where it is needed."""
    said, kind = heard(error, most), type(error).__name__
    # `KeyError: 'href'` is an answer, `'href'` is none.
    if isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return f"{kind}: {said}" if said else kind
    return said or kind


# -- control characters --------------------------------------------------------------------------

_STEERING = (
    # C0 without tab and line feed, DEL, C1.
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"
    # Line separators; directions; what joins, hides or tags; half of a pair that has no other half.
    r"\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_STEERING}]")
_CONTROL_OR_LINE = re.compile(f"[\t\n{_STEERING}]")


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


# -- URLs ----------------------------------------------------------------------------------------

_SUSPECT = re.compile(r"[=@:?]|%(?:25)*(?:3[adf]|40)|bearer|basic|eyJ|AKIA|ASIA", re.IGNORECASE)
"""A text without any of these is left alone, which is most texts."""

_ODD = re.compile(
    r"[?#@;=]|://|%(?:25)*(?:3[adf]|40)|api[-_]?key|token|secret|passw|eyJ|AKIA|ASIA",
    re.IGNORECASE,
)
"""What is behind the scheme of a URL is kept as it is without any of these, which most are."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_URL = re.compile(
    r"(?<=')[A-Za-z][A-Za-z0-9+.-]*://[^\s'<>]*|[A-Za-z][A-Za-z0-9+.-]*://[^\s\"<>]*"
)
_ENCODED = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*(?:%(?:25)*3A)(?:%(?:25)*2F){2}[^\s\"'<>]*", re.IGNORECASE
)
_QUERY = re.compile(r"(?<!\*)\?[^\s\"<>?]*=[^\s\"<>]*")
_LOGIN = re.compile(
    r"(?P<before>//|(?<![\w.+/@*-]))(?!\*\*\*@)[\w.+%~$-]*:[^\s/@\"'<>]+@(?=[\w\[])"
)
_END = ".,;:!?)]}'\"\\`"
_NESTED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET_SEGMENT = re.compile(
    r"(?P<name>/(?:api[-_]?key|access[-_]?token|password|secret|client[-_]secret))/(?!\*\*\*)[^/?]+",
    re.IGNORECASE,
)


def _decoded(found: re.Match[str]) -> str:
    text = found[0]
    for _ in range(4):
        text, before = unquote(text), text
        if text == before:
            break
    # Whatever was encoded in it is part of it, be it a space.
    return _in_text(re.sub(r"\s|[\"'<>]", "+", text), _seen_url)


def _in_text(text: str, clean: Callable[[str], str]) -> str:
    """Clean what stands in a sentence: the sentence's own marks at its end are not part of it."""
    body = text.rstrip(_END)
    return clean(body) + text[len(body) :]


def _seen_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    rest = rest.partition("#")[0]
    place, mark, query = rest.partition("?")
    authority = place.partition("/")[0]
    _, at, host = _without_login(authority, place)
    if at:
        place = f"{HIDDEN}@{host}{'' if '/' in host else place[len(authority) :]}"
    if inner := _NESTED.search(place):
        place = place[: inner.start()] + _seen_url(place[inner.start() :])
    place = _SECRET_SEGMENT.sub(rf"\g<name>/{HIDDEN}", place)
    if ";" in place:
        first, *others = place.split(";")
        place = ";".join([first, *(_seen_parameter(each) for each in others)])
    return f"{scheme}://{place}{_seen_query(mark + query) if mark else ''}"


def _without_login(authority: str, place: str) -> tuple[str, str, str]:
    """Return login, ``@`` or nothing, and host; a password may hold the slash that ends a host."""
    if "@" in authority:
        return authority.rpartition("@")
    port = authority.rpartition("]")[2].partition(":")[2]
    if "@" in place and port and not port.isdigit():
        return place.rpartition("@")
    return "", "", authority


def _seen_query(query: str) -> str:
    return "?" + re.sub(r"[^&;]+", lambda found: _seen_parameter(found[0]), query[1:])


def _seen_parameter(parameter: str) -> str:
    if _is_harmless(parameter) or parameter == "amp":
        return parameter
    name, equals, value = parameter.partition("=")
    if not equals or not value.strip("=") or not _PLAIN_NAME.fullmatch(unquote_plus(name)):
        return HIDDEN
    return f"{name}={HIDDEN}"


def _is_harmless(parameter: str) -> bool:
    """Say whether one ``name=value`` of a query may be seen."""
    name, equals, value = parameter.partition("=")
    if unquote_plus(name).lower() not in HARMLESS:
        return False
    return not equals or _PLAIN_VALUE.fullmatch(unquote_plus(value)) is not None


# -- names that tell of secrets, outside of URLs --------------------------------------------------

_SECRETISH = (
    r"(?:[\w.-]*[._-])?sig|[\w.-]*(?:signature|token|jwt|secret|passw(?:or)?d|passphrase|pwd|credentials?|cookie"
    r"|api[-_.]?key|access[-_.]?key|subscription[-_.]?key|account[-_.]?key|private[-_.]?key"
    r"|key[-_.]?pair[-_.]?id|keyid|session[-_.]?id|authorization|assertion|hmac)[\w.-]*"
)
_ALSO_IN_PAIRS = r"|[\w.-]*(?:key|auth|policy)|code|sid|sas|ticket"
"""With an equals sign these tell, too; in prose they do not: ``key: B04``."""

_VALUE = r"(?!\*\*\*)[^&\s\"'<>,;)}]+"
_FLAGS = re.IGNORECASE

_NAMED: tuple[tuple[re.Pattern[str], str], ...] = (
    # Whole headers: the value is all that follows.
    (
        re.compile(
            r"(?P<name>\b(?:proxy-)?authorization|\b(?:set-)?cookie)"
            r"(?P<is>\\?[\"']?\s*[:=](?!\s*\\?[\"']?\*\*\*)\s*\\?[\"']?)[^\r\n\"'\\]+",
            _FLAGS,
        ),
        rf"\g<name>\g<is>{HIDDEN}",
    ),
    (
        re.compile(
            r"\b(?P<kind>Bearer|Basic|Digest|ApiKey)\s+(?!\*\*\*)(?=\S{6})[^\s\"',;]+", _FLAGS
        ),
        rf"\g<kind> {HIDDEN}",
    ),
    # "name": "value", as JSON or as Python's repr; numbers count too.
    (
        re.compile(
            rf"(?P<name>[\"'](?:{_SECRETISH}{_ALSO_IN_PAIRS})\\?[\"']\s*[:=]\s*)(?P<quote>\\?[\"'])"
            r"(?!\*\*\*)(?:(?!(?P=quote)).)+",
            _FLAGS,
        ),
        rf"\g<name>\g<quote>{HIDDEN}",
    ),
    (
        re.compile(
            rf"(?P<name>[\"'](?:{_SECRETISH})\\?[\"']\s*[:=]\s*)(?P<value>[\w.+/-]+)", _FLAGS
        ),
        rf"\g<name>{HIDDEN}",
    ),
    # name=value, also with a percent-encoded sign.
    (
        re.compile(
            rf"(?P<name>(?:(?<![\w.%-])|%3F|%26)(?:{_SECRETISH}{_ALSO_IN_PAIRS}))"
            rf"(?P<is>=|%3D)[\"']?{_VALUE}",
            _FLAGS,
        ),
        rf"\g<name>\g<is>{HIDDEN}",
    ),
    # name: value, where the value is no word of a sentence.
    (
        re.compile(
            rf"(?<![\w.-])(?P<name>{_SECRETISH})(?P<is>\s?:\s*)(?=[^\s]*\d|[^\s]{{16}}){_VALUE}",
            _FLAGS,
        ),
        rf"\g<name>\g<is>{HIDDEN}",
    ),
    # What is a secret by its look.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), HIDDEN),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.DOTALL
        ),
        HIDDEN,
    ),
)

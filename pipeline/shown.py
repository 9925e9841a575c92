"""Text that is safe to show: without secrets, and without control characters.

All text that leaves the program passes here: errors, reasons and log records (`pipeline.watch`) when they
are made, records and reports when they are written, the console when it prints.

::

    shown          replaces signatures, tokens, keys, logins and passwords by ``***``
    hide_patterns  … those that a pattern recognises, not the values of this machine's accounts
    printable      escapes control characters: an id cannot move the cursor or forge a line
    excerpt        `shown` and `printable` on one shortened line: for the answer of a server
    cut            shortens after a word, with ``…``
    words_of       the message of an error, or its class
    seen           `hide_patterns` in all texts and keys of JSON values
    strip_url      removes the secrets from one URL, which is to be stored
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

from pipeline.secret_patterns import HIDDEN, SECRETS

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
"""Names of URL parameters whose values are shown; any other name may be that of a secret."""

_PLAIN_VALUE = re.compile(r"(?!.*://)[\w.,:/ +*()\[\]-]{0,200}")
_PLAIN_NAME = re.compile(r"[A-Za-z_$][\w.:$\[\]-]{0,39}")

_accounts: list[Callable[[], Iterable[str]]] = []


def hide_also(values: Callable[[], Iterable[str]]) -> None:
    """Register a function that returns values which are always secret; it is called each time."""
    _accounts.append(values)


def shown(text: str) -> str:
    """Return a text in which signatures, tokens, keys, logins and passwords are ``***``.

    Of URLs anywhere in the text, also percent-encoded ones, the login, the fragment and the values of
    all parameters that are not `HARMLESS` are replaced. Outside of URLs the name decides:
    ``client_secret=…``, ``"apikey": "…"``, ``Authorization: …``. Applied twice, it changes no more.
    """
    for values in _accounts:
        for secret in values():
            text = text.replace(secret, HIDDEN)
    return hide_patterns(text)


def hide_patterns(text: str) -> str:
    """Hide the secrets that a pattern recognises, as in the many texts of an item; see `shown`."""
    if not _SUSPECT.search(text):
        return text
    text = _ENCODED.sub(_decoded, text)
    text = _URL.sub(lambda found: _in_text(found[0], _seen_url), text)
    text = _LOGIN.sub(rf"\g<before>{HIDDEN}@", text)
    text = _QUERY.sub(lambda found: _in_text(found[0], _seen_query), text)
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def strip_url(url: str) -> str:
    """Return a URL without its login, its fragment and all parameters that are not `HARMLESS`.

    For storing: nothing replaces what is removed. Of a path, in which ``?`` is an ordinary letter, only a
    query that names a secret is removed. A URL inside the text is treated as one.
    """
    scheme, mark, rest = url.partition("://")
    if not mark or not _SCHEME.fullmatch(scheme):
        return _strip_reference(url)
    if not _ODD.search(rest):
        return url
    rest = rest.partition("#")[0]
    address, _, query = rest.partition("?")
    authority, slash, path = address.partition("/")
    _, at, host = _without_login(authority, address)
    if at and "/" in host:
        host, slash, path = host.partition("/")
    path = path.partition(";")[0] if "=" in path.partition(";")[2] else path
    if inner := _NESTED.search(path):
        path = path[: inner.start()] + strip_url(path[inner.start() :])
    harmless = _harmless(query)
    # A path can contain a secret, too.
    return hide_patterns(f"{scheme}://{host}{slash}{path}{harmless}")


def _strip_reference(text: str) -> str:
    if text.startswith("//"):
        return strip_url(f"https:{text}").removeprefix("https:")
    if inner := _NESTED.search(text):
        return text[: inner.start()] + strip_url(text[inner.start() :])
    address, mark, query = text.partition("?")
    if mark and any(pattern.search(f"?{query}") for pattern, _ in SECRETS):
        return address + _harmless(query)
    return text


def _harmless(query: str) -> str:
    """Return the harmless parameters of a query behind a ``?``, or nothing if there are none."""
    rest = "&".join(each for each in re.split("[&;]", query) if each and _is_harmless(each))
    return f"?{rest}" if rest else ""


def printable(text: str, *, lines: bool = True) -> str:
    r"""Return a text whose control characters are escaped, as ``\x1b`` or ``\u202e``.

    Parameters
    ----------
    text
        From anywhere.
    lines
        Leave line breaks and tabs as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return (_CONTROL if lines else _CONTROL_OR_LINE).sub(_escaped, text)


def escape_json(document: str) -> str:
    r"""Escape the control characters of a JSON document, as ``\\u202e``; its values stay the same."""
    if document.isascii():
        return document
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], document)


def excerpt(answer: object, most: int = 120) -> str:
    """Return text of a server or a file as one shortened line that is safe to show."""
    # Cut before as well: an answer may have megabytes.
    text = " ".join(shown(str(answer)[: 20 * most]).split())
    return cut(printable(text, lines=False), most)


def cut(text: str, most: int = 200) -> str:
    """Return a text on one line; a longer one is cut after a word and ends with ``…``.

    A long word, such as a URL, is cut inside.
    """
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    words, _, rest = line[: most - 1].rpartition(" ")
    short = words if words and len(rest) <= most // 2 else line[: most - 2]
    # A bracket or quote that opens at the end would never be closed.
    return f"{short.rstrip(' ,;:([{<')} …"


def words_of(error: BaseException, most: int = 200) -> str:
    """Return the message of an error, with its class where the message alone is unclear."""
    message, kind = excerpt(error, most), type(error).__name__
    # `KeyError: 'href'` is clear, `'href'` is not.
    if isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return f"{kind}: {message}" if message else kind
    return message or kind


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
"""Most texts have none of these, and no secret."""

_ODD = re.compile(
    r"[?#@;=]|://|%(?:25)*(?:3[adf]|40)|api[-_]?key|token|secret|passw|eyJ|AKIA|ASIA",
    re.IGNORECASE,
)
"""Most URLs have none of these behind the scheme, and no secret."""

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
    # A space that was encoded belongs to the URL.
    return _in_text(re.sub(r"\s|[\"'<>]", "+", text), _seen_url)


def _in_text(text: str, clean: Callable[[str], str]) -> str:
    """Clean a part of a sentence; punctuation at its end belongs to the sentence."""
    body = text.rstrip(_END)
    return clean(body) + text[len(body) :]


def _seen_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    rest = rest.partition("#")[0]
    address, mark, query = rest.partition("?")
    authority = address.partition("/")[0]
    _, at, host = _without_login(authority, address)
    if at:
        address = f"{HIDDEN}@{host}{'' if '/' in host else address[len(authority) :]}"
    if inner := _NESTED.search(address):
        address = address[: inner.start()] + _seen_url(address[inner.start() :])
    address = _SECRET_SEGMENT.sub(rf"\g<name>/{HIDDEN}", address)
    if ";" in address:
        first, *others = address.split(";")
        address = ";".join([first, *(_seen_parameter(each) for each in others)])
    return f"{scheme}://{address}{_seen_query(mark + query) if mark else ''}"


def _without_login(authority: str, address: str) -> tuple[str, str, str]:
    """Return login, ``@`` or nothing, and host; a password may contain the slash that ends a host."""
    if "@" in authority:
        return authority.rpartition("@")
    port = authority.rpartition("]")[2].partition(":")[2]
    if "@" in address and port and not port.isdigit():
        return address.rpartition("@")
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
    """Tell whether one ``name=value`` of a query may be shown."""
    name, equals, value = parameter.partition("=")
    if unquote_plus(name).lower() not in HARMLESS:
        return False
    return not equals or _PLAIN_VALUE.fullmatch(unquote_plus(value)) is not None


def seen(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return JSON values with secrets replaced in all texts and keys: a record is published and printed."""
    if isinstance(value, str):
        return hide_patterns(value)
    if isinstance(value, Mapping):
        return {hide_patterns(name): seen(each) for name, each in value.items()}
    return [seen(each) for each in value] if isinstance(value, list) else value

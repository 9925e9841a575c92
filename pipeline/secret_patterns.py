"""Patterns of secrets outside of URLs: by the name before them, or by their look."""

from __future__ import annotations

import re

HIDDEN = "***"
"""What replaces a secret; patterns do not match it, so that replacing twice changes nothing."""

_SECRETISH = (
    r"(?:[\w.-]*[._-])?sig|[\w.-]*(?:signature|token|jwt|secret|passw(?:or)?d|passphrase|pwd|credentials?|cookie"
    r"|api[-_.]?key|access[-_.]?key|subscription[-_.]?key|account[-_.]?key|private[-_.]?key"
    r"|key[-_.]?pair[-_.]?id|keyid|session[-_.]?id|authorization|assertion|hmac)[\w.-]*"
)
_ALSO_IN_PAIRS = r"|[\w.-]*(?:key|auth|policy)|code|sid|sas|ticket"
"""Secret only with an equals sign: ``key: B04`` in prose is none."""

_VALUE = r"(?!\*\*\*)[^&\s\"'<>,;)}]+"
_FLAGS = re.IGNORECASE

SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Whole headers: the value is the rest of the line.
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
    # name: value, if the value has a digit or is long: no word of a sentence.
    (
        re.compile(
            rf"(?<![\w.-])(?P<name>{_SECRETISH})(?P<is>\s?:\s*)(?=[^\s]*\d|[^\s]{{16}}){_VALUE}",
            _FLAGS,
        ),
        rf"\g<name>\g<is>{HIDDEN}",
    ),
    # JSON web tokens, AWS key ids, private keys.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), HIDDEN),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.DOTALL
        ),
        HIDDEN,
    ),
)
"""Pattern and replacement, in this order."""

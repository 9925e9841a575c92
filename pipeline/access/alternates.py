"""Which of an asset's locations is read, where it has several."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pipeline.access.locations import find_storage
from pipeline.access.signed_href import full_href, is_lost
from pipeline.access.signing import can_sign
from pipeline.access.trust import SCHEMES, refused
from pipeline.errors import AccessError

OPEN, ACCOUNT, UNKNOWN, UNREADABLE, REFUSED = range(5)
"""Who can read a location: anybody, with an account, unknown, nobody, not allowed; the lower the better."""

LOST = (
    "its catalogue signed the link, and signatures are not kept: a run whose dates cover the item "
    "gets a new one from the catalogue"
)

_RANKS = {"none": OPEN, "planetary-computer-sas": OPEN, "web-login": UNREADABLE}


def preferred_href(asset: Mapping[str, Any], *, hosts: Collection[str] = ()) -> str:
    """Return the location of an asset that can be read: its ``href``, or else an alternate.

    The catalogue's own choice stands unless it cannot be read here: USGS's links want a login in a
    browser, and the same file lies in a bucket.

    Parameters
    ----------
    asset
        One asset of an item, as in its JSON, with hrefs made absolute; ``alternate`` as the
        alternate-assets extension defines it (https://github.com/stac-extensions/alternate-assets).
    hosts
        Hosts that may be read although their address is private; see `refused`.

    Raises
    ------
    AccessError
        Its link was signed by the catalogue, for an earlier run.
    """
    href = full_href(asset["href"])
    if not asset.get("alternate"):
        if is_lost(asset):
            raise AccessError(LOST)
        return href
    own = UNREADABLE if is_lost(asset) else _rank(href, hosts, remote=False)
    if own in (OPEN, UNKNOWN):
        return href
    others = [(_rank(other, hosts, remote=True), other) for other in _alternates(asset)]
    best, other = min(others, default=(own, href), key=lambda each: each[0])
    if own == ACCOUNT:
        # Checked last, because it reads the environment, and there are thousands of assets.
        return other if best <= UNKNOWN and best != ACCOUNT and not _has_account(href) else href
    if best >= own and is_lost(asset):
        raise AccessError(LOST)
    return other if best < own else href


def _has_account(href: str) -> bool:
    storage = find_storage(href)[1]
    return storage is None or can_sign(storage)


def _alternates(asset: Mapping[str, Any]) -> Iterator[str]:
    found = asset.get("alternate") or ()
    # An object of objects by the extension; lists and plain strings are met as well.
    for alternate in found.values() if isinstance(found, Mapping) else found:
        href = alternate.get("href") if isinstance(alternate, Mapping) else alternate
        if isinstance(href, str) and not (
            isinstance(alternate, Mapping) and is_lost(alternate)
        ):
            yield full_href(href)


def _rank(href: str, hosts: Collection[str], *, remote: bool) -> int:
    """Return who can read a location; see `OPEN` and the others."""
    if refused(href, remote=remote, hosts=hosts) is not None:
        return REFUSED
    if href.partition(":")[0].lower() not in SCHEMES:
        return UNKNOWN
    storage = find_storage(href)[1]
    return UNKNOWN if storage is None else _RANKS.get(storage.signing, ACCOUNT)

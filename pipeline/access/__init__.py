"""How an asset's href may be reached: what is refused, who must sign, which settings GDAL needs.

::

    references   where an href of a document leads, and how one is written
    trust        what may be read at all, judged from the text alone
    addresses    … whether a host is of the public internet, however it is spelt
    network      names and redirects of unknown hosts, looked at just before a read
    locations    the parts of a location, and the signature that it may bring
    signing      what each kind of storage asks for (the tables are in `pipeline.catalogs`)
    sas          … tokens of the Planetary Computer
    secrets      credentials
    opening      all of it: what GDAL is given, and with which settings
    alternates   which of an asset's locations is read
    failures     which failures are worth another attempt: one table for all
    retry        the retry policy: how often, how long to wait, when to give up
    watch        what libraries log, warn of and die of
    keeping      what is kept of an item: no secret, and links that know their signature in this run
"""

from __future__ import annotations

from pipeline.access.alternates import preferred_href
from pipeline.access.failures import FailedAttempt, Verdict
from pipeline.access.keeping import Href, keep, kept_document, signatures, signed, whole
from pipeline.access.opening import Opening, forget, opening
from pipeline.access.references import reference, resolved
from pipeline.access.retry import RetryPolicy
from pipeline.access.secrets import Credentials
from pipeline.access.trust import is_remote, refused
from pipeline.access.watch import watch_output
from pipeline.shown import bare, heard, printable, shown

__all__ = [
    "Credentials",
    "FailedAttempt",
    "Href",
    "Opening",
    "RetryPolicy",
    "Verdict",
    "bare",
    "forget",
    "heard",
    "is_remote",
    "keep",
    "kept_document",
    "opening",
    "preferred_href",
    "printable",
    "reference",
    "refused",
    "resolved",
    "shown",
    "signatures",
    "signed",
    "watch_output",
    "whole",
]

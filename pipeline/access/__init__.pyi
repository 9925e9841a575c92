from .alternates import preferred_href
from .failures import FailedAttempt, Verdict
from .open_location import Opening, forget, opening
from .reduced_items import reduce_document, reduce_item
from .references import reference, resolved
from .retry import RetryPolicy
from .secrets import Credentials
from .signed_href import Href, full_href, signatures, signed
from .trust import is_remote, refused

__all__ = [
    "Credentials",
    "FailedAttempt",
    "Href",
    "Opening",
    "RetryPolicy",
    "Verdict",
    "forget",
    "full_href",
    "is_remote",
    "opening",
    "preferred_href",
    "reduce_document",
    "reduce_item",
    "reference",
    "refused",
    "resolved",
    "signatures",
    "signed",
]

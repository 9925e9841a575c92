from .alternates import preferred_href
from .failures import FailedAttempt, Verdict
from .keeping import Href, keep, kept_document, signatures, signed, whole
from .opening import Opening, forget, opening
from .references import reference, resolved
from .retry import RetryPolicy
from .secrets import Credentials
from .trust import is_remote, refused

__all__ = [
    "Credentials",
    "FailedAttempt",
    "Href",
    "Opening",
    "RetryPolicy",
    "Verdict",
    "forget",
    "is_remote",
    "keep",
    "kept_document",
    "opening",
    "preferred_href",
    "reference",
    "refused",
    "resolved",
    "signatures",
    "signed",
    "whole",
]

from .answer import in_words, require_archived, to_dict, to_rows
from .export import export
from .selection import select_composite, select_masks
from .statistics import clear_sky

__all__ = [
    "clear_sky",
    "export",
    "in_words",
    "require_archived",
    "select_composite",
    "select_masks",
    "to_dict",
    "to_rows",
]

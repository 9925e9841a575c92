"""A STAC API over what is stored, by stac-fastapi.

::

    documents   collections and items of a snapshot, without the server's address
    search      which items are meant: area, dates, ids; order and pages
    client      what stac-fastapi asks
    api         the application, its paths, below /stac
"""

import logging

# stac-fastapi makes settings of its own when it is imported, which nobody uses, and warns that they are defaults; ours
# come later (`api`). A level, and not a filter, because it is put back to what it was.
_log = logging.getLogger("stac_fastapi.types.config")
_level = _log.level
_log.setLevel(logging.ERROR)
try:
    from pipeline.serve.stac.api import add_api
finally:
    _log.setLevel(_level)

__all__ = ["add_api"]

"""Job -> Items: ask the catalogues, keep what covers the AOI, the newest processing of each.

The only user of pystac_client. A catalogue is a STAC API, a static catalogue (by URL or path), or
items in a file. `save_items` writes the answer to a file that a later job can name as its catalogue.

::

    finding    the search itself: which items belong, which are dropped and why
    api        … asks a STAC API, page by page
    walk       … walks a static catalogue, link by link
    files      … reads and writes files of items: JSON, newline-delimited JSON, GeoParquet
    documents  parses a document as an item, as far as it can be understood
    empty      why nothing was found
    web        one document over HTTP: tried again, bounded in time, redirects checked
    response   … its answer as a JSON object, or why it is none
    reaching   … whether the host can be reached at all
    limits     how long to wait, how much to read, how fast to ask
    matching   queries and CQL2 filters, applied to an item
"""

from pipeline.search.files import save_items
from pipeline.search.finding import keep_newest, search
from pipeline.search.limits import RequestLimits
from pipeline.search.matching import matches_query

__all__ = [
    "RequestLimits",
    "keep_newest",
    "matches_query",
    "save_items",
    "search",
]

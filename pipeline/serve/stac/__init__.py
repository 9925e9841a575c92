"""A STAC API over what is stored, by stac-fastapi.

::

    documents   collections and items of a snapshot, without the server's address
    search      which items are meant: area, dates, ids; order and pages
    client      what stac-fastapi asks
    api         the application, its paths, below /stac
"""

from pipeline.serve.stac.api import add_api

__all__ = ["add_api"]

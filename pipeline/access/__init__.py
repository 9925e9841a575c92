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
    keeping      what is kept of an item: no secret, and links that know their signature in this run

Nothing is imported before it is used: what only retries needs neither requests nor pystac.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Access to assets: which hrefs are refused, how they are signed, and which options GDAL gets.

::

    references      the absolute location that an href of a document means, and back
    trust           which locations are refused, judged from the text alone
    addresses       … whether a host is part of the public internet, in any spelling
    network         … names and redirects of unknown hosts, checked just before a read
    locations       host, bucket and key of a location, and the signature in it
    signing         credentials and tokens of each kind of storage (the tables are in `pipeline.catalogs`)
    secrets         … accounts, from the environment
    answer_cache    a cache for answers of servers
    open_location   all of it: the path and the options that GDAL gets
    alternates      which of an asset's locations is read
    reduced_items   what is stored of an item: known fields, and no secret
    signed_href     links that are stored without their signature and opened with it during the run
    failures        which failures are worth another attempt: one table for all
    retry           the retry policy: how often, how long to wait, when to give up

Nothing is imported before it is used: a store needs the retry policy and none of the rest.
"""

from collections.abc import Iterable

import lazy_loader

from pipeline.shown import hide_also

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _accounts() -> Iterable[str]:
    from pipeline.access.secrets import values  # noqa: PLC0415

    return values()


hide_also(_accounts)

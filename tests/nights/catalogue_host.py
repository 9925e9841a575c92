"""``python -m tests.nights.catalogue_host ITEMS ADDRESS``: a STAC API over a file of items.

The file is read anew at each question, so that items appear as it is written. The port is written to
ADDRESS.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.search.serving import Answer, Api, Asked, Server


def main(items: str, address: str) -> None:
    server = Server()

    def answer(asked: Asked) -> Answer:
        return Api(server, json.loads(Path(items).read_text()))(asked)

    server.answer = answer
    Path(address).write_text(str(server.server_port))
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

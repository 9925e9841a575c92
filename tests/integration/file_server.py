"""``python file_server.py FOLDER PORT``: files over HTTP, in a process of their own.

GDAL reads from it while it holds the interpreter of the tests, so that it cannot run in there.
"""

import sys

import uvicorn
from starlette.staticfiles import StaticFiles

if __name__ == "__main__":
    uvicorn.run(
        StaticFiles(directory=sys.argv[1]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
    )

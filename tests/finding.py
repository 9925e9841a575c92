"""Finds planted secrets in whatever was written: plain, percent-encoded, in base64, within compressed files."""

import base64
import contextlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FRAME = b"\x28\xb5\x2f\xfd"
"""How a frame of zstd begins."""


PREFIX = "ZqHushKx9"
"""How every secret begins: what has no spelling of it need not be searched for each of them."""


class Planted:
    """Secrets, each of its own letters, by what they were planted in."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}

    def __call__(self, kind: str) -> str:
        """Make one; letters and digits alone, which stay themselves in URLs and in base64 at three places."""
        return self.kinds.setdefault(kind, f"{PREFIX}{secrets.token_hex(10)}")

    def found_in(self, content: bytes) -> set[str]:
        """Return the kinds whose secrets stand in some bytes."""
        # Base64 comes in lines of 76 letters, whose ends JSON spells.
        joined = content.replace(b"\\n", b"").replace(b"\n", b"")
        if not any(each in content or each in joined for each in spellings(PREFIX)):
            return set()
        return {
            kind
            for kind, secret in self.kinds.items()
            if any(each in content or each in joined for each in spellings(secret))
        }

    def found_below(self, *places: Path) -> dict[str, set[str]]:
        """Return the kinds found in files and folders, by file: bytes, and what is packed in them."""
        found: dict[str, set[str]] = {}
        for file in files(places):
            here = self.found_in(str(file).encode())
            for content in unpacked(file):
                here |= self.found_in(content)
            if here:
                found[str(file)] = here
        return found


def spellings(secret: str) -> list[bytes]:
    """Return a secret as it is, and in base64 wherever it stands in what was encoded."""
    found = [secret.encode()]
    for before in range(3):
        coded = base64.b64encode(b"x" * before + secret.encode() + b"x" * 3)
        # What depends on the neighbours is left out.
        found.append(coded[4 if before else 0 : 4 * ((before + len(secret)) // 3)])
    return found


def files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        assert place.exists(), place
        yield from (each for each in sorted([place, *place.rglob("*")]) if each.is_file())


def unpacked(file: Path) -> Iterator[bytes]:
    """Yield what a file has: its bytes, its frames of zstd, its rows if it is a table."""
    content = file.read_bytes()
    yield from layers(content)
    if content.startswith(b"PAR1"):
        yield repr(pq.read_table(file).to_pylist()).encode()
    if content.startswith(b"SQLite format 3"):
        yield from rows(file)


def layers(content: bytes) -> Iterator[bytes]:
    """Yield some bytes, and what their frames of zstd hold: a small chunk is a frame within a manifest's."""
    yield content
    at = content.find(FRAME)
    while at >= 0:
        frame = content[at : at + frame_length(content, at)]
        # By chance its four bytes are part of something else.
        with contextlib.suppress(OSError):
            yield from layers(pa.CompressedInputStream(pa.BufferReader(frame), "zstd").read())
        at = content.find(FRAME, at + 1)


def frame_length(content: bytes, at: int) -> int:
    """Return how many bytes a frame of zstd has: its headers say (RFC 8878)."""
    told = content[at + 4] if at + 4 < len(content) else 0
    single = bool(told & 0x20)
    length = 5 + (not single) + (0, 1, 2, 4)[told & 3]
    length += (int(single), 2, 4, 8)[told >> 6]
    while True:
        block = int.from_bytes(content[at + length : at + length + 3], "little")
        length += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        if block & 1 or at + length >= len(content):
            return length + 4 * (told >> 2 & 1)


def rows(file: Path) -> Iterator[bytes]:
    """Yield every row of an SQLite file, with what its journal has."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as opened:
        tables = [
            name
            for (name,) in opened.execute("select name from sqlite_master where type='table'")
        ]
        for table in tables:
            for row in opened.execute(f'select * from "{table}"'):
                yield repr(row).encode()

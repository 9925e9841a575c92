"""The container of CloudSEN12+: files inside a file, with a Parquet table at its end.

From its start: 2 bytes ``#y`` (tortilla) or ``WX`` (TACO), then offset and length of the table as
little-endian 64-bit numbers. Each row of the table is a file by ``tortilla:offset`` (from the start
of its container) and ``tortilla:length``; a file may be such a container itself. The published
reader is ``tacoreader`` below 1 (MIT); releases from 2 read another format. Only the table needs a
library: pyarrow, which is an optional extra here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.datasets.files import need
from pipeline.datasets.labels import malformed
from pipeline.errors import ConfigError

MAGIC = (b"#y", b"WX")
_COLUMNS = ("tortilla:id", "tortilla:file_format", "tortilla:offset", "tortilla:length")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainedFile:
    """One file inside a container."""

    container: Path
    offset: int
    """From the start of the container's file, in bytes."""
    length: int
    row: Mapping[str, Any]
    """Its row of the table."""

    @property
    def id(self) -> str:
        """Its name in the container."""
        return str(self.row["tortilla:id"])

    @property
    def gdal_path(self) -> str:
        """What GDAL opens."""
        return f"/vsisubfile/{self.offset}_{self.length},{self.container}"

    def parts(self) -> list[ContainedFile]:
        """Return what is in it, if it is a container itself."""
        return _parts(self.container, self.offset)


def open_container(path: Path) -> list[ContainedFile]:
    """Return the files of a container.

    Raises
    ------
    LabelledDataError
        It is none, or is cut off.
    ConfigError
        pyarrow is not installed.
    """
    return _parts(need(path, "a .taco or .tortilla file"), 0)


def _parts(path: Path, start: int) -> list[ContainedFile]:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(start)
        head = file.read(18)
        if head[:2] not in MAGIC or len(head) < 18:
            raise malformed(path, f"byte {start} begins {head[:2]!r}", "a tortilla or a TACO")
        offset, length = (int.from_bytes(head[at : at + 8], "little") for at in (2, 10))
        if start + offset + length > size:
            raise malformed(
                path, f"it has {size} bytes", f"{start + offset + length}: it is cut off"
            )
        file.seek(start + offset)
        rows = _table(path, file.read(length))
    return [_part(path, start, row, size) for row in rows]


def _part(path: Path, start: int, row: Mapping[str, Any], size: int) -> ContainedFile:
    lacking = [column for column in _COLUMNS if column not in row]
    if lacking:
        raise malformed(
            path, f"its table lacks {', '.join(lacking)}", "the table of a tortilla"
        )
    offset, length = start + int(row["tortilla:offset"]), int(row["tortilla:length"])
    if not (start <= offset and length >= 0 and offset + length <= size):
        raise malformed(path, f"{row['tortilla:id']} lies beyond its end", "a whole file")
    return ContainedFile(container=path, offset=offset, length=length, row=row)


def _table(path: Path, content: bytes) -> list[dict[str, Any]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an optional extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            f"{path}: reading TACO files needs pyarrow: install cloudmask[taco]"
        ) from None
    try:
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise malformed(path, f"its table cannot be read ({error})", "Parquet") from None
    return rows

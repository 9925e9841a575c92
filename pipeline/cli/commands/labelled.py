"""The command that measures a model, or existing masks, against hand-drawn labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.cli import show
from pipeline.cli.commands.models import read_options
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.datasets.labels import DatasetCard, Labelled
    from pipeline.evaluate.labelled import Masker
    from pipeline.evaluate.results import Results


AGAINST_TRUTH = "against-truth"
"""Name of the default command of the group; no store is likely to have this name."""


class StoreByDefault(TyperGroup):
    """A group whose first argument is a store unless it names a command of the group."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- see `app`
        """Insert the default command before a first argument that is no command."""
        named = not args or args[0] in self.commands or args[0] == "--help"
        return super().parse_args(ctx, args if named else [AGAINST_TRUTH, *args])


def evaluate_labelled(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="chips, sparcs, l8biome, …")
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder or file of it.")],
    *,
    model: Annotated[str | None, typer.Option(help="As in `models list`.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="As in a job file.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks, <id>.tif, instead of a model.")
    ] = None,
    dilate_m: Annotated[
        float, typer.Option(min=0, help="Widen clouds by so many metres.")
    ] = 0.0,
    buffer_px: Annotated[
        int, typer.Option(min=1, max=50, help="Also without borders of so many pixels.")
    ] = 2,
    split: Annotated[str | None, typer.Option(help="Only this part, e.g. test.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file to write.")] = None,
) -> None:
    """Measure a model against a labelled data set."""
    from pipeline.datasets import reader_of
    from pipeline.evaluate.labelled import by_masks, evaluate_labelled
    from pipeline.evaluate.page import write_page
    from pipeline.evaluate.results import Results

    reader = reader_of(dataset)
    if (model is None) == (masks is None):
        raise ConfigError("--model, --masks: expected one of them")
    if masks is not None and (dilate_m or option):
        raise ConfigError("--dilate-m, --option: these are for --model, not for --masks")
    roles: set[str] = set()
    if model is not None:
        masker, roles = _by_model(model, option, dilate_m, reader.card)
    elif masks is not None:
        masker = by_masks(masks)
    images = _asked(reader.read(path, roles), split, limit)
    found = evaluate_labelled(images, masker, reader.card, buffers_px=(0, buffer_px))
    results = Results(found)
    if out is not None:
        show.as_json(results.to_dict(), out)
    if as_json:
        show.as_json(results.to_dict())
    else:
        show_results(results)
    if report is not None:
        show.note(f"report: {write_page(results, report)}")


def show_results(results: Results) -> None:
    """Print the tables of an evaluation; each title states whether the model was trained on the data set."""
    title = results.title()
    show.table(results.measure_rows(), title=title)
    if results.evaluation.dataset.name.startswith("pixbox"):
        show.table(results.point_rows(), title=f"in percent; {title}")
    show.table(results.fraction_rows(), title=f"cloud fraction, percent points; {title}")
    show.table([_rounded(row) for row in results.statistics_rows()], title=title)
    show.table(results.count_rows(), title=title)
    show.lines(f"note: {remark}" for remark in results.evaluation.remarks)


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Format rates as text, because counts are in the same column."""
    return {key: f"{v:.3f}" if isinstance(v, float) else v for key, v in row.items()}


def _asked(
    images: Iterator[Labelled], split: str | None, limit: int | None
) -> Iterator[Labelled]:
    some = (image for image in images if split is None or image.split == split)
    return itertools.islice(some, limit)


def _by_model(
    name: str, option: list[str] | None, dilate_m: float, dataset: DatasetCard
) -> tuple[Masker, set[str]]:
    """Load a model; return a masker, and the bands to read: those of the model, and true colour."""
    from pipeline.evaluate.labelled import by_model
    from pipeline.models import load, resolve
    from pipeline.types import CleanGroup, CleanSettings

    if not dataset.roles:
        raise ConfigError(f"--model: the images of {dataset.name} come apart; give --masks")
    card = resolve(
        name, level=dataset.level, roles=dataset.roles, options=read_options(option or ())
    )
    cleaning: dict[CleanGroup, CleanSettings] | None = (
        {"cloud": CleanSettings(dilate_m=dilate_m)} if dilate_m else None
    )
    return by_model(load(card), dataset, cleaning), {*card.roles, "red", "green", "blue"}

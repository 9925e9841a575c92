"""Commands on models: list them, show a card, fetch weights."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from pipeline.cli import show
from pipeline.cli.progress import showing
from pipeline.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from pipeline.run import Progress
    from pipeline.types import ModelCard

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in `models list`.")]


def list_models(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the models with their requirements and limitations."""
    from pipeline.models import names

    rows = [_row(name) for name in names()]
    show.as_json(rows) if as_json else show.table(rows)


def _row(name: str) -> dict[str, Any]:
    cards, refusal = [], ""
    for level in ("L2A", "L1C"):
        try:
            cards.append(_card(name, (level,), {}))
        except ModelError as error:
            refusal = str(error)
    if not cards:
        # Combined models have no bands before their members are given.
        dashes = dict.fromkeys(("sensors", "level", "bands", "pixels_m"), "–")
        return {"model": name, **dashes, "cannot": refusal, "weights_here": "–"}
    finest, coarsest = cards[0].resolution_m
    return {
        "model": name,
        "sensors": ", ".join(sorted({each for card in cards for each in _sensors(card)})),
        "level": ", ".join(sorted({level for card in cards for level in card.levels})),
        "bands": ", ".join(cards[0].roles),
        "pixels_m": f"{finest:g} – {coarsest:g}",
        "cannot": cards[0].limits or "–",
        "weights_here": _fetched(name, cards[0]),
    }


def _sensors(card: ModelCard) -> set[str]:
    """Return the sensors that have a collection of the model's level with all its bands."""
    from pipeline.sensors import PROFILES

    return {
        each.sensor
        for each in PROFILES.values()
        if each.level in card.levels and {*card.roles} <= {*each.assets, *each.qa}
    }


def show_model(
    name: Name,
    *,
    level: Annotated[
        str | None,
        typer.Option(help="L2A or L1C; the first that the model takes if not given."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="As in a job file, e.g. 'members=[scl]'."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the card of a model: bands, classes, licence, options."""
    found = _card(name, (level,) if level else ("L2A", "L1C"), read_options(option or ()))
    card = dataclasses.asdict(found)
    card["classes"] = [code.name.lower() for code in card["classes"]]
    card["fetched"] = _fetched(name, found)
    card["limits"] = found.limits
    if as_json:
        show.as_json(card)
    else:
        show.table([{"key": key, "value": _words(value)} for key, value in card.items()])


def fetch_model(name: Name) -> None:
    """Download the weights of a model, check them, and keep them: from then on it works offline."""
    from pipeline.models import download

    with showing(show.console(stderr=True)) as progress:
        paths = download.fetch(name, _in_kilobytes(progress))
    show.lines(str(path) for path in paths)


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """Read options as a job file would."""
    options: dict[str, Any] = {}
    for each in given:
        key, equals, value = each.partition("=")
        try:
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--option {each}: {value!r} is no YAML: {error}") from None
        if not (key and equals):
            raise ConfigError(f"--option {each}: expected KEY=VALUE")
    return options


def _card(name: str, levels: tuple[str, ...], options: Mapping[str, Any]) -> ModelCard:
    """Return the card for the first level that the model accepts, assuming that items offer all bands and masks."""
    from pipeline.models import resolve
    from pipeline.models.families.product_masks import PRODUCTS
    from pipeline.models.families.s2cloudless import ROLES as TEN_BANDS
    from pipeline.sensors import ROLES

    roles = {*ROLES, *TEN_BANDS, *(product.role for product in PRODUCTS.values())}
    *others, last = levels
    for level in others:
        with contextlib.suppress(ModelError):
            return resolve(name, level=level, roles=roles, options=options)
    return resolve(name, level=last, roles=roles, options=options)


def _fetched(name: str, card: ModelCard) -> str:
    """Describe whether the published weights of a model are on this machine."""
    from pipeline.models import download
    from pipeline.models.weights import files

    published = download.files(name)
    if not published:
        return "nothing to fetch"
    if card.options.get("weights"):
        return "not needed: option weights says where they are"
    missing = [each for each in published if not (files.cache_folder() / each.name).is_file()]
    size = show.size(sum(each.size_bytes for each in missing))
    return f"no: `cloudmask models fetch {name}` gets {size}" if missing else "yes"


def _in_kilobytes(progress: Progress) -> Callable[[str, int, int], None]:
    """Return a callback (file, bytes so far, bytes in all) that advances the progress in kilobytes."""
    shown: dict[str, int] = {}

    def advance(file: str, done: int, total: int) -> None:
        stage, kilobytes = f"{file} [kB]", done // 1000
        if file not in shown:
            progress.start(stage, total // 1000)
        progress.advance(stage, kilobytes - shown.get(file, 0))
        shown[file] = kilobytes

    return advance


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(each) for each in value)
    return str(value)

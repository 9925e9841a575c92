"""Every command by its name, and what becomes of errors."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.cli import show
from pipeline.cli.commands import (
    archives,
    data,
    demo,
    export,
    history,
    inspect,
    jobs,
    labelled,
    stac,
    verify,
)
from pipeline.cli.commands import models as masking
from pipeline.errors import CloudmaskError


class Commands(TyperGroup):
    """A group whose errors end as one line on stderr and the error's own exit code."""

    # Some releases of typer carry their own copy of click's classes, others do not.
    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Call the command; ``--debug`` lets the traceback through."""
        try:
            return super().invoke(ctx)
        except CloudmaskError as error:
            if ctx.params.get("debug"):
                raise
            show.say(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            show.say("stopped", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read has heard enough, as `head` does; click ends without a word.
            raise
        except Exception as error:
            # Click's own, for exits and wrong arguments, know how they end.
            if ctx.params.get("debug") or hasattr(error, "exit_code"):
                raise
            show.say(
                f"error: unexpected {type(error).__name__}: {error}; `cloudmask --debug …` shows where",
                err=True,
            )
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    # Its tracebacks show the values of local variables.
    pretty_exceptions_enable=False,
)
models = typer.Typer(invoke_without_command=True, help="The models that can mask.")
evaluate = typer.Typer(
    cls=labelled.StoreByDefault,
    no_args_is_help=True,
    help="Measure masks and composites against a truth, or a model against labels.",
)

app.command()(jobs.run)
app.command()(jobs.plan)
app.command()(inspect.inspect)
app.command()(archives.query)
app.command()(export.export)
app.add_typer(evaluate, name="evaluate")
app.command()(archives.report)
app.command()(stac.stac)
app.command()(history.runs)
app.command()(history.log)
app.command()(history.rollback)
app.command()(history.expire)
app.command()(verify.verify)
app.command()(demo.demo)
app.command()(data.simulate)
app.command()(jobs.schema)
app.add_typer(models, name="models")
evaluate.command(labelled.AGAINST_TRUTH)(archives.evaluate)
evaluate.command("labelled")(labelled.evaluate_labelled)


@models.callback()
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        masking.list_models()


models.command("list")(masking.list_models)
models.command("show")(masking.show_model)
models.command("fetch")(masking.fetch_model)


def main() -> None:
    """Run the command line."""
    app()


def _version(asked: bool) -> None:
    if asked:
        show.say(f"cloudmask {version('cloudmask')}")
        raise typer.Exit


@app.callback()
def _cloudmask(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything; show tracebacks.")
    ] = False,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Mask clouds and their shadows in satellite archives, and make composites of what is clear."""
    from pipeline.access import watch_output
    from pipeline.config import read_settings

    watch_output()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    level = "DEBUG" if debug else read_settings().log_level
    for ours in ("pipeline", "flows"):
        logging.getLogger(ours).setLevel(level)

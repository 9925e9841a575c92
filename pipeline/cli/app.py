"""Registers the commands; turns errors into one line and an exit code."""

from __future__ import annotations

import logging
from collections.abc import Callable
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
    init,
    inspect,
    jobs,
    labelled,
    serve,
    stac,
    training,
    verify,
)
from pipeline.cli.commands import models as masking
from pipeline.cli.verbosity import set_log_level, with_verbosity
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
            # The reader closed the pipe, as `head` does: click exits silently.
            raise
        except Exception as error:
            # Click's own exceptions, for exits and wrong arguments, carry their exit code.
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
    # Its tracebacks show the values of local variables.
    pretty_exceptions_enable=False,
)
models = typer.Typer(invoke_without_command=True, help="The models that can mask.")
evaluate = typer.Typer(
    cls=labelled.StoreByDefault,
    no_args_is_help=True,
    help="Measure masks and composites against a truth, or a model against labels.",
)


def _add(command: Callable[..., None], name: str | None = None, to: typer.Typer = app) -> None:
    to.command(name)(with_verbosity(command))


_add(jobs.run)
_add(jobs.plan)
_add(init.init)
_add(inspect.inspect)
_add(archives.query)
_add(archives.why)
_add(export.export)
app.add_typer(evaluate, name="evaluate")
_add(archives.report)
_add(stac.stac)
_add(serve.serve)
_add(history.runs)
_add(history.log)
_add(history.rollback)
_add(history.expire)
_add(verify.verify)
_add(demo.demo)
_add(data.simulate)
_add(jobs.schema)
_add(training.train)
app.add_typer(models, name="models")
_add(archives.evaluate, labelled.AGAINST_TRUTH, evaluate)
_add(labelled.evaluate_labelled, "labelled", evaluate)


@models.callback()
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        masking.list_models()


_add(masking.list_models, "list", models)
_add(masking.show_model, "show", models)
_add(masking.fetch_model, "fetch", models)
_add(training.export_model, "export", models)


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
    # Importing `access` registers the credentials of the environment, so that no output shows them.
    from pipeline import access, config  # noqa: F401
    from pipeline.watch import watch_output

    watch_output()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    # Settings are checked by what takes long to import.
    if debug or not config.has_settings():
        set_log_level("DEBUG" if debug else config.LOG_LEVEL)
    else:
        set_log_level(config.read_settings().log_level)

"""The console script `peft-atlas`: each command is a function elsewhere and only registered here."""

from __future__ import annotations

import click

from peft_atlas import results_command, workflow_command
from peft_atlas.add.commands import add
from peft_atlas.errors import AtlasError
from peft_atlas.planning import commands as planning
from peft_atlas.refresh.commands import refresh
from peft_atlas.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="peft-atlas")
def app() -> None:
    """Parameter-efficient fine-tuning: what fits, what it costs, and which settings have evidence."""


app.add_command(planning.plan)
app.add_command(planning.count)
app.add_command(planning.audit)
app.add_command(workflow_command.init)
app.add_command(workflow_command.run)
app.add_command(workflow_command.report)
app.add_command(workflow_command.where)
app.add_command(results_command.export)
app.add_command(results_command.diff)
app.add_command(refresh)
app.add_command(add)


def main() -> None:
    """Run the command; a fault that the user can set right is one line on standard error and exit status 2."""
    try:
        app(prog_name="peft-atlas")
    except AtlasError as error:
        click.echo(f"peft-atlas: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

"""What the Flex Template launcher starts: template parameters in, one `bitextile` call out.

The launcher passes each parameter as `--name=value`, and after them Dataflow's own options
(`--runner`, `--project`, `--template_location`, ...), which go to Beam as they are.
"""

import argparse
import shlex
import sys

from bitextile.pipelines.cli import main as cli
from bitextile.schema.storage import exists

COMMANDS = ("align", "lexicon", "exchange", "codeswitch")
"""Those that are one pipeline from one dataset to another: a template launches exactly one job."""


def command(arguments: list[str]) -> tuple[list[str], str]:
    """Returns the command line that the parameters stand for, and where its job is described.

    Args:
        arguments: as the launcher gives them.

    >>> line, _ = command(["--command=align", "--input=gs://b/pairs", "--out=gs://b/aligned",
    ...                    "--arguments=--sample-pairs 100000", "--runner=DataflowRunner"])
    >>> " ".join(line)
    'align gs://b/pairs --out gs://b/aligned --sample-pairs 100000 -- --runner=DataflowRunner'
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--command", choices=COMMANDS, required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--arguments", default="")
    given, beam = parser.parse_known_args(arguments)
    options = shlex.split(given.arguments)
    line = [given.command, given.input, "--out", given.out, *options, "--", *beam]
    return line, _template_location(beam)


def _template_location(beam: list[str]) -> str:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--template_location", default="")
    return str(parser.parse_known_args(beam)[0].template_location)


def main(arguments: list[str]) -> None:
    """Builds the pipeline and writes its description, from which the service starts the job."""
    line, template = command(arguments)
    try:
        cli.main(line)
    except SystemExit as stop:
        # The command looks for the dataset when the runner says it is done; here the runner is done
        # when the job is described, and the dataset is still to come.
        if stop.code and not (template and exists(template)):
            raise


if __name__ == "__main__":
    main(sys.argv[1:])

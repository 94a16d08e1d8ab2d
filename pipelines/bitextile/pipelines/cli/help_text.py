"""How help is laid out: commands in groups, arguments as PAIRS and not `{PAIRS} <str>`."""

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

from bitextile.pipelines.cli.commands import COMMANDS


class Groups(TyperGroup):
    """Lists the commands under the headings of their groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the names in the order of help."""
        return [name for name in COMMANDS if name in self.commands]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for each group."""
        width = max(map(len, self.commands))
        for group in dict.fromkeys(listed.group for listed in COMMANDS.values()):
            names = [name for name in self.list_commands(ctx) if COMMANDS[name].group == group]
            rows = [(n.ljust(width), _first_line(self.commands[n].help)) for n in names]
            if rows:
                with formatter.section(group):
                    formatter.write_dl(rows)


class Command(TyperCommand):
    """Shows arguments by name alone, as manual pages do."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns what follows the command's name in its usage line."""
        return [re.sub(r"^\{(.*)\}", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the sections of arguments and of options."""
        records = [(p, p.get_help_record(ctx)) for p in self.get_params(ctx)]
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            rows = [record for p, record in records if record and p.param_type_name == kind]
            if kind == "argument":
                rows = [(name.split(" ")[0], text) for name, text in rows]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _first_line(text: str | None) -> str:
    return (text or "").split("\n\n")[0].rstrip(".")

"""The command line: ``./solomo COMMAND``. A command's module is loaded when it is called."""

import argparse
import errno
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.output import CommandFailed, Output

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Command:
    """``passes_on``: arguments the command does not know are handed to what it runs."""

    module: str
    help: str
    passes_on: bool = False


COMMANDS = {
    "up": Command("cli.commands.up", "set up what is missing and start everything"),
    "down": Command("cli.commands.down", "stop everything; the data stays"),
    "status": Command("cli.commands.status", "what runs, where, and how far the feeds are behind"),
    "logs": Command("cli.commands.logs", "show or follow what the parts write"),
    "token": Command("cli.commands.token", "print a bearer token, or take one back"),
    "import": Command("cli.commands.import_stores", "import stores from GeoJSON, CSV or KML"),
    "export": Command("cli.commands.export", "write stores as GeoJSON, CSV or KML"),
    "replay": Command("cli.commands.replay", "send the check-ins of a file"),
    "demo": Command("cli.commands.demo", "walk seeded visitors about a small city"),
    "simulate": Command("cli.commands.simulate", "compare rules of arrival on simulated people"),
    "wechat": Command("cli.commands.wechat", "add, check and show WeChat accounts"),
    "dump": Command("cli.commands.dump", "print the state, for comparing two runs"),
    "check-matching": Command(
        "cli.commands.check_matching", "compare matching in memory with PostGIS, point by point"
    ),
    "wechat-sandbox": Command(
        "cli.commands.wechat_sandbox", "a stand-in for WeChat, to rehearse without an account"
    ),
    "test": Command("cli.commands.test", "prove everything", passes_on=True),
    "reset": Command("cli.commands.reset", "stop and delete this installation's data"),
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser, commands = _parser(chosen)
    arguments, rest = parser.parse_known_args(words)
    if not arguments.command:
        parser.print_help()
        return 0
    command = COMMANDS[arguments.command]
    if rest and not command.passes_on:
        commands[arguments.command].error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    return _run(command, arguments, Output(as_json=arguments.json))


def _parser(
    chosen: str | None,
) -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Every command by name and help, and its own parser; the arguments of ``chosen`` only."""
    parser = argparse.ArgumentParser(
        prog="solomo",
        description="Open, self-hosted, location-based online-to-offline engagement.",
        epilog="./solomo COMMAND --help tells more. Start with: ./solomo up",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        described = command.help[0].upper() + command.help[1:] + "."
        one = commands.add_parser(
            name, help=command.help, description=described, allow_abbrev=False
        )  # fmt: skip
        one.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as JSON",
        )
        if name == chosen:
            importlib.import_module(command.module).add_arguments(one)
    return parser, commands.choices


def _run(command: Command, arguments: argparse.Namespace, output: Output) -> int:
    try:
        code: int = importlib.import_module(command.module).run(arguments, output)
    except CommandFailed as error:
        output.failure(error)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        output.failure(_of_the_machine(error))
        return 1
    return code


def _of_the_machine(error: OSError) -> CommandFailed:
    """What no command foresaw: a full disk, a file that may not be read."""
    where = f"{error.filename}: " if error.filename else ""
    hint = None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Make room, or give a folder on another disk in SOLOMO_HOME."
    return CommandFailed(f"{where}{error.strerror or error}.", hint)


if __name__ == "__main__":
    raise SystemExit(main())

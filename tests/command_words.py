"""Commands as documents write them, held against the command line that there is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import typer

from amply_capacity.cli import app
from amply_capacity.files import ROOT


def parse(words: Sequence[str]) -> None:
    """Parse what follows `amply-capacity`, without running it. Raises as the command line itself does.

    A command that is only named may go without its arguments.
    """
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while below := getattr(command, "commands", None):
        if not rest:
            return
        assert rest[0] in below, f"there is no command {' '.join(words)}"
        command = below[rest.pop(0)]
    try:
        command.make_context(command.name, list(rest))
    except Exception as error:
        if rest or type(error).__name__ != "MissingParameter":
            raise


def parse_locust(calls: Sequence[Sequence[str]]) -> str:
    """Parse what follows `locust`, with our options; what was wrong, empty where nothing is.

    In a process of its own: Locust patches the one that it is imported into.
    """
    script = ("import json, sys, locust\n"
              "from locust.argument_parser import get_parser\n"
              "from amply_capacity.load.options import add_options, read_options\n"
              "locust.events.init_command_line_parser.add_listener(add_options)\n"
              "for words in json.loads(sys.argv[1]):\n"
              "    read_options(get_parser(default_config_files=[]).parse_args(words))\n")
    done = subprocess.run([sys.executable, "-c", script, json.dumps([list(words) for words in calls])],
                          capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    return "" if done.returncode == 0 else done.stderr[-2000:]

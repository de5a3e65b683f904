"""The port at which a load's workers meet their master."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from amply_capacity.errors import BadInput
from amply_capacity.progress import say
from amply_capacity.target.process import free_port, is_free

__all__ = ["choose_port"]

_ONLY_SAID = {"-h", "--help", "-V", "--version"}
"""Words at which the parser would end here, before others have added their options to it."""


def choose_port(parser: ArgumentParser) -> None:
    """Where Locust's port is taken, as by another load on this machine, `--processes` agree on another.

    Only those, and only where no other port was asked for: whoever starts `--master` and `--worker`, maybe on
    other hosts, has to know it. Ends the process with a sentence where theirs is taken: Locust itself would
    end with a traceback. The parser is Locust's, with all its options, which the command line, LOCUST_… in
    the environment and a configuration file may set.
    """
    asked = _asked(parser)
    port = asked.master_bind_port
    if asked.worker or not (asked.master or asked.processes) or is_free(port):
        return
    if asked.processes and port == parser.get_default("master_bind_port"):
        other = free_port()
        parser.set_defaults(master_port=other, master_bind_port=other)
        return
    taken = BadInput("the master's port has to be free", got=f"{port}, where something listens already",
                     do="end that, or give --master-bind-port, and each worker the same as --master-port")
    say(f"locust: {taken}")
    sys.exit(taken.exit_code)


def _asked(parser: ArgumentParser) -> Namespace:
    """What Locust will read, apart from the options that are added after this."""
    words = [word for word in sys.argv[1:] if word not in _ONLY_SAID]
    return parser.parse_known_args(words)[0]

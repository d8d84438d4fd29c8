"""Compresses the files of a wheel anew, as small as deflate goes: `python pack_wheel.py WHEEL`.

What everybody downloads is worth minutes of one machine: Zopfli saves about 6 % of what maturin writes.
"""

import sys
import zipfile
from pathlib import Path

import zopfli


def pack(wheel: Path) -> None:
    packed = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as old, zopfli.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, iterations=15) as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
    packed.replace(wheel)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))

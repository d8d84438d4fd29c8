"""Makes the blocking calls (`aimate/_sync`) out of those for coroutines (`aimate/_async`).

    python tools/make_sync.py           # writes them
    python tools/make_sync.py --check   # fails if they are not what they should be
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "python" / "aimate"
HEADER = "# Made by tools/make_sync.py out of aimate/_async; change that instead.\n"

# Whole words, in this order.
WORDS = [
    (r"async def", "def"),
    (r"async for", "for"),
    (r"async with await", "with"),
    (r"async with", "with"),
    (r"await ", ""),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"__aiter__", "__iter__"),
    (r"__anext__", "__next__"),
    (r"StopAsyncIteration", "StopIteration"),
    (r"AsyncIterator", "Iterator"),
    (r"aclose", "close"),
    (r"from \.\. import _bridge", "from .. import _bridge_sync as _bridge"),
    (r"class Engine\b", "class SyncEngine"),
    (r"-> Engine\b", "-> SyncEngine"),
    (r"\bEngine\.open", "SyncEngine.open"),
    (r"parts\.find_dimensions\(\)", "parts.find_dimensions_sync()"),
]


def made(text: str) -> str:
    """Returns the blocking form of a module."""
    # A blocking call is not awaited for its message.
    text = re.sub(r"\n    def __await__.*?\n(?=\n    )", "", text, flags=re.S)
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    text = text.replace(", Generator, Generic", ", Generic")
    text = text.replace("or with ``await`` its message", "or with `collect` its message")
    return HEADER + text


def main() -> int:
    """Writes or checks every module."""
    target = PACKAGE / "_sync"
    target.mkdir(exist_ok=True)
    wrong = []
    for source in sorted((PACKAGE / "_async").glob("*.py")):
        text = made(source.read_text())
        if source.name == "__init__.py":
            text = HEADER + '"""The calls of the engine for blocking callers."""\n'
        path = target / source.name
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                wrong.append(path.name)
        else:
            path.write_text(text)
    if wrong:
        print(f"aimate/_sync is not what aimate/_async makes of it: {', '.join(wrong)}; run tools/make_sync.py")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())

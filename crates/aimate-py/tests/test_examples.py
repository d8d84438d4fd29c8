"""The examples, as they stand."""

from __future__ import annotations

import asyncio
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from aimate.testing import Scripted, tool_call

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "python"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name=name)


async def test_quickstart(scripted: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    scripted.push("In May.")
    await example("quickstart")["main"]("sqlite::memory:", connections=[], providers={"scripted": scripted})
    assert capsys.readouterr().out == "['heating']\nIn May.\n"


async def test_tools(scripted: Scripted) -> None:
    calls = [tool_call("order_status", id="1", number="A-17"), tool_call("cancel_order", id="2", number="A-17")]
    scripted.push(calls, "It is cancelled.")
    async with await scripted.open() as engine:
        assert await example("tools")["talk"](engine, "x") == "It is cancelled."
        told = str(scripted.requests[-1]["messages"])
        assert "'state': 'sent'" in told and "A-17 is cancelled" in told


async def test_own_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert await example("own_parts")["main"]() == "Is anybody there? "
    said = capsys.readouterr().out
    assert "heating" in said and "['Ticket 7']\n" in said
    assert re.search(r"\nyour plan has two questions; they are asked\n[1-9]\d* tokens\n$", said)


def test_blocking(scripted: Scripted) -> None:
    with scripted.open_sync() as engine:
        module = example("blocking")
        assert module["summary"](engine, "x") == "Hello there"
        assert "".join(module["answer"](engine, "x")) == "Hello there"


def python_blocks(path: Path) -> list[str]:
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.S)
    # The README's other one is of OpenAI's client, which examples/openai/chat.py tries.
    return [block for block in blocks if "aimate" in block and "openai" not in block]


def _documents() -> list[Any]:
    found = [(path, n) for path in (ROOT / "README.md", ROOT / "docs" / "python.md") for n in range(len(python_blocks(path)))]
    return [pytest.param(path, n, id=f"{path.name}-{n}") for path, n in found]


@pytest.mark.parametrize(("path", "n"), _documents())
async def test_documents_code_runs(
    path: Path, n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Scripted
) -> None:
    """Each block of the documents runs, against a script instead of a model."""
    import aimate
    import aimate._config

    monkeypatch.chdir(tmp_path)
    (tmp_path / "manual.md").write_text("Hold the red button for ten seconds.")
    monkeypatch.setattr(aimate._config, "_found", lambda: [])
    opened = aimate.Engine.open.__func__  # type: ignore[attr-defined]
    blocking = aimate.SyncEngine.open.__func__  # type: ignore[attr-defined]

    def told(options: dict[str, Any]) -> dict[str, Any]:
        options.setdefault("connections", [])
        options["providers"] = {"ollama": scripted, **options.get("providers", {})}
        return options

    async def open(cls: Any, url: Any = None, **options: Any) -> Any:
        return await opened(cls, url, **told(options))

    def open_sync(cls: Any, url: Any = None, **options: Any) -> Any:
        return blocking(cls, url, **told(options))

    monkeypatch.setattr(aimate.Engine, "open", classmethod(open))
    monkeypatch.setattr(aimate.SyncEngine, "open", classmethod(open_sync))
    code = python_blocks(path)[n]
    compiled = compile(code, f"{path.name}[{n}]", "exec", flags=__import__("ast").PyCF_ALLOW_TOP_LEVEL_AWAIT)
    space: dict[str, Any] = {"__name__": "block"}
    result = eval(compiled, space)
    if asyncio.iscoroutine(result):
        await result
    main = space.get("main")
    if main is not None:
        await main()

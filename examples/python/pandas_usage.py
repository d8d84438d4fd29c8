"""What was used, and what was found, as DataFrames.

    pip install aimate pandas
    python pandas_usage.py

It runs without a model: a script says what one would.
"""

from __future__ import annotations

import pandas as pd

import aimate
from aimate.testing import Scripted
from aimate.types import ListedUsage


def usage_by_day(user: aimate.SyncUser) -> pd.DataFrame:
    """Returns calls, tokens and cost, one row for each model and day."""
    frame: pd.DataFrame = pd.DataFrame(user.usage.summarize(group_by=["model", "day"]))
    if frame.empty:
        return frame
    frame["day"] = pd.to_datetime(frame["day"])
    columns = ["day", "model", "calls", "input_tokens", "output_tokens", "cost"]
    frame = frame.reindex(columns=columns).set_index(["day", "model"]).sort_index()
    return frame


def calls(user: aimate.SyncUser) -> pd.DataFrame:
    """Returns single calls, with the columns of their usage beside the others."""
    rows: list[ListedUsage] = []
    cursor: str | None = None
    while True:
        page = user.usage.records(limit=200, cursor=cursor)
        rows.extend(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    frame: pd.DataFrame = pd.json_normalize([dict(row) for row in rows])
    if not frame.empty:
        frame["created_at"] = pd.to_datetime(frame["created_at"])
    return frame


def hits(user: aimate.SyncUser, question: str, *, limit: int = 10) -> pd.DataFrame:
    """Returns the passages that were found, best first."""
    columns = ["score", "title", "page", "start", "end", "text", "document_id", "chunk_id"]
    frame: pd.DataFrame = pd.DataFrame(user.knowledge.search(question, limit=limit), columns=columns)
    return frame


def main() -> None:
    with Scripted("In May.", "In the cellar.").open_sync() as engine:
        engine.knowledge.add_text("manual", "The boiler is serviced in May. The main tap is in the cellar.")
        for question in ("When is the boiler serviced?", "Where is the main tap?"):
            engine.chat(question, tags=["ticket:42"]).collect()
        print(usage_by_day(engine).to_string(), end="\n\n")
        print(calls(engine)[["model", "outcome", "usage.input_tokens", "usage.output_tokens"]].to_string(), end="\n\n")
        print(hits(engine, "boiler")[["score", "title", "text"]].to_string())


if __name__ == "__main__":
    main()

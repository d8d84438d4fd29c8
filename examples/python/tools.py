"""Functions of your own as tools: a plain one, an async one, and one that waits for your yes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

import aimate


@dataclass
class Order:
    """Where an order is."""

    number: str
    state: Literal["packed", "sent", "cancelled"]


def order_status(number: str) -> Order:
    """Says where an order is.

    Args:
        number: The number of the order, such as `A-17`.
    """
    if not number.startswith("A-"):
        raise aimate.ToolError("Order numbers begin with `A-`. Ask the customer for it.")
    return Order(number, "sent")


@aimate.tool(policy="ask")
async def cancel_order(context: aimate.ToolContext, number: str) -> str:
    """Cancels an order."""
    # The same key for the same call: safe to hand on to a shop.
    return f"Order {number} is cancelled ({context.idempotency_key})."


async def talk(engine: aimate.Engine, question: str) -> str:
    chat = engine.chat(question, tools=[order_status, cancel_order])
    said = ""
    async for event in chat:
        if event["type"] == "text":
            said += event["text"]
        elif event["type"] == "tool_called":
            print(f"[{event['call']['name']} {event['call']['arguments']}]")
        elif event["type"] == "approval_required" and chat.run_id is not None:
            # Any process may say so, now or in a week.
            await engine.runs.approve(chat.run_id, event["call"]["id"])
    return said


async def main() -> None:
    async with await aimate.Engine.open("sqlite:tools.db") as engine:
        print(await talk(engine, "Where is order A-17? Then cancel it."))


if __name__ == "__main__":
    asyncio.run(main())

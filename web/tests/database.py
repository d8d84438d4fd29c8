"""Writes a long conversation straight into the database of a server that is stopped: through the model it would take minutes."""

import json
import sqlite3
import time
from pathlib import Path
from uuid import UUID


def uuid7(milliseconds: int, number: int) -> bytes:
    return (milliseconds << 80 | 7 << 76 | (number >> 16 & 0xFFF) << 64 | 2 << 62 | number & 0xFFFF).to_bytes(16, "big")


def fill_conversation(folder: Path, conversation: str, count: int, paragraphs: int = 1) -> None:
    """`count` messages in one line: `question 0`, `answer 0`, `question 1`, …"""
    path = next(folder.glob("*.db"))
    own, start = UUID(conversation).bytes, int(time.time() * 1000) - count
    with sqlite3.connect(path) as database:
        (tenant,) = database.execute("SELECT tenant_id FROM conversations WHERE id = ?", (own,)).fetchone()
        parent, rows = None, []
        for number in range(count):
            role = "assistant" if number % 2 else "user"
            text = f"{'answer' if number % 2 else 'question'} {number // 2}\n\n" + "A paragraph with **bold** text and `code`.\n\n" * paragraphs
            content = json.dumps([{"type": "text", "text": text.strip()}])
            # The clock of this database counts microseconds.
            ident, at = uuid7(start + number, number), (start + number) * 1000
            rows.append((tenant, own, ident, parent, role, content, "complete", "openai/scripted" if number % 2 else None, None, None, "{}", number + 1, 10, 10 * (number + 1), at))
            parent = ident
        database.executemany(f"INSERT INTO messages VALUES ({', '.join('?' * 15)})", rows)
        database.execute("UPDATE conversations SET message_count = ?, active_leaf_id = ? WHERE id = ?", (count, parent, own))
    database.close()

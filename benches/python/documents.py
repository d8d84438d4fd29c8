"""How well aimate reads documents, beside other readers, on folders of files.

    python documents.py --aimate target/debug/aimate FOLDER... [--kinds pdf,eml] [--json OUT]

Each file is read by `aimate extract --json` and by every other reader that is
installed here, and compared with a reference:

- the text beside it, in a file of its whole name and `.expected.txt`, if there is one;
- of an e-mail, what Python's `email` package finds in its parts;
- of a text in a folder named for an encoding (as chardet's test corpus is), its
  right decoding;
- of a workbook, where LibreOffice is installed, its cells as LibreOffice shows them.
  A cell counts as found as it is shown (`15.5%`, `14 Mar 2025`), as it is kept
  (`0.155`), or as its date in the order of the calendar: other readers write
  what is kept, so what two of them agree on are the digits behind `15.5%` and the
  `00:00:00` of each date, which nobody sees or looks for;
- else the words that two of the other readers agree on, of each as many as the
  second of them found. Files without two readers, or with fewer than five such
  words, are left out and counted.

Of PDF, a word that the end of a line divides is whole in the texts of all readers, and letters of an alphabet that stand
alone count for nobody: readers that cannot tell a word set with space between its letters write `H e l l o`, which nobody
finds. What stands at the edge of pages or
slides counts once, and their numbers not at all: a search finds it on each of them
otherwise.

`recall`: the share of the reference's words that were found. `precision`: the
share of the found words that the reference has, or any other reader. `order`: of
the words that stand once in both texts, the share that can be kept in the order
of the reference, or of the other readers (their median). In a table a word is not
wrong for standing on many lines: a reader may write the names of the columns on
each row. Other readers help to
make the reference that they are measured by, which is to their favour. What a
reader refuses counts as nothing found.
"""

import argparse
import bisect
import hashlib
import importlib
import json
import os
import re
import resource
import select
import statistics
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers

SECONDS = 30
LOADING = 180
MEMORY = 3 << 30
LEAST_WORDS = 5
# A character of a script without spaces is a word.
WIDE = r"\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{WIDE}]|[^\W_{WIDE}]+")
LETTER = re.compile(rf"[^\W\d_{WIDE}]")
# A word that the end of a line divides.
DIVIDED = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010] *\n[^\S\n]*(?=[^\W\d_])")
EDGE_LINES = 3
FEWEST_PAGES = 3


def words_of(text: str, is_pdf: bool = False) -> list[str]:
    # Escapes and rules of Markdown are no words.
    text = unicodedata.normalize("NFKC", text.replace("\\", "")).casefold()
    words = (word.group() for word in WORD.finditer(DIVIDED.sub("", text) if is_pdf else text))
    return [word for word in words if not (is_pdf and LETTER.fullmatch(word))][:200_000]


def without_running_lines(text: str) -> str:
    """A text of pages between form feeds, with what stands at the edges of many of them once."""

    def key(line: str) -> str:
        return re.sub(r"\d+", "0", " ".join(line.split()))

    pages = [[line for line in page.splitlines() if line.strip()] for page in text.split("\f")]
    edges = [{key(line) for line in page[:EDGE_LINES] + page[-EDGE_LINES:]} for page in pages]
    many = Counter(line for edge in edges for line in edge)
    seen: set[str] = set()
    kept = []
    for page, edge in zip(pages, edges, strict=True):
        for line in page:
            name = key(line)
            if name in edge and many[name] >= FEWEST_PAGES:
                if name in seen:
                    continue
                seen.add(name)
            kept.append(line)
    return "\n".join(kept)


def in_order(text: list[str], reference: list[str]) -> float | None:
    once = {word for word, count in Counter(reference).items() if count == 1}
    place = {word: at for at, word in enumerate(reference) if word in once}
    counts = Counter(text)
    places = [place[word] for word in text if word in place and counts[word] == 1]
    if len(places) < LEAST_WORDS:
        return None
    tails: list[int] = []
    for at in places:
        where = bisect.bisect_left(tails, at)
        tails[where : where + 1] = [at]
    return len(tails) / len(places)


class Worker:
    """A process of this script that reads for one reader; a hung or dead one is replaced."""

    def __init__(self, reader: str) -> None:
        self.reader = reader
        self.process = None

    def read(self, path: Path, kind: str) -> str | None:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--worker", self.reader],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            # It says so when its library is loaded.
            self.answer(LOADING)
        try:
            self.process.stdin.write(json.dumps([str(path), kind]).encode() + b"\n")
            self.process.stdin.flush()
            line = self.answer(SECONDS)
            if line:
                return json.loads(line)
        except (BrokenPipeError, json.JSONDecodeError):
            pass
        self.stop()
        return None

    def answer(self, seconds: int) -> bytes:
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else b""

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def work(reader: str) -> None:
    """Answers each line of standard input, a path and its kind, with its text."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    read = peers.READERS[reader].read
    # What a library prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for module in peers.READERS[reader].loads():
        importlib.import_module(module)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        path, kind = json.loads(line)
        try:
            text = read(Path(path), kind)
        except Exception:  # noqa: BLE001 - whatever a reader throws, it read nothing
            text = None
        json.dump(text and text[: 8 << 20], answers)
        answers.write("\n")
        answers.flush()


def aimate(program: Path, path: Path) -> tuple[str | None, str]:
    try:
        said = subprocess.run(
            [program, "extract", "--json", path], capture_output=True, timeout=4 * SECONDS
        ).stdout
        answer = json.loads(said)
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        return None, type(error).__name__
    if "error" in answer:
        return None, answer["error"]["message"]
    return answer["document"]["text"], ""


def once(text: str, kind: str) -> str:
    return without_running_lines(text) if kind == "pdf" else text


def right_of(path: Path, kind: str, counts: list[Counter], cache: Path | None) -> tuple["Right", list[str] | None]:
    """What is right to find in a file, and the order of it where one is known."""
    cells = cached(cache, "cells", path, kind, peers.cells) if kind in peers.SHEETS else None
    if cells is not None:
        shown = [word for ways in cells for word in words_of(ways[0])]
        return Right(Counter(), [[Counter(words_of(way)) for way in ways] for ways in cells]), shown
    text = text_of(path, kind)
    if text is not None:
        words = words_of(text)
        return Right(Counter(words)), words
    if len(counts) < 2:
        return Right(Counter()), None
    # Of each word, as many as the second best reader found.
    every = set().union(*counts)
    right = Counter({word: sorted((c[word] for c in counts), reverse=True)[1] for word in every})
    if kind == "pptx":
        right -= Counter(words_of("\n".join(peers.repeated_edges(path))))
    return Right(+right), None


def text_of(path: Path, kind: str) -> str | None:
    beside = path.with_name(path.name + ".expected.txt")
    if beside.exists():
        return beside.read_text("utf-8")
    if kind == "eml":
        return peers.mail_parts(path)
    if kind == "encoding":
        return peers.visible(path.read_bytes().decode(peers.encoding_of(path), "replace"), path)
    return None


class Right:
    """What is right to find in a file: words, or cells that can be written in several ways."""

    def __init__(self, words: Counter, cells: list[list[Counter]] | None = None) -> None:
        # The longest first: a number alone must not take the digits of a date.
        self.words, self.cells = words, sorted(cells or [], key=lambda ways: -ways[0].total())

    def for_reader(self, counts: Counter) -> Counter:
        """The words by which a reader that found these is measured: of each cell in the
        way that it wrote it, else as it is shown."""
        left, wanted = Counter(counts), Counter(self.words)
        for ways in self.cells:
            found = next((way for way in ways if all(left[word] >= count for word, count in way.items())), ways[0])
            left.subtract(found)
            wanted.update(found)
        return wanted

    def total(self) -> int:
        return self.words.total() + sum(ways[0].total() for ways in self.cells)

    def all(self) -> Counter:
        every = Counter(self.words)
        for ways in self.cells:
            for way in ways:
                every.update(way)
        return every


class Score:
    def __init__(self) -> None:
        self.recall, self.precision, self.order, self.refused = [], [], [], 0

    def add(self, text: str | None, right: Right, known: Counter, orders: list[list[str]], kind: str) -> dict:
        words = words_of(text or "", kind == "pdf")
        counts = Counter(words)
        reference = right.for_reader(counts)
        recall = (counts & reference).total() / reference.total()
        self.recall.append(recall)
        self.refused += text is None
        if words:
            if kind in peers.SHEETS or kind == "csv":
                lines = Counter(word for line in (text or "").splitlines() for word in set(words_of(line)))
                known = known | Counter({word: lines[word] for word in known})
            self.precision.append((counts & known).total() / len(words))
        order = [score for other in orders if (score := in_order(words, other)) is not None]
        if order:
            self.order.append(statistics.median(order))
        return {
            "recall": round(recall, 3),
            "precision": round(self.precision[-1], 3) if words else None,
            "order": round(statistics.median(order), 3) if order else None,
        }

    def row(self) -> list[str]:
        def pair(values: list[float]) -> str:
            if not values:
                return "–"
            values = sorted(values)
            return f"{statistics.median(values):.3f} / {values[(len(values) - 1) // 10]:.3f}"

        return [pair(self.recall), pair(self.precision), pair(self.order), str(self.refused)]


def files_of(folders: list[Path], kinds: set[str], most: int, largest: int) -> dict[str, list[Path]]:
    found: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            kind = peers.kind_of(path)
            if kind is None or (kinds and kind not in kinds) or not path.is_file():
                continue
            if path.name.endswith(".expected.txt") or not 0 < path.stat().st_size <= largest:
                continue
            # The same file in two corpora counts once.
            found.setdefault(kind, {}).setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return {
        # Spread over the folders, and the same in each run.
        kind: [path for _, path in sorted(files.items())][:most]
        for kind, files in sorted(found.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--aimate", type=Path, default=Path("target/debug/aimate"))
    parser.add_argument("--kinds", default="", help="such as pdf,eml; all without it")
    parser.add_argument("--files", type=int, default=120, help="of each kind at most")
    parser.add_argument("--bytes", type=int, default=4 << 20, help="of a file at most")
    parser.add_argument("--cache", type=Path, help="a folder for what the other readers said")
    parser.add_argument("--json", type=Path, help="a file for the figures of each file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
        return
    wanted = {kind for kind in arguments.kinds.split(",") if kind}
    workers = {name: Worker(name) for name, reader in peers.READERS.items() if reader.installed()}
    print("| kind | files | reader | recall | precision | order | refused |")
    print("|---|---|---|---|---|---|---|", flush=True)
    each = []
    for kind, files in files_of(arguments.folders, wanted, arguments.files, arguments.bytes).items():
        readers = [name for name in workers if kind in peers.READERS[name].kinds]
        scores = {name: Score() for name in ["aimate", *readers]}
        left_out = 0
        for path in files:
            texts = {name: cached(arguments.cache, name, path, kind, workers[name].read) for name in readers}
            lists = {name: words_of(text, kind == "pdf") for name, text in texts.items() if text}
            counts = [Counter(words_of(once(text, kind), kind == "pdf")) for text in texts.values() if text]
            right, order = right_of(path, kind, counts, arguments.cache)
            known = right.all()
            for words in lists.values():
                known |= Counter(words)
            if kind == "eml":
                known |= Counter(words_of(peers.mail_header(path)))
            if right.total() < LEAST_WORDS:
                left_out += 1
                continue
            text, error = aimate(arguments.aimate, path)
            for name, score in scores.items():
                orders = [order] if order is not None else [w for n, w in lists.items() if n != name]
                said = score.add(text if name == "aimate" else texts[name], right, known, orders, kind)
                if name == "aimate":
                    each.append({"kind": kind, "path": str(path), "words": right.total(), "error": error, **said})
        for name, score in scores.items():
            if score.recall:
                print(f"| {kind} | {len(score.recall)} | {name} | " + " | ".join(score.row()) + " |", flush=True)
        if left_out:
            print(f"{kind}: {left_out} of {len(files)} files have no reference", file=sys.stderr)
    for worker in workers.values():
        worker.stop()
    if arguments.json:
        arguments.json.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in each) + "\n")


def cached(folder: Path | None, reader: str, path: Path, kind: str, read: Callable[[Path, str], Any]) -> Any:
    if folder is None:
        return read(path, kind)
    name = hashlib.sha256(f"{reader} {kind} {path.resolve()}".encode()).hexdigest()
    file = folder / name[:2] / name
    if file.exists():
        return json.loads(file.read_text())
    said = read(path, kind)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said))
    return said


if __name__ == "__main__":
    main()

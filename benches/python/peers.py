"""Other readers of documents, each as a function from a file to its text."""

import atexit
import codecs
import contextlib
import csv
import email
import email.policy
import functools
import html
import importlib.util
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

KINDS = {
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "xlsx": "xlsx xlsm",
    "xls": "xls",
    "xlsb": "xlsb",
    "ods": "ods",
    "csv": "csv",
    "html": "html htm",
    "epub": "epub",
    "eml": "eml",
    "msg": "msg",
    "mbox": "mbox",
    "mhtml": "mht mhtml",
    "rtf": "rtf",
    "doc": "doc",
    "ppt": "ppt",
    "odt": "odt",
    "odp": "odp",
}
SHEETS = frozenset({"xlsx", "xls", "xlsb", "ods"})
BY_EXTENSION = {extension: kind for kind, all_of in KINDS.items() for extension in all_of.split()}


def kind_of(path: Path) -> str | None:
    if encoding_of(path) is not None:
        return "encoding"
    return BY_EXTENSION.get(path.suffix.lower().lstrip("."))


def encoding_of(path: Path) -> str | None:
    """The codec that the file's folder is named for, such as `windows-1251-russian`."""
    if path.suffix not in (".txt", ".html", ".xml", ".srt", ".csv"):
        return None
    name = path.parent.name.lower()
    own = {"cp949": "cp949", "cp932": "cp932", "maccyrillic": "mac-cyrillic", "macroman": "mac-roman"}
    own |= {"euc-tw": None, "gb2312": "gb18030", "euc-kr": "cp949", "shift_jis": "cp932", "ascii": "ascii"}
    if name in own:
        return own[name]
    names = re.match(r"(utf-?\d+(le|be)?|windows-\d+|iso-\d+-\w+|ibm\d+|koi8-[ru]|big5|euc-jp|johab|tis-620|utf-8-sig)", name)
    try:
        return codecs.lookup(names.group()).name if names else None
    except LookupError:
        return None


def visible(text: str, path: Path) -> str:
    """What a browser shows of a web page; any other text as it is."""
    if path.suffix == ".html":
        text = re.sub(r"(?is)<(script|style|noscript)\b.*?</\1>|<!--.*?-->", " ", text)
        text = html.unescape(re.sub(r"(?s)<(/?[a-zA-Z!][^>]*)>", " ", text))
    return text


def mail_bytes(path: Path) -> bytes:
    """A mail that was saved in UTF-16 as one in UTF-8."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16").encode()
    if b"\0" in data[:16]:
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le").encode()
    return data


def mail_parts(path: Path) -> str:
    """Subject and text of a mail and of the messages and texts in it."""
    message = email.message_from_bytes(mail_bytes(path), policy=email.policy.default)
    said: list[str] = []

    def text_of(part) -> str:
        try:
            text = part.get_content()
        except (LookupError, KeyError, UnicodeError):
            text = (part.get_payload(decode=True) or b"").decode("utf-8", "replace")
        return visible(text, Path("a.html")) if part.get_content_subtype() == "html" else text

    def add(part) -> None:
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            # The alternative that says most.
            before, best = len(said), []
            for one in part.iter_parts():
                add(one)
                best = max(best, said[before:], key=lambda texts: sum(map(len, texts)))
                del said[before:]
            said.extend(best)
        elif part.is_multipart():
            for one in part.get_payload():
                if kind == "message/rfc822" or kind == "message/partial":
                    said.append(str(one.get("subject", "")))
                add(one)
        elif part.get_content_maintype() == "text" and kind in ("text/plain", "text/html", "text/markdown"):
            said.append(text_of(part))

    said.append(str(message.get("subject", "")))
    add(message)
    return "\n".join(said)


def mail_header(path: Path) -> str:
    """What else of a message may be told: people, dates, names of files, and the words that label them."""
    said = ["Subject From To Cc Date Attachment Attachments Attached message Event Start End Place Organizer Attendee"]

    def add(message) -> None:
        for name in ("from", "to", "cc", "date", "subject"):
            said.append(str(message.get(name, "")))
        with contextlib.suppress(AttributeError, TypeError):
            said.append(message["date"].datetime.isoformat())
        for part in message.walk():
            said.append(part.get_filename() or "")
            if part is not message and part.get_content_type() == "message/rfc822":
                for inner in part.get_payload():
                    add(inner)

    add(email.message_from_bytes(mail_bytes(path), policy=email.policy.default))
    return "\n".join(said)


def cells(path: Path, kind: str) -> list[list[str]] | None:
    """Each cell of a workbook in the ways to write it that are right: as its program
    shows it, as it is kept, and of a moment the order of the calendar too. None where
    LibreOffice is not installed or does not read the file."""
    if shutil.which("soffice") is None:
        return None
    shown, kept = (sheets_of(path, as_shown) for as_shown in ("true", "false"))
    if not shown:
        return None
    ways = []
    for name, rows in shown.items():
        for at, row in enumerate(rows):
            exact = kept.get(name, [])[at : at + 1] or [row]
            for one, other in zip(row, exact[0], strict=False):
                if one.strip() or other.strip():
                    ways.append(list(dict.fromkeys([one, other, *moments(one, other)])))
    return ways


def repeated_edges(path: Path) -> list[str]:
    """The footers and dates of slides that stood on one before, and the slides' numbers."""
    shape = re.compile(r"<p:sp>(?:(?!</p:sp>).)*?<p:ph\b[^>]*type=\"(ftr|hdr|dt|sldNum)\".*?</p:sp>", re.S)
    seen, repeated = set(), []
    with contextlib.suppress(zipfile.BadZipFile, OSError, KeyError), zipfile.ZipFile(path) as parts:
        slides = [name for name in parts.namelist() if re.fullmatch(r"ppt/slides/slide\d+\.xml", name)]
        for name in slides:
            for found in shape.finditer(parts.read(name).decode("utf-8", "replace")):
                text = html.unescape("".join(re.findall(r"<a:t>([^<]*)</a:t>", found.group())))
                if found[1] == "sldNum" or text in seen:
                    repeated.append(text)
                seen.add(text)
    return repeated


def sheets_of(path: Path, as_shown: str) -> dict[str, list[list[str]]]:
    """The rows of each sheet, written by LibreOffice."""
    # Between tabs, in UTF-8, every sheet into a file of its own.
    form = f"csv:Text - txt - csv (StarCalc):9,34,76,1,,1033,false,true,{as_shown},false,false,-1"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # A profile of its own: a LibreOffice that is open would be handed the work.
        profile = f"-env:UserInstallation=file://{profile_folder()}"
        command = ["soffice", profile, "--headless", "--convert-to", form, "--outdir", f"{folder}/out", str(path)]
        run_limited(command, 90)
        sheets = {}
        for file in sorted(Path(folder, "out").glob("*")):
            with file.open(encoding="utf-8", errors="replace", newline="") as lines:
                sheets[file.name] = list(csv.reader(lines, delimiter="\t"))
        return sheets


def run_limited(command: list[str], seconds: int) -> None:
    """Runs a program with its children, and ends them all: a file that was made to cost
    much must not cost the machine."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    # A worker has less already, and may not raise it.
    most = 4 << 30
    set_before = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = most if set_before == resource.RLIM_INFINITY else min(most, set_before)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    process = subprocess.Popen(command, start_new_session=True, preexec_fn=limit, **quiet)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@functools.cache
def profile_folder() -> str:
    folder = tempfile.mkdtemp(prefix="soffice-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def moments(shown: str, kept: str) -> list[str]:
    """Other ways to write the date and time of a cell that says as much as it shows."""
    date = r"(?P<m>\d\d)/(?P<d>\d\d)/(?P<y>\d{4})"
    by_year = r"\d{4}[-/]\d\d[-/]\d\d"
    parts = re.fullmatch(rf"(?:{date}|(?P<date>{by_year}))(?: (?P<clock>\d\d:\d\d)(?P<second>:\d\d))?", kept)
    if parts is None:
        return []
    date = parts["date"] or f"{parts['y']}-{parts['m']}-{parts['d']}"
    clock, second = parts["clock"], parts["second"]
    has_clock = ":" in shown and clock is not None
    if not has_clock:
        return [date]
    times = [clock + second, *([clock] if second == ":00" else [])]
    is_clock_alone = re.fullmatch(r"[\d:. ]+([AP]M)?", shown) is not None
    midnight = [date] if clock == "00:00" and second == ":00" else []
    return [f"{date} {time}" for time in times] + midnight + (times if is_clock_alone else [])


def pypdf(path: Path, kind: str) -> str:
    import pypdf

    return "\f".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def pymupdf(path: Path, kind: str) -> str:
    import pymupdf

    with pymupdf.open(path) as document:
        return "\f".join(page.get_text() for page in document)


def markitdown(path: Path, kind: str) -> str:
    from markitdown import MarkItDown

    return MarkItDown(enable_plugins=False).convert_local(path).text_content


def unstructured(path: Path, kind: str) -> str:
    import importlib

    import spacy

    # It tells titles from prose with a model that it would download; which words
    # there are does not depend on it.
    if not spacy.util.is_package("en_core_web_sm"):
        blank = spacy.blank("en")
        blank.add_pipe("sentencizer")
        spacy.load = lambda *_, **__: blank
    module = {"eml": "email", "xls": "xlsx", "mbox": "email"}.get(kind, kind)
    part = getattr(importlib.import_module(f"unstructured.partition.{module}"), f"partition_{module}")
    elements = part(filename=str(path))
    subject = elements[0].metadata.subject if elements else None
    return "\n".join([subject or "", *(element.text or "" for element in elements)])


def docx2txt(path: Path, kind: str) -> str:
    import docx2txt

    return docx2txt.process(path)


def trafilatura(path: Path, kind: str) -> str:
    import trafilatura

    return trafilatura.extract(path.read_bytes()) or ""


def mail_parser(path: Path, kind: str) -> str:
    import mailparser

    mail = mailparser.parse_from_file(str(path))
    text = "\n".join(mail.text_plain) or visible("\n".join(mail.text_html), Path("a.html"))
    return f"{mail.subject}\n{text}"


def python_email(path: Path, kind: str) -> str:
    return mail_parts(path)


def extract_msg(path: Path, kind: str) -> str:
    import extract_msg

    with extract_msg.openMsg(path) as message:
        return f"{message.subject}\n{message.sender}\n{message.to}\n{message.body}"


def chardet(path: Path, kind: str) -> str:
    import chardet

    data = path.read_bytes()
    return visible(data.decode(chardet.detect(data)["encoding"] or "utf-8", "replace"), path)


def charset_normalizer(path: Path, kind: str) -> str:
    import charset_normalizer

    return visible(str(charset_normalizer.from_bytes(path.read_bytes()).best() or ""), path)


def unrtf(path: Path, kind: str) -> str:
    text = program("unrtf", "--text", "--nopict", "FILE")(path, kind)
    return "\n".join(line for line in text.splitlines() if not line.startswith("### "))


def libreoffice(path: Path, kind: str) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # A profile of its own: a LibreOffice that is open would be handed the work.
        profile = f"-env:UserInstallation=file://{profile_folder()}"
        command = ["soffice", profile, "--headless", "--convert-to", "txt:Text (encoded):UTF8", "--outdir", folder]
        run_limited([*command, str(path)], 25)
        return next(Path(folder).glob("*.txt")).read_text("utf-8-sig", "replace")


def program(*command: str) -> Callable[[Path, str], str]:
    def read(path: Path, kind: str) -> str:
        asked = [part.replace("FILE", str(path)).replace("KIND", kind) for part in command]
        said = subprocess.run(asked, capture_output=True, timeout=25, check=True)
        return said.stdout.decode("utf-8", "replace")

    return read


@dataclass
class Reader:
    read: Callable[[Path, str], str]
    kinds: frozenset[str]
    # A Python module, or a program's name after a `!`.
    needs: str

    def loads(self) -> list[str]:
        heavy = ["unstructured.partition.html", "spacy"] if self.needs == "unstructured" else []
        return heavy if self.needs.startswith("!") else [self.needs, *heavy]

    def installed(self) -> bool:
        if self.needs.startswith("!"):
            return shutil.which(self.needs[1:]) is not None
        return importlib.util.find_spec(self.needs) is not None


def reader(read: Callable[[Path, str], str], needs: str, kinds: str) -> Reader:
    return Reader(read, frozenset(kinds.split()), needs)


READERS = {
    "pypdf": reader(pypdf, "pypdf", "pdf"),
    "pymupdf": reader(pymupdf, "pymupdf", "pdf"),
    "pdftotext": reader(program("pdftotext", "-enc", "UTF-8", "FILE", "-"), "!pdftotext", "pdf"),
    "markitdown": reader(markitdown, "markitdown", "pdf docx pptx xlsx xls csv html epub msg"),
    "unstructured": reader(unstructured, "unstructured", "docx pptx xlsx xls csv html eml msg"),
    "pandoc": reader(
        program("pandoc", "-f", "KIND", "-t", "plain", "--wrap=none", "FILE"), "!pandoc", "docx pptx odt epub html rtf"
    ),
    "docx2txt": reader(docx2txt, "docx2txt", "docx"),
    "trafilatura": reader(trafilatura, "trafilatura", "html"),
    "mail-parser": reader(mail_parser, "mailparser", "eml"),
    "email (Python)": reader(python_email, "email", "eml mhtml"),
    "extract-msg": reader(extract_msg, "extract_msg", "msg"),
    "chardet": reader(chardet, "chardet", "encoding"),
    "charset-normalizer": reader(charset_normalizer, "charset_normalizer", "encoding"),
    "antiword": reader(program("antiword", "-m", "UTF-8.txt", "FILE"), "!antiword", "doc"),
    "catdoc": reader(program("catdoc", "-d", "utf-8", "FILE"), "!catdoc", "doc"),
    "catppt": reader(program("catppt", "-d", "utf-8", "FILE"), "!catppt", "ppt"),
    "unrtf": reader(unrtf, "!unrtf", "rtf"),
    "odt2txt": reader(program("odt2txt", "--width=-1", "--encoding=UTF-8", "FILE"), "!odt2txt", "odt"),
    "LibreOffice": reader(libreoffice, "!soffice", "odt rtf"),
}

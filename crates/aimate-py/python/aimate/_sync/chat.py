# Made by tools/make_sync.py out of aimate/_async; change that instead.
"""An answer while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Generic, TypeVar, cast

from .. import _bridge_sync as _bridge
from .._calls import Caller, quoted
from ..errors import AimateError, of_code

if TYPE_CHECKING:
    from .._aimate import Stream
    from ..types import ChatEvent, Document, FinishedEvent, Message, StartedEvent

E = TypeVar("E")

# Events that are taken in one go before others of the loop have their turn.
_GULP = 32


class Events(Generic[E]):
    """The events of a stream, once. Leaving it, in whatever way, ends it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._taken = 0

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        try:
            self._before()
            event = self._stream.take()
            self._taken += 1
            while event is None:
                self._taken = 0
                _bridge.ready(self._stream)
                event = self._stream.take()
            if event is False:
                raise StopIteration
            if self._taken >= _GULP:
                self._taken = 0
                _bridge.breathe()
            self._after(event)
        except BaseException:
            self._stream.close()
            raise
        return cast("E", event)

    def _before(self) -> None:
        """Raises what ends the iteration."""

    def _after(self, event: Any) -> None:
        """Takes note of an event."""

    def __del__(self) -> None:
        self._stream.close()


class _ChatEvents(Events["ChatEvent"]):
    def __init__(self, chat: Chat, stream: Stream) -> None:
        super().__init__(stream)
        self._chat = chat
        self._error: Exception | None = None

    def _before(self) -> None:
        if self._error is not None:
            raise self._error

    def _after(self, event: Any) -> None:
        kind = event["type"]
        if kind == "started":
            self._chat._begin(event)
        elif kind == "finished":
            self._chat.finished = event
        elif kind == "error":
            self._error = of_code(event["code"], event["detail"])


class Chat:
    """One turn: its events while the answer is written.

    Iterate over it for the events, once, or ``collect`` the finished message. The turn begins
    with the first event that is asked for. Leaving the iteration (``break``, an exception, a
    cancelled task, Ctrl-C) cancels the run, unless the turn has ``on_disconnect="continue"``;
    what came of the answer stays stored.

    An answer that fails ends with an ``error`` event, after which the iteration raises the
    exception of its code.
    """

    run_id: str | None = None
    """The run, once it has started: to attach to or cancel, from anywhere."""
    conversation_id: str | None = None
    """The conversation, once it has started."""
    message_id: str | None = None
    """The answer's message, once it has started."""
    user_message_id: str | None = None
    """The question's message, once it has started."""
    model: str | None = None
    """The model that answers, as ``CONNECTION/MODEL``, once it has started."""
    finished: FinishedEvent | None = None
    """The last event of an answer that is whole."""

    def __init__(self, caller: Caller, stream: Stream) -> None:
        self._caller = caller
        self._stream = stream
        self._is_iterated = False

    def _begin(self, event: StartedEvent) -> None:
        self.run_id = event["run_id"]
        self.conversation_id = event["conversation_id"]
        self.message_id = event["message_id"]
        self.user_message_id = event.get("user_message_id")
        self.model = event["model"]

    @property
    def last_event_id(self) -> int:
        """The sequence number of the last event, after which ``runs.attach`` goes on."""
        return self._stream.last_event_id

    def __iter__(self) -> Iterator[ChatEvent]:
        if self._is_iterated:
            raise RuntimeError("a chat's events are taken once; `runs.attach(chat.run_id)` gives them again")
        self._is_iterated = True
        if self._caller.native.has_home:
            # Its tools and providers are called in the loop that asks.
            _bridge.adopt(self._caller.native)
        self._stream.start()
        return _ChatEvents(self, self._stream)

    def collect(self) -> Message:
        """Waits for the end and returns the answer's message.

        Raises the exception of its code for an answer that fails; the part that was written
        stays stored. A call that waits for an approval is waited for.
        """
        for _ in self:
            pass
        if self.finished is None:
            raise of_code("internal", "the answer ended without a last event")
        return self.finished["message"]

    def text(self) -> str:
        """Waits for the end and returns the answer's text."""
        return text_of(self.collect())

    def sse(self) -> Iterator[str]:
        """Iterates over the events as server-sent events, for a response that is streamed: their
        sequence number, type and JSON. A failure is the last of them, and no exception."""
        import json

        try:
            for event in self:
                data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
                yield f"id: {self.last_event_id}\nevent: {event['type']}\ndata: {data}\n\n"
        except AimateError:
            if self.last_event_id == 0:
                # It did not begin: the response can still say so.
                raise

    def cancel(self) -> None:
        """Ends the run; the part of the answer that was written stays stored."""
        if self.run_id is not None:
            path = f"/api/v1/runs/{quoted(self.run_id)}/cancel"
            _bridge.run(self._caller.native.request(self._caller.who, "POST", path))
        else:
            self._stream.close()

    def close(self) -> None:
        """Stops listening, which cancels the run as ``break`` does."""
        self._stream.close()

    def __enter__(self) -> Chat:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Chat run_id={self.run_id!r}>"


class Progress(Events["Document"]):
    """A document whenever it changes, until it is ready or failed."""

    def _after(self, event: Any) -> None:
        if "status" not in event:
            # It is gone meanwhile.
            raise of_code(event["code"], event["detail"])


def text_of(message: Message) -> str:
    """Returns the text of a message, without its other parts."""
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")

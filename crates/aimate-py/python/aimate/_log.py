"""The engine's log in Python's ``logging``, under the logger ``aimate``."""

from __future__ import annotations

import atexit
import logging
import threading

from . import _aimate

_lock = threading.Lock()
_thread: threading.Thread | None = None


def start() -> None:
    """Starts the thread that hands records on, and follows the logger's level."""
    global _thread
    _aimate.set_log_level(min(logging.getLogger("aimate").getEffectiveLevel(), 255))
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_hand_on, name="aimate-log", daemon=True)
            _thread.start()
            atexit.register(_stop)


def _hand_on() -> None:
    while (records := _aimate.next_records()) is not None:
        for level, name, message in records:
            logger = logging.getLogger(name)
            # Of a program that logs nowhere, standard error is not the place: what concerns it
            # it is told by exceptions.
            if logger.isEnabledFor(level) and logger.hasHandlers():
                logger.handle(logger.makeRecord(name, level, "", 0, message, (), None))


def _stop() -> None:
    _aimate.stop_log()
    if _thread is not None:
        _thread.join(2)

"""Observers: what an application is asked before a turn, and told of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Awaitable

if TYPE_CHECKING:
    from . import types

METHODS = ("before_turn", "run_finished", "usage_recorded", "document_ready", "document_failed")


class Observer:
    """What an application does when something happens in an engine: refuse a turn of who has used
    up their share, write an audit, send a bill. Give it to `Engine.open` as ``observers=[…]``.

    Every method is optional, plain (it runs in a thread) or ``async``; a class need not derive from
    this one. ``scope`` says who asks: ``tenant_id``, ``user_id`` and ``role``, the same as
    ``await engine.as_user(tenant, user).scope()`` returns.

    None of them can harm a run: an exception is logged, and who is slow is not waited for.
    `before_turn` has a deadline, a second unless `Engine.open` has ``observer_timeout``. All others
    are called behind the work, in the order of what happened, from a queue of 1,024 notices for
    each observer, at most once each; a notice is lost where the queue is full, where a call takes
    longer than 30 s, and with the process. What must not be lost, such as what a bill is made of,
    is read from the store: ``engine.usage.records()``.
    """

    fail_closed: bool = False
    """Whether a turn is refused (`UnavailableError`) where `before_turn` fails or is not done in
    time. By default it goes on, and the log says so."""

    def before_turn(self, scope: types.Scope, turn: types.TurnSummary) -> Awaitable[None] | None:
        """May refuse a turn before anything of it is stored or asked: a `ForbiddenError` or
        `RateLimitedError` that it raises reaches the caller with its sentence. Any other exception
        is a failure of the observer; see `fail_closed`."""
        return None

    def run_finished(self, scope: types.Scope, run: types.Run) -> Awaitable[None] | None:
        """A run is over, however it ended, and its end is stored; its ``context`` is left out."""
        return None

    def usage_recorded(self, scope: types.Scope, record: types.ListedUsage) -> Awaitable[None] | None:
        """The record of a call of a model is stored: of a run, a plain call, or vectors that were
        made."""
        return None

    def document_ready(self, scope: types.Scope, document: types.Document) -> Awaitable[None] | None:
        """A document can be found from now on."""
        return None

    def document_failed(self, scope: types.Scope, document: types.Document) -> Awaitable[None] | None:
        """A document could not be read; its ``error`` says why."""
        return None

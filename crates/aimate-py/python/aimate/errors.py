"""The exceptions of aiMate: one class for each error code.

Every exception has ``code``, ``detail`` (a sentence that says what was wrong and what
would be right), ``status`` (the HTTP status of the same error), ``retryable``, ``errors``
(the arguments that are wrong, by name), ``reason`` and ``retry_after`` (seconds).
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Mapping, Sequence

if TYPE_CHECKING:
    from .types import Document

__all__ = [
    "AimateError",
    "ClosedError",
    "ConflictError",
    "ContextOverflowError",
    "DocumentsError",
    "ForbiddenError",
    "InternalError",
    "InvalidError",
    "NotFoundError",
    "RateLimitedError",
    "TimeoutError",
    "TooLargeError",
    "ToolError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "UpstreamError",
]


class AimateError(Exception):
    """Whatever went wrong in aiMate; the base of all its exceptions."""

    code: str = "internal"
    """The error code, the same as over HTTP and in ``error`` events."""
    status: int = 500
    """The HTTP status of the same error."""
    retryable: bool = False
    """Whether the same call may succeed later."""

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Mapping[str, str] | None = None,
        reason: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        """What was wrong and what would be right."""
        self.errors = dict(errors or {})
        """What is wrong with each argument, by its name."""
        self.reason = reason
        """What more a program may act on: ``"budget_exceeded"``, ``"quota_exceeded"``, or of a
        document ``"encrypted"``, ``"damaged"``, ``"no_text"`` and so on."""
        self.retry_after = retry_after
        """Seconds to wait before trying again, where the other side said so."""

    def __str__(self) -> str:
        return self.detail


class InvalidError(AimateError, ValueError):
    """The request is malformed; the same again fails again."""

    code = "invalid"
    status = 400


class UnauthenticatedError(AimateError, PermissionError):
    """Nobody is known to ask."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(AimateError, PermissionError):
    """The user may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(AimateError, LookupError):
    """There is no such thing, or it is another user's."""

    code = "not_found"
    status = 404


class ConflictError(AimateError):
    """It clashes with what is stored."""

    code = "conflict"
    status = 409


class TooLargeError(AimateError, ValueError):
    """Larger than a limit."""

    code = "too_large"
    status = 413


class ContextOverflowError(AimateError, ValueError):
    """The prompt does not fit the model's window."""

    code = "context_overflow"
    status = 422


class UnsupportedError(AimateError, NotImplementedError):
    """Well-formed, but this model, provider or build cannot do it."""

    code = "unsupported"
    status = 422


class RateLimitedError(AimateError):
    """Too many requests, here or at the model server; or a budget is used up (``reason``)."""

    code = "rate_limited"
    status = 429
    retryable = True


class InternalError(AimateError, RuntimeError):
    """A fault of aiMate."""

    code = "internal"


class UpstreamError(AimateError):
    """The model server, or a provider of your own, failed or answered nonsense."""

    code = "upstream"
    status = 502
    retryable = True


class UnavailableError(AimateError, ConnectionError):
    """The database or a model server cannot be reached, or the engine is closing."""

    code = "unavailable"
    status = 503
    retryable = True


class TimeoutError(AimateError, builtins.TimeoutError):  # noqa: A001 - the field's own word
    """A deadline passed."""

    code = "timeout"
    status = 504
    retryable = True


class ClosedError(AimateError, RuntimeError):
    """The engine was closed before."""

    code = "unavailable"
    status = 503


class DocumentsError(AimateError):
    """Some of the documents that were added together failed. Its ``code`` is that of the first,
    which is its cause; ``errors`` says why, by ``documents[N]``."""

    documents: list[Document | None] = []
    """What came of each, in their order: with the status ``failed`` where it could not be read,
    ``None`` where it could not be added."""


class ToolError(Exception):
    """Raise it in a tool to tell the model, in your own words, why it failed."""


_BY_CODE: dict[str, type[AimateError]] = {
    error.code: error
    for error in (
        InvalidError,
        UnauthenticatedError,
        ForbiddenError,
        NotFoundError,
        ConflictError,
        TooLargeError,
        ContextOverflowError,
        UnsupportedError,
        RateLimitedError,
        InternalError,
        UpstreamError,
        UnavailableError,
        TimeoutError,
    )
}


def of_code(
    code: str,
    detail: str,
    errors: Mapping[str, str] | None = None,
    retry_after: float | None = None,
    reason: str | None = None,
) -> AimateError:
    """Returns the exception of an error code."""
    kind = _BY_CODE.get(code, InternalError)
    return kind(detail, errors=errors, reason=reason, retry_after=retry_after)


def of_document(code: str, detail: str) -> AimateError:
    """Returns the exception for a document that failed: of what lies in the document itself
    (``encrypted``, ``damaged``, ``no_text`` and so on) an `InvalidError` with that ``reason``."""
    if code in _BY_CODE:
        return of_code(code, detail)
    return InvalidError(detail, reason=code)


def of_documents(documents: Sequence[Document | None], failed: Mapping[int, AimateError]) -> DocumentsError:
    """Returns the exception for documents of which some failed."""
    n, first = next(iter(failed.items()))
    error = DocumentsError(
        f"{len(failed)} of {len(documents)} documents failed; the first of them, documents[{n}]: {first.detail}",
        errors={f"documents[{n}]": each.detail for n, each in failed.items()},
        reason=first.reason,
        retry_after=first.retry_after,
    )
    error.code, error.status, error.retryable = first.code, first.status, first.retryable
    error.documents = list(documents)
    return error


def of_problem(status: int, problem: Mapping[str, Any]) -> AimateError:
    """Returns the exception of an RFC 9457 problem, as the HTTP API sends it, or of OpenAI's
    error object, as ``/v1`` does."""
    if isinstance(problem.get("error"), dict):
        wrong = problem["error"]
        known = {"context_length_exceeded": "context_overflow", "insufficient_quota": "rate_limited"}
        code = known.get(wrong["code"], wrong["code"])
        fields = {wrong["param"]: wrong["message"]} if wrong.get("param") else {}
        problem = {"code": code, "detail": wrong["message"], "errors": [{"path": k, "message": v} for k, v in fields.items()]}
    fields = {field["path"]: field["message"] for field in problem.get("errors", ())}
    error = of_code(
        problem.get("code", "internal"),
        problem.get("detail", "the request failed"),
        fields,
        problem.get("retry_after"),
        problem.get("reason"),
    )
    error.status = status
    return error

"""The shapes of aiMate's data: plain dicts, as the HTTP API has them in JSON.

Ids are UUIDs as strings, times RFC 3339 in UTC (``datetime.fromisoformat`` reads them from
Python 3.11 on), costs US dollars.
"""
# Made by tools/make_types.py; change that, or the Rust types that it is made of.

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

__all__ = [
    "Amount",
    "AndFilter",
    "ApprovalRequiredEvent",
    "AskedCallApproval",
    "AudioToolContent",
    "AuditRecord",
    "AuditTarget",
    "Budget",
    "BudgetPeriod",
    "BudgetSubject",
    "CallApproval",
    "Capability",
    "ChatEvent",
    "Chunk",
    "Chunking",
    "Citation",
    "CitationPart",
    "Collection",
    "Connection",
    "ConnectionSettings",
    "ConnectionStatus",
    "ConnectionTest",
    "ContainsFilter",
    "Content",
    "Conversation",
    "CreatedShare",
    "Document",
    "DocumentError",
    "DocumentStatus",
    "Elicitation",
    "EmbeddingSpace",
    "EqFilter",
    "ErrorEvent",
    "ErrorKind",
    "ExistsFilter",
    "ExtraEvent",
    "ExtraPart",
    "FieldRange",
    "FieldValue",
    "FieldValues",
    "FilePart",
    "Filter",
    "FilterField",
    "FilterValue",
    "Finished",
    "FinishedEvent",
    "GivenCallApproval",
    "Group",
    "GroupBudgetSubject",
    "GroupChange",
    "GroupMember",
    "HitExplanation",
    "ImagePart",
    "ImageToolContent",
    "InFilter",
    "InputRequiredEvent",
    "ListedMessage",
    "ListedTool",
    "ListedUsage",
    "MaxTokensField",
    "MemberKind",
    "Message",
    "MessageRole",
    "MessageStatus",
    "ModelBudgetSubject",
    "ModelPrice",
    "NewConnection",
    "NewConversation",
    "NotFilter",
    "OfferedModel",
    "OnDisconnect",
    "OrFilter",
    "Part",
    "Prices",
    "Prompt",
    "PromptChange",
    "Quote",
    "RangeFilter",
    "ReasoningEvent",
    "ReasoningPart",
    "ResourceLinkToolContent",
    "ResourceToolContent",
    "ResponseFormat",
    "RetrievedEvent",
    "Run",
    "RunError",
    "RunStatus",
    "Scope",
    "SearchHit",
    "ServerInfo",
    "Share",
    "SourcePassage",
    "SpaceStatus",
    "Started",
    "StartedEvent",
    "TagBudgetSubject",
    "Tenant",
    "TenantBudgetSubject",
    "TextEvent",
    "TextPart",
    "TextToolContent",
    "TextWasReasoningEvent",
    "TokenChunking",
    "TokenUsage",
    "Tool",
    "ToolAuthConfig",
    "ToolAuthType",
    "ToolCall",
    "ToolCallPart",
    "ToolCalledEvent",
    "ToolChoice",
    "ToolContent",
    "ToolHints",
    "ToolPolicy",
    "ToolProgress",
    "ToolProgressEvent",
    "ToolResult",
    "ToolResultPart",
    "ToolReturnedEvent",
    "ToolServer",
    "ToolServerChange",
    "ToolServerDetail",
    "ToolServerStatus",
    "ToolServerTest",
    "ToolSpec",
    "ToolState",
    "TurnOptions",
    "TurnSummary",
    "TurnTool",
    "UsableTool",
    "UsageOutcome",
    "UsageSum",
    "User",
    "UserBudgetSubject",
    "WarningEvent",
    "Workspace",
    "WorkspaceBudgetSubject",
    "WorkspaceChange",
    "WorkspaceMember",
    "WorkspaceRole",
]

BudgetPeriod = Literal["day", "month"]
Capability = Literal["chat", "tools", "vision", "reasoning", "json_schema", "embedding"]
ConnectionStatus = Literal["unknown", "ok", "unreachable", "needs_key"]
DocumentStatus = Literal["pending", "processing", "ready", "failed"]
ErrorKind = Literal["invalid", "unauthenticated", "forbidden", "not_found", "conflict", "too_large", "context_overflow", "unsupported", "rate_limited", "internal", "upstream", "unavailable", "timeout"]
MaxTokensField = Literal["max_tokens", "max_completion_tokens"]
MemberKind = Literal["user", "group"]
MessageRole = Literal["system", "user", "assistant", "tool"]
MessageStatus = Literal["complete", "streaming", "interrupted", "cancelled", "failed"]
OnDisconnect = Literal["continue", "cancel"]
RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "interrupted"]
SpaceStatus = Literal["active", "building", "retired", "failed"]
ToolAuthType = Literal["none", "bearer", "headers", "oauth"]
ToolPolicy = Literal["allow", "ask", "deny"]
ToolServerStatus = Literal["unknown", "ok", "unreachable", "needs_auth"]
ToolState = Literal["approved", "new", "changed"]
UsageOutcome = Literal["completed", "cancelled", "failed", "interrupted"]
WorkspaceRole = Literal["viewer", "editor", "owner"]


class AuditTarget(TypedDict):
    """What something was done to."""

    id: str
    """Which one."""
    kind: str
    """The noun, such as `user` or `connection`."""


class _AuditRecordRequired(TypedDict):
    action: str
    """What happened, such as `user.login`."""
    created_at: str
    """When it happened."""
    hash: str
    """SHA-256 of this record and of the hash of the one before it."""
    sequence: int
    """Its number in the tenant's log, from 1."""


class AuditRecord(_AuditRecordRequired, total=False):
    """One record of the log."""

    actor_id: Optional[str]
    """Who did it; `null` if nobody was signed in, or the operator did it."""
    detail: Optional[Dict[str, Any]]
    """What else is known; `null` once a user whom it names was deleted."""
    target: Optional[AuditTarget]
    """What it was done to."""


class GroupChange(TypedDict, total=False):
    """What to change about a group; ``None`` leaves a field as it is."""

    description: Optional[str]
    """What it is for."""
    name: Optional[str]
    """The name, 1 to 200 characters."""


class PromptChange(TypedDict, total=False):
    """What to change about a prompt; ``None`` leaves a field as it is."""

    content: Optional[str]
    """The text, 1 to 100,000 characters."""
    is_active: Optional[bool]
    """Whether it is sent with each turn of its workspace."""
    title: Optional[str]
    """The title, 1 to 200 characters."""


class ToolAuthConfig(TypedDict, total=False):
    """What a tool server is authorized with."""

    client_id: Optional[str]
    """With `oauth`, where the server's authorization server knows the application already: its
    id there. Else it registers itself."""
    client_secret: Optional[str]
    """With `client_id`: the secret that goes with it, if one does."""
    headers: Dict[str, str]
    """With `headers`: the headers."""
    token: Optional[str]
    """With `bearer`: the token."""


class ToolServerChange(TypedDict, total=False):
    """What to change about a tool server; ``None`` leaves a field as it is."""

    auth_config: Optional[ToolAuthConfig]
    """The token or headers, in place of what was kept."""
    auth_type: Optional[ToolAuthType]
    """How it is authorized. Another way drops what was kept for the former one."""
    is_enabled: Optional[bool]
    """Whether its tools are offered."""
    name: Optional[str]
    """The name."""
    url: Optional[str]
    """The address. A new origin drops the token, the headers and all logins, and the tools have to
    be approved anew."""


class WorkspaceChange(TypedDict, total=False):
    """What to change about a workspace; ``None`` leaves a field as it is."""

    description: Optional[str]
    """What it is for."""
    is_archived: Optional[bool]
    """Whether it is put away."""
    metadata: Optional[Dict[str, Any]]
    """All metadata, replaced as a whole."""
    name: Optional[str]
    """The name, 1 to 200 characters."""


class Amount(TypedDict):
    """What calls cost: dollars, where prices are known, and tokens read and written."""

    cost: float
    """In US dollars."""
    tokens: int
    """Tokens read and written."""


class TenantBudgetSubject(TypedDict):
    """All calls of the tenant."""

    type: Literal["tenant"]


class UserBudgetSubject(TypedDict):
    """Those of a user."""

    type: Literal["user"]
    value: str
    """Those of a user."""


class GroupBudgetSubject(TypedDict):
    """Those of the members of a group, together: who joins or leaves it is counted from then on."""

    type: Literal["group"]
    value: str
    """Those of the members of a group, together: who joins or leaves it is counted from then on."""


class WorkspaceBudgetSubject(TypedDict):
    """Those in the conversations of a workspace."""

    type: Literal["workspace"]
    value: str
    """Those in the conversations of a workspace."""


class ModelBudgetSubject(TypedDict):
    """Those of a model, as `CONNECTION/MODEL`, or of all models of a connection, as
    `CONNECTION/*`."""

    type: Literal["model"]
    value: str
    """Those of a model, as `CONNECTION/MODEL`, or of all models of a connection, as
    `CONNECTION/*`."""


class TagBudgetSubject(TypedDict):
    """Those with a tag (`Turn::tag`)."""

    type: Literal["tag"]
    value: str
    """Those with a tag (`Turn::tag`)."""


class _BudgetRequired(TypedDict):
    begins_at: str
    """When the period began that is counted."""
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    period: BudgetPeriod
    """How often it begins anew."""
    reserved: Amount
    """What is set aside for calls under way."""
    spent: Amount
    """What calls that are over have cost in it."""
    subject: BudgetSubject
    """Whose calls it counts."""
    updated_at: str
    """When its limits last changed."""


class Budget(_BudgetRequired, total=False):
    """A limit of what calls may cost in a day or a month."""

    max_cost: Optional[float]
    """US dollars at most; `null` for as many as there are. Calls whose price nobody
    knows cost none."""
    max_tokens: Optional[int]
    """Tokens read and written at most; `null` for as many as there are."""


class _StartedRequired(TypedDict):
    conversation_id: str
    """The conversation."""
    message_id: str
    """The answer's message."""
    model: str
    """The model, as `CONNECTION/MODEL`."""
    run_id: str
    """The run, to attach to or cancel."""


class Started(_StartedRequired, total=False):
    """The content of `ChatEvent::Started`."""

    user_message_id: Optional[str]
    """The message that is answered."""


class StartedEvent(Started):
    """The turn is stored and the model is asked."""

    type: Literal["started"]


class _QuoteRequired(TypedDict):
    found: bool
    """Whether they stand in the passage."""
    text: str
    """The quoted words."""


class Quote(_QuoteRequired, total=False):
    """A quotation of an answer."""

    end: Optional[int]
    """The character after their last."""
    start: Optional[int]
    """Their first character in the document's text, if they were found."""


class _CitationRequired(TypedDict):
    end: int
    """One past its last character."""
    n: int
    """Its number in the answer, from 1."""
    score: float
    """How well it matched; greater is better."""
    start: int
    """First character of the passage in the document's text."""
    text: str
    """The passage."""
    title: str
    """The title of the document or source."""


class Citation(_CitationRequired, total=False):
    """A passage that an answer relies on: of a document, or of a source of the
    application's own."""

    chunk_id: Optional[str]
    """The chunk of the document."""
    document_id: Optional[str]
    """The document; absent for a source of the application's own."""
    file_id: Optional[str]
    """The file that the document was attached from; absent for one that was added by itself."""
    is_stale: bool
    """Whether the document changed since, so that it no longer holds the
    passage; determined when messages are read."""
    page: Optional[int]
    """The page, slide or sheet, from 1, where the format has them: that of its
    first quotation, else the one on which the passage begins."""
    quotes: List[Quote]
    """What the answer quotes of it, looked up in the passage."""
    source: Optional[str]
    """The application's own key of where the passage stands; absent for a document."""
    url: Optional[str]
    """Where people can read it, if the application says so."""


class RetrievedEvent(TypedDict):
    """Passages were found for the question."""

    citations: List[Citation]
    """The passages."""
    type: Literal["retrieved"]


class ReasoningEvent(TypedDict):
    """More reasoning."""

    text: str
    """The piece."""
    type: Literal["reasoning"]


class TextEvent(TypedDict):
    """More of the answer."""

    text: str
    """The piece."""
    type: Literal["text"]


class TextWasReasoningEvent(TypedDict):
    """All text so far was reasoning: the model's server told it too late. The
    stored answer has it so."""

    type: Literal["text_was_reasoning"]


class ExtraEvent(TypedDict):
    """What else there is of the answer, under the provider's names: pictures,
    sounds, the sources of a search."""

    fields: Dict[str, Any]
    """The fields as the provider sent them."""
    type: Literal["extra"]


class AskedCallApproval(TypedDict):
    """Its answer ended with it, and it was not made: a person is asked."""

    tool: str
    """What tells the tool as it was then from others of its name."""
    type: Literal["asked"]


class _GivenCallApprovalRequired(TypedDict):
    approve: bool
    """Whether it may be made."""
    request: str
    """The name of what they were asked, as the caller of the turn gave it."""
    type: Literal["given"]


class GivenCallApproval(_GivenCallApprovalRequired, total=False):
    """A person was asked of it at the end of an earlier answer, and said what this one does."""

    reason: Optional[str]
    """Why."""


class _ToolCallRequired(TypedDict):
    arguments: Any
    """The arguments: an object; a string if the model wrote invalid JSON."""
    id: str
    """The id that its result names; made by aiMate where the provider gave none."""
    name: str
    """The tool's name."""


class ToolCall(_ToolCallRequired, total=False):
    """A model's request to call a tool."""

    approval: Optional[CallApproval]
    """How it stands with the approval of a person, where the answer does not wait for it
    (`OnApproval::End`)."""
    extra: Dict[str, Any]
    """What the provider wants back with the call, unchanged, under its own names;
    only the connection that made the call gets it."""
    is_made_here: bool
    """Whether aiMate makes the call itself, within the answer; else it is the caller's to
    make."""
    server: Optional[str]
    """The name of the tool server whose tool it is, where aiMate makes the call."""


class ToolCalledEvent(TypedDict):
    """The model called a tool."""

    call: ToolCall
    """The whole call."""
    type: Literal["tool_called"]


class ApprovalRequiredEvent(TypedDict):
    """A tool call waits for a person."""

    call: ToolCall
    """The whole call."""
    type: Literal["approval_required"]


class _ToolProgressRequired(TypedDict):
    progress: float
    """How much is done; grows."""


class ToolProgress(_ToolProgressRequired, total=False):
    """How far a tool is."""

    message: Optional[str]
    """What it does now."""
    total: Optional[float]
    """How much there is to do."""


class ToolProgressEvent(ToolProgress):
    """A tool is so far."""

    id: str
    """The call's id."""
    type: Literal["tool_progress"]


class _ElicitationRequired(TypedDict):
    message: str
    """The question; untrusted text of the server."""


class Elicitation(_ElicitationRequired, total=False):
    """What a tool asks the person while it runs."""

    schema: Any
    """JSON Schema of the answer: an object of flat fields. ``None`` where the person is sent
    to `url` instead."""
    url: Optional[str]
    """Where the person does what is asked, in a browser of their own."""


class InputRequiredEvent(Elicitation):
    """A tool asks the person something and waits for the answer."""

    id: str
    """The call's id."""
    type: Literal["input_required"]


class TextToolContent(TypedDict):
    """Text."""

    text: str
    """The text."""
    type: Literal["text"]


class ImageToolContent(TypedDict):
    """A picture."""

    data: str
    """Its bytes, base64."""
    media_type: str
    """Its media type, such as `image/png`."""
    type: Literal["image"]


class AudioToolContent(TypedDict):
    """A sound."""

    data: str
    """Its bytes, base64."""
    media_type: str
    """Its media type, such as `audio/wav`."""
    type: Literal["audio"]


class _ResourceToolContentRequired(TypedDict):
    type: Literal["resource"]
    uri: str
    """Its address at the server."""


class ResourceToolContent(_ResourceToolContentRequired, total=False):
    """A resource of the tool's server, with its content."""

    data: Optional[str]
    """Its bytes, base64."""
    media_type: Optional[str]
    """Its media type."""
    text: Optional[str]
    """Its text; exactly one of `text` and `data`."""


class _ResourceLinkToolContentRequired(TypedDict):
    name: str
    """Its name."""
    type: Literal["resource_link"]
    uri: str
    """Its address at the server."""


class ResourceLinkToolContent(_ResourceLinkToolContentRequired, total=False):
    """A resource that can be read at the tool's server."""

    description: Optional[str]
    """What it is."""
    media_type: Optional[str]
    """Its media type."""


class _ToolResultRequired(TypedDict):
    id: str
    """The call it answers."""
    output: Any
    """The result as the model reads it: any JSON; plain text as a string."""


class ToolResult(_ToolResultRequired, total=False):
    """What a tool returned for one call."""

    bytes: Optional[int]
    """Bytes of the whole result, where `output` is only its beginning."""
    content: List[ToolContent]
    """What else the tool returned: pictures, and of aiMate's own calls sounds and resources."""
    duration_ms: Optional[int]
    """Milliseconds that the call took, where aiMate made it."""
    handle: Optional[str]
    """Under which the whole result is kept then."""
    is_error: bool
    """Whether the tool failed; `output` says why."""


class ToolReturnedEvent(ToolResult):
    """A tool answered."""

    type: Literal["tool_returned"]


class WarningEvent(TypedDict):
    """Something the caller should know; the run goes on."""

    code: str
    """What it is about."""
    detail: str
    """A sentence."""
    type: Literal["warning"]


class TextPart(TypedDict):
    """Text."""

    text: str
    """The text, UTF-8 without NUL."""
    type: Literal["text"]


class _ImagePartRequired(TypedDict):
    type: Literal["image"]


class ImagePart(_ImagePartRequired, total=False):
    """A picture, by address or inline; exactly one of `url` and `data`."""

    data: Optional[str]
    """The picture itself, base64."""
    media_type: Optional[str]
    """The media type of `data`, such as `image/png`."""
    url: Optional[str]
    """An `https:` address that the provider fetches."""


class FilePart(TypedDict):
    """An uploaded file."""

    file_id: str
    """The file."""
    media_type: str
    """Its media type."""
    name: str
    """Its name when it was attached."""
    type: Literal["file"]


class _ReasoningPartRequired(TypedDict):
    text: str
    """The readable part; empty where the provider keeps it hidden."""
    type: Literal["reasoning"]


class ReasoningPart(_ReasoningPartRequired, total=False):
    """What the model thought before it answered."""

    details: Any
    """What the provider wants back unchanged in the next turn."""


class ToolCallPart(ToolCall):
    """A call of a tool."""

    type: Literal["tool_call"]


class ToolResultPart(ToolResult):
    """What a tool returned."""

    type: Literal["tool_result"]


class CitationPart(Citation):
    """A source of the answer."""

    type: Literal["citation"]


class ExtraPart(TypedDict):
    """What else a provider sent with its answer, under its own names: pictures,
    sounds, the sources of a search."""

    fields: Dict[str, Any]
    """The fields as the provider sent them."""
    type: Literal["extra"]


class _TokenUsageRequired(TypedDict):
    input_tokens: int
    """Tokens read."""
    output_tokens: int
    """Tokens written, reasoning included."""


class TokenUsage(_TokenUsageRequired, total=False):
    """What one answer used."""

    cached_tokens: int
    """Of the tokens read, those the provider had cached."""
    cost: Optional[float]
    """What it cost, in US dollars, where the provider or the model's prices say."""
    estimated: bool
    """Whether aiMate counted because the provider did not say."""
    reasoning_tokens: int
    """Of the tokens written, those of reasoning."""


class _MessageRequired(TypedDict):
    content: List[Part]
    """What is said."""
    conversation_id: str
    """Its conversation."""
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    metadata: Dict[str, Any]
    """Free for the application."""
    role: MessageRole
    """Who speaks."""
    status: MessageStatus
    """How far it has come."""


class Message(_MessageRequired, total=False):
    """One node of a conversation's tree."""

    cost: Optional[float]
    """What writing it cost, in US dollars."""
    model: Optional[str]
    """The model that wrote it, as `CONNECTION/MODEL`."""
    parent_id: Optional[str]
    """The message it follows; ``None`` for a root."""
    usage: Optional[TokenUsage]
    """What writing it used."""


class Finished(TypedDict):
    """The content of `ChatEvent::Finished`."""

    finish_reason: str
    """Why the model stopped; `cancelled` if somebody stopped it."""
    message: Message
    """The answer as it is stored."""
    usage: TokenUsage
    """What the answer used."""


class FinishedEvent(Finished):
    """The run is over and the answer stored."""

    type: Literal["finished"]


class ErrorEvent(TypedDict):
    """The run is over and did not succeed; the partial answer is stored."""

    code: ErrorKind
    """What kind of failure it is."""
    detail: str
    """A sentence."""
    retryable: bool
    """Whether the same turn may succeed later."""
    type: Literal["error"]


class _ChunkRequired(TypedDict):
    document_id: str
    """The document."""
    end: int
    """The character after its last."""
    headings: List[str]
    """The headings it stands under, outermost first."""
    id: str
    """Its id: the same for the same text in the same document, so that an
    unchanged chunk keeps it when the document changes."""
    index: int
    """Its place among the document's chunks, from 0."""
    start: int
    """First character of the chunk in the document's text, in Unicode code
    points."""
    text: str
    """The text."""


class Chunk(_ChunkRequired, total=False):
    """A stretch of a document that is found and cited as one."""

    page: Optional[int]
    """The page, slide or sheet, from 1, where the format has them."""


class Chunking(TypedDict, total=False):
    """How documents are split into chunks."""

    overlap: int
    """Maximum characters repeated from the previous chunk, less than half of
    `size`. Default: 200. Nothing is repeated across a heading."""
    size: int
    """Maximum characters (Unicode code points) of a chunk, 100 to 8,000. Default:
    1,000."""


class _EmbeddingSpaceRequired(TypedDict):
    chunk_count: int
    """Chunks that have a vector in it."""
    collection_id: str
    """The collection."""
    created_at: str
    """When it was made."""
    dimensions: int
    """Numbers in a vector."""
    id: str
    """Its id."""
    name: str
    """`local/NAME` for a model in this process, `CONNECTION/MODEL` for one of
    a model server."""
    status: SpaceStatus
    """How far it has come."""


class EmbeddingSpace(_EmbeddingSpaceRequired, total=False):
    """Vectors of one model over the chunks of one collection."""

    error: Optional[str]
    """Why it could not be built."""
    version: str
    """What changes when the same name makes other vectors, such as a hash of
    the weights; empty where the server does not tell."""


class _CollectionRequired(TypedDict):
    chunk_count: int
    """How many chunks can be found in it."""
    chunking: Chunking
    """How its documents are cut into chunks."""
    created_at: str
    """When it was made."""
    description: str
    """What is in it."""
    document_count: int
    """How many documents it has."""
    id: str
    """Its id."""
    metadata: Dict[str, Any]
    """Free for the application."""
    name: str
    """The name, 1 to 200 characters; no two collections of a user share one, nor two
    shared ones, nor two of a workspace. By name, a user's own comes before the shared
    one; those of workspaces are found by their id."""
    updated_at: str
    """When it last changed."""


class Collection(_CollectionRequired, total=False):
    """A named set of documents of one user."""

    expires_after_days: Optional[int]
    """Days without use after which it expires for clients of OpenAI's API: they attach nothing to
    it and find nothing in it then, until it is changed. For everybody else it stays what it is."""
    is_shared: bool
    """Whether all users of the tenant search and read it; only an admin changes it and
    what is in it then."""
    label: Optional[str]
    """The name that clients of OpenAI's API gave it, which may be empty or another one's
    too; ``None`` for the name."""
    last_active_at: str
    """When it was last used, to the minute: changed, or attached to or searched by a client of
    OpenAI's API; and, where it may expire and has not, added to or searched by its name or id by
    whomever."""
    space: Optional[EmbeddingSpace]
    """The space that questions are compared in; ``None`` while it has text
    search alone."""
    workspace_id: Optional[str]
    """The workspace whose members share it."""


class ConnectionSettings(TypedDict, total=False):
    """Fine-tuning of a connection; every field has a default."""

    connect_timeout_ms: Optional[int]
    """Milliseconds to wait for the connection to be made. Default 5,000."""
    context_window: Optional[int]
    """Tokens of the context window to ask for, where the server takes that, and
    to fit prompts to. Default: what the model list says, else what is known of
    the model's family; where nothing is known, prompts are not cut."""
    first_byte_timeout_ms: Optional[int]
    """Milliseconds that a server may be silent before the first content of an
    answer, or load a model. Default: what the process is told, else 300,000, and
    1,800,000 for a server on this machine."""
    idle_timeout_ms: Optional[int]
    """Milliseconds without a byte after which a stream counts as broken, once its
    content has begun. Default: as for `first_byte_timeout_ms`."""
    keep_alive: Optional[str]
    """How long Ollama keeps the model loaded, such as `5m`."""
    max_tokens_field: Optional[MaxTokensField]
    """The name of the field for the tokens of an answer at most. Default: the
    caller's, else the one that the server is known or has shown to take."""
    organization: Optional[str]
    """OpenAI's `OpenAI-Organization` header."""
    proxy: Optional[str]
    """The proxy to the server, such as `http://proxy.example.org:3128`; empty for
    none. Default: the one that the process is told."""
    retries: Optional[int]
    """How often a call is tried again before its first token. Default 2."""
    stream_options: Optional[bool]
    """Whether to ask for the usage of a stream with `stream_options`. Default:
    yes, unless the server has refused it."""
    text_as_parts: Optional[bool]
    """Whether to send a message of text alone as a string instead of a list of
    parts, for servers that refuse lists. Default: a string."""
    tools_by_prompt: List[str]
    """The server's own ids of models that are told of tools in the prompt, because the
    server knows no tool calls for them; `*` for all. Default: none."""


class _ConnectionRequired(TypedDict):
    created_at: str
    """When it was made."""
    has_key: bool
    """Whether a key is kept for it."""
    id: str
    """Its id."""
    is_enabled: bool
    """Whether its models are offered."""
    is_shared: bool
    """Whether all users of the tenant see it; only an admin changes it then."""
    name: str
    """The name that model ids begin with; unique among those of its owner. Of several
    that a user sees, their own comes first, then one of a workspace, then the shared one."""
    provider: str
    """The provider that speaks to it."""
    settings: ConnectionSettings
    """Fine-tuning."""
    status: ConnectionStatus
    """How the last contact went."""
    updated_at: str
    """When it last changed."""


class Connection(_ConnectionRequired, total=False):
    """A configured model server, as it is stored: of one user, of a workspace, or shared by
    the tenant."""

    key_hint: Optional[str]
    """The last four characters of the key."""
    models_fetched_at: Optional[str]
    """When its model list was last read well."""
    stale_since: Optional[str]
    """Since when reading the model list has failed; the last good list stays."""
    url: Optional[str]
    """The server's address, where its provider wants one."""
    workspace_id: Optional[str]
    """The workspace whose editors and owners use it; its owners alone change it."""


class _ConnectionTestRequired(TypedDict):
    latency_ms: int
    """How long that took."""
    models: List[str]
    """The server's own ids of its models."""
    ok: bool
    """Whether the server answered with its models."""


class ConnectionTest(_ConnectionTestRequired, total=False):
    """What a test of a connection found."""

    error: Optional[str]
    """What went wrong."""


class _ConversationRequired(TypedDict):
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    is_archived: bool
    """Whether it is put away."""
    is_pinned: bool
    """Whether it is kept at the top."""
    message_count: int
    """How many messages all branches have together."""
    metadata: Dict[str, Any]
    """Free for the application."""
    tags: List[str]
    """Labels, at most 50."""
    title: str
    """The title, at most 500 characters."""
    updated_at: str
    """When a message of it was last stored; lists sort by it. A new title or label leaves it."""


class Conversation(_ConversationRequired, total=False):
    """A tree of messages of one user."""

    active_leaf_id: Optional[str]
    """The last message of the branch that is open; ``None`` while empty."""
    is_hidden: bool
    """Whether it is found by its id alone, and is in no list, count or search: a chain of
    answers that nobody opened a conversation for."""
    system_prompt: Optional[str]
    """Instructions that open every prompt of this conversation, at most
    100,000 characters."""
    workspace_id: Optional[str]
    """The workspace whose prompts apply."""


class CreatedShare(TypedDict):
    """A new link, with its secret, which is shown this once and never kept."""

    conversation_id: str
    """The conversation."""
    created_at: str
    """When it was shared."""
    expires_at: str
    """When the link ends."""
    has_system_prompt: bool
    """Whether the conversation's instructions are shown."""
    id: str
    """Its id, by which it is revoked; it opens nothing."""
    message_count: int
    """How many messages are shown."""
    message_id: str
    """The last message of the branch that is shared."""
    title: str
    """The title of the conversation as it was."""
    token: str
    """The secret part of the link: who has it reads what is shared."""
    user_id: str
    """Who shared it. While they may not act, the link opens nothing."""


class DocumentError(TypedDict):
    """Why a document failed."""

    code: str
    """What kind of reason it is."""
    detail: str
    """A sentence that says what was wrong and what would be right."""


class TokenChunking(TypedDict):
    """How a document is split into chunks, where it does not follow its collection."""

    max_tokens: int
    """Maximum tokens of a chunk, 100 to 4,096; default 800. An embedder that takes less
    gets less."""
    overlap: int
    """Tokens repeated from the previous chunk, at most half of `max_tokens`; default 400."""


class _DocumentRequired(TypedDict):
    chunk_count: int
    """How many of its chunks can be found."""
    collection_id: str
    """The collection it is in."""
    content_hash: str
    """SHA-256 of its bytes, lower-case hexadecimal."""
    created_at: str
    """When it was added."""
    id: str
    """Its id."""
    media_type: str
    """Its media type, such as `application/pdf`."""
    metadata: Dict[str, Any]
    """Free for the application; filters look here."""
    name: str
    """The name it was given: for people, never part of a path."""
    progress: float
    """How far the work on it has come, 0 to 1: the first half is reading it, the second
    the share of its chunks that are embedded."""
    size: int
    """Its size in bytes."""
    status: DocumentStatus
    """How far it has come."""
    title: str
    """The title its text gives it; the name until it is read."""
    updated_at: str
    """When it last changed."""


class Document(_DocumentRequired, total=False):
    """One document of a collection."""

    error: Optional[DocumentError]
    """Why it failed."""
    file_id: Optional[str]
    """The file that it was attached from, whose bytes it reads."""
    source: Optional[str]
    """Where it came from: an address, or the path it was synchronised from."""
    token_chunking: Optional[TokenChunking]
    """How it is split into chunks, where it does not follow its collection."""
    warnings: List[str]
    """What was noticed while reading it, such as a guessed encoding."""


class Group(TypedDict):
    """Users of a tenant under one name, such as a department."""

    created_at: str
    """When it was made."""
    description: str
    """What it is for."""
    id: str
    """Its id."""
    member_count: int
    """How many users are in it."""
    name: str
    """The name, 1 to 200 characters; no other group of the tenant has it."""
    updated_at: str
    """When its name or description last changed."""


class GroupMember(TypedDict):
    """A user in a group."""

    created_at: str
    """Since when."""
    name: str
    """What they are called."""
    user_id: str
    """Who."""


class _ListedMessageRequired(TypedDict):
    content: List[Part]
    """What is said."""
    conversation_id: str
    """Its conversation."""
    created_at: str
    """When it was made."""
    id: str
    """Its id."""
    metadata: Dict[str, Any]
    """Free for the application."""
    role: MessageRole
    """Who speaks."""
    sibling_ids: List[str]
    """The messages that share its parent, itself included, oldest first: the
    branches at this point."""
    status: MessageStatus
    """How far it has come."""


class ListedMessage(_ListedMessageRequired, total=False):
    """A message as a list of them shows it."""

    cost: Optional[float]
    """What writing it cost, in US dollars."""
    model: Optional[str]
    """The model that wrote it, as `CONNECTION/MODEL`."""
    parent_id: Optional[str]
    """The message it follows; ``None`` for a root."""
    run_id: Optional[str]
    """The run that wrote it, if it is an answer: its events, its manifest, and why it failed."""
    usage: Optional[TokenUsage]
    """What writing it used."""


class _ListedUsageRequired(TypedDict):
    created_at: str
    """When it ended."""
    id: str
    """Its id."""
    model: str
    """The model, as `CONNECTION/MODEL`."""
    outcome: UsageOutcome
    """How it ended."""
    usage: TokenUsage
    """What it used."""
    user_id: str
    """The user who asked."""


class ListedUsage(_ListedUsageRequired, total=False):
    """A usage record in a list, with whose it is."""

    conversation_id: Optional[str]
    """The conversation it belongs to."""
    run_id: Optional[str]
    """The run it belongs to; ``None`` for a call that is not stored."""
    tags: List[str]
    """What the application wants it summed by (`Turn::tag`)."""
    workspace_id: Optional[str]
    """The workspace of its conversation."""


class _ModelPriceRequired(TypedDict):
    created_at: str
    """When it was set."""
    id: str
    """Its id."""
    input: float
    """Of tokens read."""
    model: str
    """The model, as `CONNECTION/MODEL`, or all whose names begin with what stands
    before a `*` at the end."""
    output: float
    """Of tokens written."""
    valid_from: str
    """From this moment on, until a later price of the same `model`."""


class ModelPrice(_ModelPriceRequired, total=False):
    """What calls of a model cost from a moment on. Calls that are over keep their cost."""

    cached: Optional[float]
    """Of tokens read that the provider had cached; like `input` if absent."""


class _NewConnectionRequired(TypedDict):
    name: str
    """The name that model ids begin with: 1 to 200 characters, no `/`."""
    provider: str
    """The provider that speaks to the server, by the name under which it is
    registered."""


class NewConnection(_NewConnectionRequired, total=False):
    """Parameters for creating a connection."""

    api_key: Optional[str]
    """The key; never comes back."""
    is_enabled: bool
    """Whether its models are offered; default true."""
    settings: ConnectionSettings
    """Fine-tuning."""
    shared: bool
    """Whether all users of the tenant see and use it, key included, and only an admin
    changes it; default false. Only an admin may ask for that."""
    url: Optional[str]
    """The server's address; default: the provider's own."""
    workspace_id: Optional[str]
    """The workspace whose editors and owners use it, key included; the user is an owner
    there. It stays with the workspace, and goes with it."""


class NewConversation(TypedDict, total=False):
    """Parameters for creating a conversation.
    
    ```
    use aimate_core::conversation::NewConversation;
    let new = NewConversation::new().title("The pump").tag("ticket:42");
    # let _ = new;
    ```"""

    is_pinned: bool
    """Whether it is kept at the top."""
    metadata: Dict[str, Any]
    """Free for the application, at most 64 KiB as JSON."""
    system_prompt: Optional[str]
    """Instructions that open every prompt, at most 100,000 characters."""
    tags: List[str]
    """Labels, at most 50 of 1 to 100 characters."""
    title: Optional[str]
    """The title, at most 500 characters; taken from the first message if absent."""
    workspace_id: Optional[str]
    """The workspace whose prompts apply."""


class _PricesRequired(TypedDict):
    input: float
    """Of tokens read."""
    output: float
    """Of tokens written."""


class Prices(_PricesRequired, total=False):
    """Prices in US dollars per million tokens."""

    cached: Optional[float]
    """Of tokens read that the provider had cached; like `input` if absent."""


class _OfferedModelRequired(TypedDict):
    capabilities: List[Capability]
    """What it can do, as far as the server says."""
    connection_id: str
    """The connection."""
    id: str
    """`CONNECTION/MODEL`: what a turn's `model` takes."""
    is_active: bool
    """Whether turns may use it."""
    model_id: str
    """The server's own id of it."""
    name: str
    """The name to show."""


class OfferedModel(_OfferedModelRequired, total=False):
    """A model as it is offered to a user."""

    context_window: Optional[int]
    """Tokens of its context window, where the server says."""
    prices: Optional[Prices]
    """What it costs, in US dollars per million tokens."""
    stale_since: Optional[str]
    """Since when reading its connection's list has failed."""


class _PromptRequired(TypedDict):
    content: str
    """The text, at most 100,000 characters."""
    created_at: str
    """When it was made; a workspace's prompts are sent in this order."""
    id: str
    """Its id."""
    is_active: bool
    """Whether it is sent with each turn of its workspace."""
    title: str
    """The title, 1 to 200 characters."""
    updated_at: str
    """When it last changed."""


class Prompt(_PromptRequired, total=False):
    """A stored system prompt."""

    is_shared: bool
    """Whether all users of the tenant see it; only an admin changes it then."""
    workspace_id: Optional[str]
    """The workspace it applies to; ``None`` keeps it in the user's library,
    where it applies to nothing by itself."""


class RunError(TypedDict):
    """Why a run failed."""

    code: ErrorKind
    """What kind of failure it is."""
    detail: str
    """The sentence for the caller."""
    retryable: bool
    """Whether the same turn may succeed later."""


class _RunRequired(TypedDict):
    context: Dict[str, Any]
    """The manifest: what the model was shown, what was left out and why."""
    conversation_id: str
    """The conversation it answers in."""
    created_at: str
    """When it was stored."""
    id: str
    """Its id."""
    message_id: str
    """The answer it writes."""
    model: str
    """The model that answers, as `CONNECTION/MODEL`."""
    status: RunStatus
    """How far it has come."""


class Run(_RunRequired, total=False):
    """The generation of one answer."""

    client_id: Optional[str]
    """The caller's own id for the turn: the same id gives the same run."""
    error: Optional[RunError]
    """Why it failed."""
    finish_reason: Optional[str]
    """Why the model stopped, once it has."""
    finished_at: Optional[str]
    """When it ended."""
    tags: List[str]
    """What the application wants its usage summed by."""
    usage: Optional[TokenUsage]
    """What it used."""
    user_message_id: Optional[str]
    """The message it answers: the answer's parent."""
    workspace_id: Optional[str]
    """The workspace that its usage is counted for: that of the conversation when it
    was stored."""


class _HitExplanationRequired(TypedDict):
    fused: float
    """The fused score, before a reranker or the diversity changed the order."""


class HitExplanation(_HitExplanationRequired, total=False):
    """How a hit's score came about. A rank counts from 1; ``None`` means that the
    retriever did not find the passage."""

    bm25: Optional[float]
    """The BM25 score."""
    cosine: Optional[float]
    """The cosine between question and passage."""
    rerank: Optional[float]
    """The reranker's score."""
    text_rank: Optional[int]
    """The rank by words."""
    vector_rank: Optional[int]
    """The rank by meaning."""


class _SearchHitRequired(TypedDict):
    chunk_id: str
    """The chunk."""
    collection_id: str
    """The collection."""
    document_id: str
    """The document."""
    end: int
    """The character after its last."""
    score: float
    """How well it fits, from 0 to 1. By meaning: the cosine. By words: BM25 ÷ what
    no passage can reach for the question, so the part of the question, by the
    rarity of its words, that the passage says. Hybrid: the mean of both, with the
    weight that `SearchExplanation::cosine_weight` tells. Reranked: the
    reranker's score; one that gives others than 0 to 1 is taken to give
    logarithms of odds."""
    start: int
    """First character of the passage in the document's text, in Unicode code
    points."""
    text: str
    """The passage."""
    title: str
    """The document's title."""


class SearchHit(_SearchHitRequired, total=False):
    """A passage that was found."""

    explain: Optional[HitExplanation]
    """How the score came about."""
    file_id: Optional[str]
    """The file that the document was attached from; absent for one that was added by itself."""
    headings: List[str]
    """The headings the passage stands under, outermost first."""
    page: Optional[int]
    """The page, slide or sheet, from 1, where the format has them."""


class Share(TypedDict):
    """A link by which anybody reads a branch of a conversation as it was when it was shared."""

    conversation_id: str
    """The conversation."""
    created_at: str
    """When it was shared."""
    expires_at: str
    """When the link ends."""
    has_system_prompt: bool
    """Whether the conversation's instructions are shown."""
    id: str
    """Its id, by which it is revoked; it opens nothing."""
    message_count: int
    """How many messages are shown."""
    message_id: str
    """The last message of the branch that is shared."""
    title: str
    """The title of the conversation as it was."""
    user_id: str
    """Who shared it. While they may not act, the link opens nothing."""


class _SourcePassageRequired(TypedDict):
    source: str
    """The application's own key of where it stands, such as `ticket:42` or an
    address: comes back as the citation's `source`. At most 2,000 characters."""
    text: str
    """The passage; at most 16,000 characters, and within a turn's tokens for
    passages."""


class SourcePassage(_SourcePassageRequired, total=False):
    """A passage of the application's own, for a model to answer from. It is cited as
    one of the knowledge is.
    
    ```
    use aimate_core::knowledge::SourcePassage;
    let passage = SourcePassage::new("ticket:42", "The pump was replaced in March.")
        .title("Ticket 42")
        .url("https://helpdesk.example.org/tickets/42");
    # let _ = passage;
    ```"""

    page: Optional[int]
    """The page on which it stands, from 1."""
    score: Optional[float]
    """How well it fits, for people; passages are taken in the order in which they
    are given. Default: 0."""
    title: Optional[str]
    """What people and the model are shown as its title; default: `source`. At most
    500 characters."""
    url: Optional[str]
    """Where people can read it: an `http:` or `https:` address."""


class _ServerInfoRequired(TypedDict):
    name: str
    """Its name."""
    protocol: str
    """The revision of the protocol that it is spoken to in, such as `2026-07-28`."""
    version: str
    """Its version."""


class ServerInfo(_ServerInfoRequired, total=False):
    """What a server says of itself."""

    instructions: Optional[str]
    """How its tools are meant to be used, for the model; untrusted."""


class _ToolServerRequired(TypedDict):
    auth_type: ToolAuthType
    """How it is authorized."""
    created_at: str
    """When it was made."""
    has_auth: bool
    """Whether a token or headers are kept for it."""
    id: str
    """Its id."""
    is_configured: bool
    """Whether the operator configured it: its name, address and authorization are theirs."""
    is_enabled: bool
    """Whether its tools are offered."""
    is_shared: bool
    """Whether all users of the tenant see it; only an admin changes it then."""
    name: str
    """The name by which its tools are chosen, `NAME` or `NAME/TOOL`; unique among those of its
    owner. Of several that a user sees, their own comes first, then one of a workspace, then
    the shared one."""
    status: ToolServerStatus
    """How the last contact went."""
    tool_count: int
    """How many tools it lists."""
    updated_at: str
    """When its settings last changed."""


class ToolServer(_ToolServerRequired, total=False):
    """A configured tool server, as it is stored: of one user, of a workspace, or shared by the
    tenant. What it lists is beside it."""

    error: Optional[str]
    """What went wrong then."""
    server: Optional[ServerInfo]
    """What it says of itself; untrusted."""
    stale_since: Optional[str]
    """Since when reading them has failed; the last good list stays."""
    tools_expire_at: Optional[str]
    """When they are read again."""
    tools_fetched_at: Optional[str]
    """When its tools were last read well."""
    url: Optional[str]
    """Where it is. ``None`` for a child process that the operator configured."""
    workspace_id: Optional[str]
    """The workspace whose editors and owners use it; its owners alone change it."""


class ToolHints(TypedDict, total=False):
    """What the source of a tool says of its effects; a hint, since the source may lie."""

    destructive: Optional[bool]
    """It may delete or overwrite."""
    idempotent: Optional[bool]
    """Called again with the same arguments it does nothing more."""
    open_world: Optional[bool]
    """It reaches things outside its server."""
    read_only: Optional[bool]
    """It changes nothing."""


class _ToolRequired(TypedDict):
    input_schema: Any
    """JSON Schema (2020-12) of its arguments, an object."""
    name: str
    """The name at its source, as it is called there; models are offered one that every
    provider takes."""


class Tool(_ToolRequired, total=False):
    """A tool as its source describes it. Names, texts and schemas of a server are untrusted:
    they are shown to models and people, and decide nothing."""

    description: str
    """What it does, for the model."""
    hints: ToolHints
    """What its source says of its effects."""
    output_schema: Any
    """JSON Schema of its structured result."""
    title: Optional[str]
    """The name for people."""


class _ListedToolRequired(TypedDict):
    input_schema: Any
    """JSON Schema (2020-12) of its arguments, an object."""
    name: str
    """The name at its source, as it is called there; models are offered one that every
    provider takes."""
    offered_as: str
    """The name by which models call it."""
    policy: ToolPolicy
    """Whether its calls are made."""
    state: ToolState
    """Whether it is as somebody approved it."""


class ListedTool(_ListedToolRequired, total=False):
    """A tool of a server as a person is shown it."""

    approved: Optional[Tool]
    """What was approved, where that is something else."""
    description: str
    """What it does, for the model."""
    hints: ToolHints
    """What its source says of its effects."""
    output_schema: Any
    """JSON Schema of its structured result."""
    title: Optional[str]
    """The name for people."""


class _ToolServerDetailRequired(TypedDict):
    auth_type: ToolAuthType
    """How it is authorized."""
    created_at: str
    """When it was made."""
    has_auth: bool
    """Whether a token or headers are kept for it."""
    id: str
    """Its id."""
    is_configured: bool
    """Whether the operator configured it: its name, address and authorization are theirs."""
    is_enabled: bool
    """Whether its tools are offered."""
    is_shared: bool
    """Whether all users of the tenant see it; only an admin changes it then."""
    name: str
    """The name by which its tools are chosen, `NAME` or `NAME/TOOL`; unique among those of its
    owner. Of several that a user sees, their own comes first, then one of a workspace, then
    the shared one."""
    problems: List[str]
    """What was left out of that list and why, in sentences."""
    status: ToolServerStatus
    """How the last contact went."""
    tool_count: int
    """How many tools it lists."""
    tools: List[ListedTool]
    """The tools of its last good list, in its order."""
    updated_at: str
    """When its settings last changed."""


class ToolServerDetail(_ToolServerDetailRequired, total=False):
    """A tool server with what it lists."""

    error: Optional[str]
    """What went wrong then."""
    server: Optional[ServerInfo]
    """What it says of itself; untrusted."""
    stale_since: Optional[str]
    """Since when reading them has failed; the last good list stays."""
    tools_expire_at: Optional[str]
    """When they are read again."""
    tools_fetched_at: Optional[str]
    """When its tools were last read well."""
    url: Optional[str]
    """Where it is. ``None`` for a child process that the operator configured."""
    workspace_id: Optional[str]
    """The workspace whose editors and owners use it; its owners alone change it."""


class _ToolServerTestRequired(TypedDict):
    latency_ms: int
    """How long that took."""
    ok: bool
    """Whether the server answered with its tools."""
    problems: List[str]
    """What was left out of its list and why, in sentences."""
    tools: List[ListedTool]
    """Its tools; if it failed, those of its last good list."""


class ToolServerTest(_ToolServerTestRequired, total=False):
    """What a test of a tool server found."""

    error: Optional[str]
    """What went wrong."""


class _ToolSpecRequired(TypedDict):
    name: str
    """The name: letters, digits, `_` and `-`, at most 64."""


class ToolSpec(_ToolSpecRequired, total=False):
    """A tool that the model may call."""

    description: str
    """What it does, for the model."""
    extra: Dict[str, Any]
    """More fields of the tool, handed on to OpenAI-like servers as they are; those
    of its function stand in an object `function`."""
    parameters: Any
    """JSON Schema of the arguments."""
    strict: Optional[bool]
    """Whether arguments must follow the schema exactly, where the provider can."""


class _UsableToolRequired(TypedDict):
    id: str
    """The name by which a turn chooses it: `NAME`, or `SERVER/TOOL`."""
    input_schema: Any
    """JSON Schema (2020-12) of its arguments, an object."""
    name: str
    """The name at its source, as it is called there; models are offered one that every
    provider takes."""
    offered_as: str
    """The name by which models call it."""
    policy: ToolPolicy
    """Whether its calls are made."""
    state: ToolState
    """Whether it is as somebody approved it."""


class UsableTool(_UsableToolRequired, total=False):
    """A tool that a user may use in a turn."""

    approved: Optional[Tool]
    """What was approved, where that is something else."""
    description: str
    """What it does, for the model."""
    hints: ToolHints
    """What its source says of its effects."""
    output_schema: Any
    """JSON Schema of its structured result."""
    server_id: Optional[str]
    """The server that it is of; none for a tool of this process."""
    title: Optional[str]
    """The name for people."""


class _UsageSumRequired(TypedDict):
    cached_tokens: int
    """Of the tokens read, those the provider had cached."""
    calls: int
    """How many calls."""
    cost: float
    """What they cost, in US dollars, as far as it is known."""
    estimated_calls: int
    """How many of the calls aiMate counted itself."""
    input_tokens: int
    """Tokens read."""
    key: str
    """What the row stands for in the first grouping: the model, the user's id, the
    day and so on. Empty without a grouping, or where it has none."""
    output_tokens: int
    """Tokens written."""


class UsageSum(_UsageSumRequired, total=False):
    """One row of a usage report: sums over its group. What it is not grouped by is
    absent, and so is what the calls of its group do not have."""

    conversation_id: Optional[str]
    """The conversation."""
    day: Optional[str]
    """The day in UTC, such as `2026-01-31`."""
    model: Optional[str]
    """The model, as `CONNECTION/MODEL`."""
    tag: Optional[str]
    """The tag."""
    tenant_id: Optional[str]
    """The tenant."""
    user_id: Optional[str]
    """The user."""
    workspace_id: Optional[str]
    """The workspace."""


class Workspace(TypedDict):
    """A named group of conversations, prompts, collections and connections, which its members
    share."""

    conversation_count: int
    """How many conversations it has."""
    created_at: str
    """When it was made."""
    description: str
    """What it is for."""
    id: str
    """Its id."""
    is_archived: bool
    """Whether it is put away; its conversations stay readable."""
    metadata: Dict[str, Any]
    """Free for the application."""
    name: str
    """The name, 1 to 200 characters."""
    role: WorkspaceRole
    """What the asking user may do in it."""
    updated_at: str
    """When it last changed."""


class WorkspaceMember(TypedDict):
    """Who is in a workspace."""

    created_at: str
    """Since when."""
    id: str
    """The id of the user or group."""
    kind: MemberKind
    """Which of them it is."""
    name: str
    """What it is called."""
    role: WorkspaceRole
    """What they may do. Who is a member in several ways may do the most of it."""


class TurnOptions(TypedDict, total=False):
    """How a turn is to be answered."""

    client_id: Optional[str]
    """The caller's own id of the turn: sent twice, it is answered once."""
    conversation: Optional[NewConversation]
    """What the new conversation is like, where the turn starts one."""
    extra: Dict[str, Any]
    """More fields for the model server, under its own names, such as `top_k`."""
    frequency_penalty: Optional[float]
    """Penalty on frequent tokens, -2 to 2."""
    knowledge: Optional[List[str]]
    """The collections, by id or name, whose passages the model is shown; an
    empty list is none. Default: none, but all for the model
    `builtin`, which has nothing else to answer from."""
    max_tokens: Optional[int]
    """Tokens of the answer at most; -1 is no limit."""
    metadata: Dict[str, Any]
    """Free for the application, at most 64 KiB as JSON; kept with the message."""
    model: Optional[str]
    """The model, as `CONNECTION/MODEL` or a bare name; default: the one that
    answered before, else the first active one."""
    on_disconnect: OnDisconnect
    """What happens when nobody listens any more; default `continue`."""
    parallel_tool_calls: Optional[bool]
    """Whether several calls at once are welcome."""
    parent_id: Optional[str]
    """The message that it follows; default: the end of the branch that is open."""
    passages: List[SourcePassage]
    """Passages that the model is shown before any that are found; default: none."""
    presence_penalty: Optional[float]
    """Penalty on tokens that occurred, -2 to 2."""
    reasoning_effort: Optional[str]
    """How much to think: `low`, `medium`, `high`, or what the provider takes."""
    response_format: Optional[ResponseFormat]
    """The form of the answer."""
    retrievers: List[str]
    """Searches of the application that are asked for passages too, by their names;
    default: none."""
    retry: bool
    """Whether a turn of this `client_id` that was answered without success is answered
    anew, beside the answer before; else that answer comes back."""
    seed: Optional[int]
    """The seed of the randomness."""
    stop: List[str]
    """Texts that end the answer."""
    system_prompt: Optional[str]
    """Instructions of this turn in place of the conversation's own."""
    tags: List[str]
    """What the turn's usage can be summed by, such as `ticket:42`: at most 50 of 1 to
    100 characters."""
    temperature: Optional[float]
    """Randomness, 0 to 2."""
    tool_choice: Optional[ToolChoice]
    """Whether it must call one."""
    tools: List[TurnTool]
    """Tools that the model may call. Names are of tools that the server calls itself within
    the answer: `NAME` of one of its own, `SERVER` for all of a tool server, `SERVER/TOOL`
    for one. The calls of others come back to the caller, who sends their results as
    `tool_result` parts."""
    top_p: Optional[float]
    """Nucleus: the share of probability to pick from, 0 to 1."""


BudgetSubject = Union[TenantBudgetSubject, UserBudgetSubject, GroupBudgetSubject, WorkspaceBudgetSubject, ModelBudgetSubject, TagBudgetSubject]
"""Whose calls a budget counts.

```
use aimate_core::budget::BudgetSubject;
// All models of one connection.
let subject = BudgetSubject::Model("openai/*".into());
# let _ = subject;
```"""

CallApproval = Union[AskedCallApproval, GivenCallApproval]
"""How a call stands that needs a person's approval, for which its answer does not wait."""

ToolContent = Union[TextToolContent, ImageToolContent, AudioToolContent, ResourceToolContent, ResourceLinkToolContent]
"""One piece of a tool's output."""

Part = Union[TextPart, ImagePart, FilePart, ReasoningPart, ToolCallPart, ToolResultPart, CitationPart, ExtraPart]
"""One part of a message's content."""

ChatEvent = Union[StartedEvent, RetrievedEvent, ReasoningEvent, TextEvent, TextWasReasoningEvent, ExtraEvent, ToolCalledEvent, ApprovalRequiredEvent, ToolProgressEvent, InputRequiredEvent, ToolReturnedEvent, WarningEvent, FinishedEvent, ErrorEvent]
"""One event of a run. `started` is first; exactly one of `finished` and
`error` is last."""

ResponseFormat = Union[Literal["json_object"], Dict[str, Any]]
"""The form the answer must have."""

ToolChoice = Union[Literal["auto", "none", "required"], Dict[str, Any]]
"""Whether the model must, may or must not call a tool."""

TurnTool = Union[str, ToolSpec]
"""A tool of the server, by name, or one of the caller's."""

Content = Union[str, List[Part]]
"""What is said: text, or a list of parts."""


FilterValue = Union[str, float, bool]
"""What a field is compared with."""


class FilterField(TypedDict):
    """A field of a document: a key of its metadata, or several joined by dots for nested objects;
    ``$id``, ``$name``, ``$title``, ``$source`` and ``$media_type`` are the document's own."""

    field: str
    """The field."""


class FieldValue(FilterField):
    """A field and a value."""

    value: FilterValue
    """The value."""


class FieldValues(FilterField):
    """A field and several values."""

    values: List[FilterValue]
    """At most 1,000."""


class FieldRange(FilterField, total=False):
    """A field and one bound or more, all numbers or all strings."""

    gt: Union[str, float]
    """Greater than."""
    gte: Union[str, float]
    """Greater than or equal to."""
    lt: Union[str, float]
    """Less than."""
    lte: Union[str, float]
    """Less than or equal to."""


EqFilter = TypedDict("EqFilter", {"eq": FieldValue})
"""The field is this. Numbers compare by value."""
InFilter = TypedDict("InFilter", {"in": FieldValues})
"""The field is one of these."""
RangeFilter = TypedDict("RangeFilter", {"range": FieldRange})
"""The field is within these bounds. Strings compare by their UTF-8 bytes, so times in RFC 3339 do
by time."""
ContainsFilter = TypedDict("ContainsFilter", {"contains": FieldValue})
"""The field is a list that holds this value, or a string that holds this string (case counts)."""
ExistsFilter = TypedDict("ExistsFilter", {"exists": FilterField})
"""The field is there and not null."""
AndFilter = TypedDict("AndFilter", {"and": "List[Filter]"})
"""All of these hold."""
OrFilter = TypedDict("OrFilter", {"or": "List[Filter]"})
"""One of these holds."""
NotFilter = TypedDict("NotFilter", {"not": "Filter"})
"""This does not hold."""
Filter = Union[EqFilter, InFilter, RangeFilter, ContainsFilter, ExistsFilter, AndFilter, OrFilter, NotFilter]
"""A condition on documents, such as ``{"eq": {"field": "team", "value": "a"}}`` or
``{"and": [{"range": {"field": "year", "gte": 2024}}, {"not": {"exists": {"field": "draft"}}}]}``."""


class User(TypedDict):
    """A person or service of a tenant."""

    id: str
    """Its id."""
    key: Optional[str]
    """The application's own name for the user; see ``Engine.as_user``."""
    email: Optional[str]
    """The login address, for a user who has an account."""
    name: str
    """The name to show."""
    role: Literal["user", "admin"]
    """What the user may do."""
    is_active: bool
    """Whether the user may act at all."""
    settings: Any
    """Settings of a front end."""
    created_at: str
    """When the user was made."""
    updated_at: str
    """When the user last changed."""


class Scope(TypedDict):
    """Who asks, as code of the application is told."""

    tenant_id: str
    """The tenant whose data it is."""
    user_id: str
    """The user who asks."""
    role: Literal["user", "admin"]
    """What the user may do."""


class TurnSummary(TypedDict):
    """A turn that is about to be answered; nothing of it is stored yet."""

    conversation_id: Optional[str]
    """The conversation; ``None`` for a new one, and for a call that is not stored."""
    workspace_id: Optional[str]
    """The workspace that the turn names for a new conversation."""
    model: str
    """The model that is to answer, as ``CONNECTION/MODEL``."""
    question: str
    """The text of the last message that is to be answered; empty where an earlier question is
    answered again."""
    tags: List[str]
    """What the application wants its usage summed by."""
    client_id: Optional[str]
    """The caller's own id of the turn."""
    is_stored: bool
    """Whether question and answer will be stored."""


class Tenant(TypedDict, total=False):
    """A tenant: a customer of the application, say."""

    id: str
    """Its id."""
    key: Optional[str]
    """The application's own name for it; see ``Engine.as_user``."""
    is_active: bool
    """Whether its users may act."""
    created_at: str
    """When it was made."""

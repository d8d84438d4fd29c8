# Made by tools/make_sync.py out of aimate/_async; change that instead.
"""The data of an engine, group by group."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Iterator, Iterable, Literal, Mapping, cast

from .. import _bridge_sync as _bridge
from .._calls import UNSET, Caller, Page, Unset, given, query, quoted, some
from .chat import Chat

if TYPE_CHECKING:
    import datetime

    from typing_extensions import Unpack

    from .. import types
    from ..types import Content, TurnOptions


class Group:
    """Calls for one user."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return _bridge.run(self._caller.native.request(self._caller.who, method, path, body))

    def _manage(self, act: str, **arguments: Any) -> Any:
        return _bridge.run(self._caller.native.manage(self._caller.who, act, arguments))

    def _page(self, path: str) -> Page[Any]:
        return Page(self._ask("GET", path))


class Conversations(Group):
    """Conversations and their messages."""

    def list(
        self,
        *,
        q: str | None = None,
        tag: str | None = None,
        archived: bool | None = None,
        pinned: bool | None = None,
        workspace_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[types.Conversation]:
        """Returns a page, the one that changed last first: 1 to 200 of them, 50 by default.

        ``q`` is looked for in titles.
        """
        path = query(
            q=q, tag=tag, archived=archived, pinned=pinned, workspace_id=workspace_id, limit=limit, cursor=cursor
        )
        return self._page("/api/v1/conversations" + path)

    def all(
        self, *, q: str | None = None, tag: str | None = None, workspace_id: str | None = None
    ) -> Iterator[types.Conversation]:
        """Iterates over all conversations, page by page."""
        cursor: str | None = None
        while True:
            page = self.list(q=q, tag=tag, workspace_id=workspace_id, limit=200, cursor=cursor)
            for conversation in page:
                yield conversation
            cursor = page.next_cursor
            if cursor is None:
                return

    def create(
        self,
        *,
        title: str | None = None,
        workspace_id: str | None = None,
        system_prompt: str | None = None,
        is_pinned: bool | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> types.Conversation:
        """Makes a conversation. ``metadata`` is free for the application, at most 64 KiB."""
        body = some(
            title=title,
            workspace_id=workspace_id,
            system_prompt=system_prompt,
            is_pinned=is_pinned,
            tags=None if tags is None else builtins.list(tags),
            metadata=metadata,
        )
        return cast("types.Conversation", self._ask("POST", "/api/v1/conversations", body))

    def get(self, id: str) -> types.Conversation:
        """Returns one; `NotFoundError` for another user's too."""
        return cast("types.Conversation", self._ask("GET", f"/api/v1/conversations/{quoted(id)}"))

    def update(
        self,
        id: str,
        *,
        title: str | Unset = UNSET,
        system_prompt: str | None | Unset = UNSET,
        is_pinned: bool | Unset = UNSET,
        is_archived: bool | Unset = UNSET,
        tags: builtins.list[str] | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        workspace_id: str | None | Unset = UNSET,
        active_leaf_id: str | Unset = UNSET,
    ) -> types.Conversation:
        """Changes what is given; ``active_leaf_id`` opens another branch."""
        body = given(
            title=title,
            system_prompt=system_prompt,
            is_pinned=is_pinned,
            is_archived=is_archived,
            tags=tags,
            metadata=metadata,
            workspace_id=workspace_id,
            active_leaf_id=active_leaf_id,
        )
        return cast("types.Conversation", self._ask("PATCH", f"/api/v1/conversations/{quoted(id)}", body))

    def delete(self, id: str) -> None:
        """Deletes it with its messages."""
        self._ask("DELETE", f"/api/v1/conversations/{quoted(id)}")

    def messages(
        self, id: str, *, leaf: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.ListedMessage]:
        """Returns a page of a branch: the newest page first, each oldest message first.

        ``leaf`` is the last message of the branch; by default that of the one that is open.
        """
        path = f"/api/v1/conversations/{quoted(id)}/messages" + query(leaf=leaf, limit=limit, cursor=cursor)
        return self._page(path)

    def fork(self, id: str, message_id: str) -> types.Conversation:
        """Copies the path to a message into a new conversation."""
        body = {"message_id": message_id}
        return cast("types.Conversation", self._ask("POST", f"/api/v1/conversations/{quoted(id)}/fork", body))

    def regenerate(self, id: str, message_id: str, **options: Unpack[TurnOptions]) -> Chat:
        """Answers again, beside an answer or to a question."""
        path = f"/api/v1/conversations/{quoted(id)}/messages/{quoted(message_id, 'message_id')}/regenerate"
        return turn(self._caller, "POST", path, dict(options))

    def edit(self, id: str, message_id: str, content: Content, **options: Unpack[TurnOptions]) -> Chat:
        """Asks a question in other words, on a branch of its own beside the old one."""
        path = f"/api/v1/conversations/{quoted(id)}/messages/{quoted(message_id, 'message_id')}"
        return turn(self._caller, "PUT", path, {"content": content, **options})

    def edit_answer(self, id: str, message_id: str, content: Content) -> types.Message:
        """Stores other words beside an answer."""
        path = f"/api/v1/conversations/{quoted(id)}/messages/{quoted(message_id, 'message_id')}"
        return cast("types.Message", self._ask("PUT", path, {"content": content, "stream": False}))

    def shares(
        self, id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.Share]:
        """Returns the links by which others read it."""
        return self._page(f"/api/v1/conversations/{quoted(id)}/shares" + query(limit=limit, cursor=cursor))

    def share(
        self,
        id: str,
        *,
        expires_at: datetime.datetime | str | None = None,
        include_system_prompt: bool | None = None,
        message_id: str | None = None,
    ) -> types.CreatedShare:
        """Makes a link, for 30 days unless ``expires_at`` says otherwise, up to ``message_id``. Its
        ``token`` is shown this once."""
        body = some(expires_at=expires_at, include_system_prompt=include_system_prompt, message_id=message_id)
        path = f"/api/v1/conversations/{quoted(id)}/shares"
        return cast("types.CreatedShare", self._ask("POST", path, body))

    def unshare(self, share_id: str) -> None:
        """Ends a link."""
        self._ask("DELETE", f"/api/v1/shares/{quoted(share_id, 'share_id')}")


def turn(caller: Caller, method: str, path: str, body: dict[str, Any]) -> Chat:
    """Returns the chat of a turn."""
    body = {name: value for name, value in body.items() if value is not None}
    body.setdefault("on_disconnect", "cancel")
    body["stream"] = True
    return Chat(caller, caller.native.stream(caller.who, method, path, body))


class Runs(Group):
    """Runs: the generation of one answer each."""

    def get(self, id: str) -> types.Run:
        """Returns a run, with what its prompt was made of (``context``)."""
        return cast("types.Run", self._ask("GET", f"/api/v1/runs/{quoted(id)}"))

    def attach(self, id: str, *, after: int = 0) -> Chat:
        """Returns the events of a run, those after the sequence number ``after`` first and then
        as they come. Leaving it leaves the run alone."""
        path = f"/api/v1/runs/{quoted(id)}/events" + query(after=after)
        return Chat(self._caller, self._caller.native.stream(self._caller.who, "GET", path))

    def cancel(self, id: str) -> types.Run:
        """Ends a run; the part of the answer that was written stays stored."""
        return cast("types.Run", self._ask("POST", f"/api/v1/runs/{quoted(id)}/cancel"))

    def approve(self, id: str, call_id: str, *, approve: bool = True, reason: str | None = None) -> types.Run:
        """Lets a tool be called that waits for a person, or refuses it (``approve=False``)."""
        path = f"/api/v1/runs/{quoted(id)}/approvals/{quoted(call_id, 'call_id')}"
        return cast("types.Run", self._ask("POST", path, some(approve=approve, reason=reason)))

    def answer(self, id: str, call_id: str, answer: Mapping[str, Any]) -> None:
        """Answers what a tool asks while it runs (``input_required``)."""
        self._ask("POST", f"/api/v1/runs/{quoted(id)}/inputs/{quoted(call_id, 'call_id')}", answer)


class Connections(Group):
    """Model servers that users connect."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.Connection]:
        """Returns a page, by name."""
        return self._page("/api/v1/connections" + query(limit=limit, cursor=cursor))

    def create(
        self,
        name: str,
        provider: str,
        *,
        url: str | None = None,
        api_key: str | None = None,
        is_enabled: bool | None = None,
        shared: bool | None = None,
        workspace_id: str | None = None,
        settings: types.ConnectionSettings | None = None,
    ) -> types.Connection:
        """Connects a server. The key is sealed, and never comes back: `SyncEngine.open` needs ``keys``
        or ``data_dir`` for it. A private address needs ``allow_private`` there."""
        body = some(
            name=name,
            provider=provider,
            url=url,
            api_key=api_key,
            is_enabled=is_enabled,
            shared=shared,
            workspace_id=workspace_id,
            settings=settings,
        )
        return cast("types.Connection", self._ask("POST", "/api/v1/connections", body))

    def get(self, id: str) -> types.Connection:
        """Returns one."""
        return cast("types.Connection", self._ask("GET", f"/api/v1/connections/{quoted(id)}"))

    def update(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        url: str | Unset = UNSET,
        api_key: str | None | Unset = UNSET,
        is_enabled: bool | Unset = UNSET,
        settings: types.ConnectionSettings | Unset = UNSET,
    ) -> types.Connection:
        """Changes what is given."""
        body = given(name=name, url=url, api_key=api_key, is_enabled=is_enabled, settings=settings)
        return cast("types.Connection", self._ask("PATCH", f"/api/v1/connections/{quoted(id)}", body))

    def delete(self, id: str) -> None:
        """Deletes it with its models."""
        self._ask("DELETE", f"/api/v1/connections/{quoted(id)}")

    def test(self, id: str) -> types.ConnectionTest:
        """Asks the server whether it is there."""
        return cast("types.ConnectionTest", self._ask("POST", f"/api/v1/connections/{quoted(id)}/test"))

    def refresh_models(self, id: str) -> Page[types.OfferedModel]:
        """Reads the server's list of models anew."""
        return Page(self._ask("POST", f"/api/v1/connections/{quoted(id)}/models/refresh"))


class Models(Group):
    """The models of all connections."""

    def list(self) -> Page[types.OfferedModel]:
        """Returns them all; ``id`` is ``CONNECTION/MODEL``."""
        return self._page("/api/v1/models")

    def enable(self, id: str) -> types.OfferedModel:
        """Offers a model again."""
        return cast("types.OfferedModel", self._ask("POST", f"/api/v1/models/{quoted(id)}/enable"))

    def disable(self, id: str) -> types.OfferedModel:
        """Offers a model no more."""
        return cast("types.OfferedModel", self._ask("POST", f"/api/v1/models/{quoted(id)}/disable"))


class Workspaces(Group):
    """Workspaces: what people work on together."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.Workspace]:
        """Returns a page."""
        return self._page("/api/v1/workspaces" + query(limit=limit, cursor=cursor))

    def create(
        self, name: str, *, description: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> types.Workspace:
        """Makes one; the user is its owner."""
        body = some(name=name, description=description, metadata=metadata)
        return cast("types.Workspace", self._ask("POST", "/api/v1/workspaces", body))

    def get(self, id: str) -> types.Workspace:
        """Returns one."""
        return cast("types.Workspace", self._ask("GET", f"/api/v1/workspaces/{quoted(id)}"))

    def update(self, id: str, **fields: Unpack[types.WorkspaceChange]) -> types.Workspace:
        """Changes what is given."""
        return cast("types.Workspace", self._ask("PATCH", f"/api/v1/workspaces/{quoted(id)}", dict(fields)))

    def delete(self, id: str) -> None:
        """Deletes it."""
        self._ask("DELETE", f"/api/v1/workspaces/{quoted(id)}")

    def members(
        self, id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.WorkspaceMember]:
        """Returns a page of who works in it."""
        return self._page(f"/api/v1/workspaces/{quoted(id)}/members" + query(limit=limit, cursor=cursor))

    def put_member(
        self, id: str, member_id: str, role: types.WorkspaceRole, *, kind: types.MemberKind | None = None
    ) -> types.WorkspaceMember:
        """Adds a user, or with ``kind="group"`` a group, or changes their role."""
        body = some(id=member_id, role=role, kind=kind)
        return cast("types.WorkspaceMember", self._ask("PUT", f"/api/v1/workspaces/{quoted(id)}/members", body))

    def remove_member(self, id: str, member_id: str) -> None:
        """Removes a member."""
        self._ask("DELETE", f"/api/v1/workspaces/{quoted(id)}/members/{quoted(member_id, 'member_id')}")


class Prompts(Group):
    """Instructions that are kept."""

    def list(
        self, *, workspace_id: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.Prompt]:
        """Returns a page, oldest first."""
        return self._page("/api/v1/prompts" + query(workspace_id=workspace_id, limit=limit, cursor=cursor))

    def create(
        self,
        title: str,
        content: str,
        *,
        is_active: bool | None = None,
        shared: bool | None = None,
        workspace_id: str | None = None,
    ) -> types.Prompt:
        """Makes one: of a workspace, shared with the whole tenant, or the user's own."""
        body = some(title=title, content=content, is_active=is_active, shared=shared, workspace_id=workspace_id)
        return cast("types.Prompt", self._ask("POST", "/api/v1/prompts", body))

    def get(self, id: str) -> types.Prompt:
        """Returns one."""
        return cast("types.Prompt", self._ask("GET", f"/api/v1/prompts/{quoted(id)}"))

    def update(self, id: str, **fields: Unpack[types.PromptChange]) -> types.Prompt:
        """Changes what is given."""
        return cast("types.Prompt", self._ask("PATCH", f"/api/v1/prompts/{quoted(id)}", dict(fields)))

    def delete(self, id: str) -> None:
        """Deletes it."""
        self._ask("DELETE", f"/api/v1/prompts/{quoted(id)}")


class Usage(Group):
    """What was used, and what it cost in US dollars."""

    def summarize(
        self,
        *,
        from_: datetime.datetime | str | None = None,
        to: datetime.datetime | str | None = None,
        group_by: Iterable[Literal["tenant", "model", "user", "day", "tag"] | str] = (),
        user_id: str | None = None,
        model: str | None = None,
        tag: str | None = None,
        run_id: str | None = None,
        conversation_id: str | None = None,
    ) -> Page[types.UsageSum]:
        """Returns sums from ``from_`` (inclusive) to ``to`` (exclusive); of all in one where
        nothing says what by."""
        if isinstance(group_by, str):
            group_by = [group_by]
        path = query(
            from_=from_,
            to=to,
            group_by=builtins.list(group_by) or None,
            user_id=user_id,
            model=model,
            tag=tag,
            run_id=run_id,
            conversation_id=conversation_id,
        )
        return self._page("/api/v1/usage" + path)

    def records(
        self,
        *,
        from_: datetime.datetime | str | None = None,
        to: datetime.datetime | str | None = None,
        user_id: str | None = None,
        model: str | None = None,
        tag: str | None = None,
        run_id: str | None = None,
        conversation_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[types.ListedUsage]:
        """Returns a page of single calls, newest first."""
        path = query(
            from_=from_,
            to=to,
            user_id=user_id,
            model=model,
            tag=tag,
            run_id=run_id,
            conversation_id=conversation_id,
            limit=limit,
            cursor=cursor,
        )
        return self._page("/api/v1/usage/records" + path)


class Budgets(Group):
    """What may be used up."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.Budget]:
        """Returns a page, oldest first."""
        return self._page("/api/v1/budgets" + query(limit=limit, cursor=cursor))

    def create(
        self, subject: types.BudgetSubject, period: types.BudgetPeriod, *, max_cost: float | None = None, max_tokens: int | None = None
    ) -> types.Budget:
        """Limits what a subject, such as ``{"type": "tenant"}`` or ``{"type": "user", "value": ID}``,
        may use in a period, in US dollars or tokens."""
        body = some(subject=subject, period=period, max_cost=max_cost, max_tokens=max_tokens)
        return cast("types.Budget", self._ask("POST", "/api/v1/budgets", body))

    def get(self, id: str) -> types.Budget:
        """Returns one, with what is used up."""
        return cast("types.Budget", self._ask("GET", f"/api/v1/budgets/{quoted(id)}"))

    def update(
        self, id: str, *, max_cost: float | None = None, max_tokens: int | None = None
    ) -> types.Budget:
        """Sets both limits; ``None`` is none."""
        body = {"max_cost": max_cost, "max_tokens": max_tokens}
        return cast("types.Budget", self._ask("PUT", f"/api/v1/budgets/{quoted(id)}", body))

    def delete(self, id: str) -> None:
        """Deletes it."""
        self._ask("DELETE", f"/api/v1/budgets/{quoted(id)}")


class Prices(Group):
    """What models cost, where their servers do not say."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.ModelPrice]:
        """Returns a page."""
        return self._page("/api/v1/prices" + query(limit=limit, cursor=cursor))

    def create(
        self,
        model: str,
        *,
        input: float,
        output: float,
        cached: float | None = None,
        valid_from: datetime.datetime | str | None = None,
    ) -> types.ModelPrice:
        """Sets what a model costs, in US dollars per million tokens, from ``valid_from`` (now) on."""
        body = some(model=model, input=input, output=output, cached=cached, valid_from=valid_from)
        return cast("types.ModelPrice", self._ask("POST", "/api/v1/prices", body))

    def delete(self, id: str) -> None:
        """Deletes a price."""
        self._ask("DELETE", f"/api/v1/prices/{quoted(id)}")


class Groups(Group):
    """Groups of users."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.Group]:
        """Returns a page, newest first."""
        return self._page("/api/v1/groups" + query(limit=limit, cursor=cursor))

    def create(self, name: str, *, description: str | None = None) -> types.Group:
        """Makes one."""
        body = some(name=name, description=description)
        return cast("types.Group", self._ask("POST", "/api/v1/groups", body))

    def get(self, id: str) -> types.Group:
        """Returns one."""
        return cast("types.Group", self._ask("GET", f"/api/v1/groups/{quoted(id)}"))

    def update(self, id: str, **fields: Unpack[types.GroupChange]) -> types.Group:
        """Changes what is given."""
        return cast("types.Group", self._ask("PATCH", f"/api/v1/groups/{quoted(id)}", dict(fields)))

    def delete(self, id: str) -> None:
        """Deletes it."""
        self._ask("DELETE", f"/api/v1/groups/{quoted(id)}")

    def members(
        self, id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.GroupMember]:
        """Returns a page of its users."""
        return self._page(f"/api/v1/groups/{quoted(id)}/members" + query(limit=limit, cursor=cursor))

    def add_member(self, id: str, user_id: str) -> None:
        """Adds a user."""
        self._ask("PUT", f"/api/v1/groups/{quoted(id)}/members/{quoted(user_id, 'user_id')}")

    def remove_member(self, id: str, user_id: str) -> None:
        """Removes a user."""
        self._ask("DELETE", f"/api/v1/groups/{quoted(id)}/members/{quoted(user_id, 'user_id')}")


class Audit(Group):
    """What was done, as far as it matters for security."""

    def list(
        self,
        *,
        from_: datetime.datetime | str | None = None,
        to: datetime.datetime | str | None = None,
        actor_id: str | None = None,
        target_id: str | None = None,
        action: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[types.AuditRecord]:
        """Returns a page, newest first; for admins."""
        path = query(
            from_=from_, to=to, actor_id=actor_id, target_id=target_id, action=action, limit=limit, cursor=cursor
        )
        return self._page("/api/v1/audit" + path)


class Users(Group):
    """The users of the tenant; for admins."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.User]:
        """Returns a page."""
        return Page(self._manage("users.list", **some(limit=limit, cursor=cursor)))

    def get(self, id: str) -> types.User:
        """Returns one by its id."""
        return cast("types.User", self._manage("users.get", id=id))

    def update(
        self,
        id: str,
        *,
        name: str | None = None,
        role: Literal["user", "admin"] | None = None,
        is_active: bool | None = None,
        settings: Any = None,
    ) -> types.User:
        """Changes what is given; ``is_active=False`` keeps the user out at once."""
        change = some(name=name, role=role, is_active=is_active, settings=settings)
        return cast("types.User", self._manage("users.update", id=id, change=change))


class Tenants(Group):
    """All tenants of the engine, by the application's own keys. It is the application that asks
    here, for no user."""

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.Tenant]:
        """Returns a page."""
        return Page(self._manage("tenants.list", **some(limit=limit, cursor=cursor)))

    def get(self, tenant: str) -> types.Tenant:
        """Returns one."""
        return cast("types.Tenant", self._manage("tenants.get", tenant=tenant))

    def delete(self, tenant: str) -> dict[str, Any]:
        """Deletes a tenant with everything of its users, and tells how much that was."""
        return cast("dict[str, Any]", self._manage("tenants.delete", tenant=tenant))

    def delete_user(self, tenant: str, user: str) -> dict[str, Any]:
        """Deletes a user, by the keys that `as_user` takes, with everything of theirs."""
        return cast("dict[str, Any]", self._manage("tenants.delete_user", tenant=tenant, user=user))

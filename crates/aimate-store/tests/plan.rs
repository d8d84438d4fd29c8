//! Every statement finds its rows by an index, whatever else is stored: those in
//! the sources, and those that are put together while they run.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use aimate_core::audit::AuditFilter;
use aimate_core::conformance::file as conformance_file;
use aimate_core::conformance::knowledge_world::{self as library, EAST, Fixture, LONG};
use aimate_core::conformance::tool_grant;
use aimate_core::conformance::world::{self, World, at, id};
use aimate_core::conversation::{ConversationChange, ConversationFilter, ConversationSearch};
use aimate_core::file::{File, FilePurpose};
use aimate_core::group::Group;
use aimate_core::knowledge::{
    AttachmentFilter, AttachmentStatus, Attachments, Blob, CollectionChange, Document, DocumentError,
    DocumentFilter, DocumentMove, DocumentStatus, Filter, Finish, NewAttachment, SearchScope, SpaceStatus,
    SpaceVectors, StorageQuotas,
};
use aimate_core::tenant::TenantChange;
use aimate_core::upload::{FileUpload, UploadPart, UploadStatus};
use aimate_core::usage::UsageFilter;
use aimate_core::workspace::{NewWorkspaceMember, WorkspaceRole};
use aimate_core::{Cursor, IdRange, Order, PageRequest, RandomIds, Stores};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use support::sources::{self, On};
use support::statements;

/// Calls that list, search and walk, and those that write on the way of a turn.
async fn all_calls(stores: &Stores) {
    let w = World::new(stores).await;
    let (c, me) = (&stores.conversations, &w.me);
    let page = PageRequest::first(2);
    let later = |id| PageRequest { after: Some(Cursor { at: at(5), id }), ..page };

    let workspace = w.workspace("w").await;
    stores.workspaces.get(me, workspace.id).await.unwrap();
    stores.workspaces.list(me, page).await.unwrap();
    let group = Group {
        id: id(),
        name: "g".into(),
        description: String::new(),
        member_count: 0,
        created_at: at(0),
        updated_at: at(0),
    };
    stores.groups.create(&w.admin, &group).await.unwrap();
    stores.groups.add_member(&w.admin, group.id, me.user, at(0)).await.unwrap();
    for scope in [me, &w.admin] {
        stores.groups.list(scope, page).await.unwrap();
        stores.groups.members(scope, group.id, page).await.unwrap();
    }
    for member in [
        NewWorkspaceMember::user(w.admin.user, WorkspaceRole::Viewer),
        NewWorkspaceMember::group(group.id, WorkspaceRole::Viewer),
    ] {
        stores.workspaces.put_member(me, workspace.id, &member, at(0)).await.unwrap();
    }
    stores.workspaces.members(me, workspace.id, page).await.unwrap();
    stores.workspaces.remove_member(me, workspace.id, w.admin.user.into()).await.unwrap();
    stores.groups.remove_member(&w.admin, group.id, me.user).await.unwrap();
    stores.groups.delete(&w.admin, group.id).await.unwrap();
    stores.prompts.create(me, &world::prompt(Some(workspace.id), "p")).await.unwrap();
    stores.prompts.list(me, None, page).await.unwrap();
    stores.prompts.list(me, Some(workspace.id), page).await.unwrap();
    stores.sessions.list(me, at(0), page).await.unwrap();
    stores.api_tokens.list(me, page).await.unwrap();
    stores.api_tokens.find("abcdefgh").await.unwrap();
    stores.invites.list(me, page).await.unwrap();
    let identity = aimate_core::identity::Identity::new("https://login.example.org", "ada").unwrap();
    stores.identities.link(me.tenant, me.user, &identity, at(0)).await.unwrap();
    stores.identities.find(me.tenant, &identity).await.unwrap().unwrap();
    for order in [Order::Asc, Order::Desc] {
        stores.files.list(me, None, IdRange::first(2, order), at(0)).await.unwrap();
    }
    upload_calls(&w).await;
    stores.users.list(me, page).await.unwrap();

    let talk = w.conversation("talk").await;
    let thread = w.thread(&talk, None, &["a", "b", "c"]).await;
    for filter in [
        ConversationFilter::default(),
        ConversationFilter { is_archived: Some(false), is_pinned: Some(true), ..Default::default() },
        ConversationFilter { query: Some("x".into()), tag: Some("y".into()), ..Default::default() },
        ConversationFilter { workspace_id: Some(workspace.id), ..Default::default() },
    ] {
        c.list(me, &filter, page).await.unwrap();
        c.list(me, &filter, later(talk.id.0)).await.unwrap();
    }
    for search in [
        ConversationSearch::new("a talk"),
        ConversationSearch::new("tal").tag("y").is_archived(false).workspace_id(workspace.id),
    ] {
        c.search(me, &search, page).await.unwrap();
        c.search(me, &search, later(talk.id.0)).await.unwrap();
    }
    let renamed = ConversationChange::new().title("walk").workspace_id(None::<aimate_core::WorkspaceId>);
    c.update(me, talk.id, &renamed).await.unwrap();
    c.message(me, talk.id, thread[0].id).await.unwrap();
    c.messages(me, talk.id, None, page).await.unwrap();
    c.messages(me, talk.id, None, later(thread[1].id.0)).await.unwrap();
    c.newest_leaf(me, talk.id, thread[0].id).await.unwrap();
    c.window(me, talk.id, None, 100, 10).await.unwrap();
    c.fork(me, talk.id, thread[1].id, &world::conversation("fork"), &RandomIds).await.unwrap();

    let more = world::message(talk.id, thread.last(), "d");
    stores.messages.path(me, talk.id, None).await.unwrap();
    stores.messages.find(me, &[thread[0].id, more.id]).await.unwrap();
    let leaf = thread.last().map(|last| last.id);
    stores.messages.extend(me, talk.id, leaf, std::slice::from_ref(&more), at(1)).await.unwrap();
    stores.messages.blank(me, talk.id, thread[1].id, &[0], 1).await.unwrap();
    stores.messages.remove(me, talk.id, more.id, at(1)).await.unwrap();

    let mut turn = w.turn(talk.id, thread.last());
    turn.request = Some(serde_json::json!({}));
    turn.run.client_id = Some("once".into());
    stores.runs.begin(me, &turn).await.unwrap();
    stores.runs.begin(me, &turn).await.unwrap();
    stores.runs.checkpoint(me, turn.run.id, 1, &world::text_events(1, &["a"])).await.unwrap();
    stores.runs.request_cancel(me, turn.run.id).await.unwrap();
    stores.runs.events(me, turn.run.id, 0, 10).await.unwrap();
    let end = world::finish(&turn, "ab", world::text_events(2, &["b"]));
    stores.runs.finish(me, &end).await.unwrap();
    stores.run_requests.get(me, turn.run.id).await.unwrap();
    stores.run_requests.forget(me, turn.run.id).await.unwrap();
    stores.run_requests.clear(at(1), 10).await.unwrap();
    stores.workers.beat(w.worker, at(1)).await.unwrap();
    stores.workers.take_abandoned(w.worker, at(1), LONG, 5).await.unwrap();
    stores.workers.cancel_of_inactive(w.worker).await.unwrap();
    stores.workers.clear_logs(at(1)).await.unwrap();
    stores.users.standing(me).await.unwrap();
    stores.audit.append(me, &world::audit_record(me)).await.unwrap();
    stores.audit.read(me, 0, 10).await.unwrap();
    let (actor, target, action) = (Some(me.user), Some(me.user.0), Some("user.login".to_owned()));
    for (actor, target, action) in [
        (None, None, None),
        (actor, target, action.clone()),
        (None, target, action.clone()),
        (None, None, action),
    ] {
        let mut filter = AuditFilter::default();
        (filter.actor, filter.target, filter.action) = (actor, target, action);
        stores.audit.list(me, &filter, page).await.unwrap();
    }
    stores.tenants.list(page).await.unwrap();
    stores.tenants.update(w.stranger.tenant, &TenantChange::default(), at(1)).await.unwrap();

    let connection = w.connection("c").await;
    stores.connections.get(me, connection.id).await.unwrap();
    stores.models.replace(me, connection.id, &[world::model(&connection, "m")], at(1)).await.unwrap();
    stores.models.set_active(me, connection.id, "m", false).await.unwrap();
    let server = w.tool_server("s").await;
    let servers = &stores.tool_servers;
    servers.observe(me, &server, &world::observed(&["a"], 1)).await.unwrap();
    let tools = servers.tools(me, server.id).await.unwrap();
    servers.pin(me, server.id, &tools, &tools.pins).await.unwrap();
    let found = servers.get(me, server.id).await.unwrap();
    servers.put_grant(me, &tool_grant::grant(&server, "https://login.example")).await.unwrap();
    servers.grants(me, server.id).await.unwrap();
    servers.list(me, page).await.unwrap();
    servers.list(me, later(server.id.0)).await.unwrap();
    servers.update(me, &found, &found).await.unwrap();
    servers.delete_grants(me, server.id, None).await.unwrap();
    servers.delete(me, server.id).await.unwrap();
    for scope in [w.me, w.admin] {
        let filter = UsageFilter::new().from(at(0)).tag("t");
        stores.usage.summarize(&scope, &filter).await.unwrap();
        stores.usage.records(&scope, &filter, page).await.unwrap();
        stores.usage.records(&scope, &filter, later(talk.id.0)).await.unwrap();
    }
    stores.usage.summarize_all(&UsageFilter::new().from(at(0))).await.unwrap();
    w.begun().await;
    stores.workspaces.delete(me, workspace.id).await.unwrap();
    c.delete(me, talk.id).await.unwrap();
    while stores.workers.index_messages().await.unwrap() > 0 {}
    stores.users.delete(me, w.other.user).await.unwrap();
}

/// Calls of an upload.
async fn upload_calls(w: &World<'_>) {
    let (stores, me, none) = (w.stores, &w.me, StorageQuotas::default());
    let begun = || FileUpload {
        id: id(),
        name: "a".into(),
        media_type: "text/plain".into(),
        purpose: FilePurpose::Assistants,
        size: 1,
        file_life: None,
        status: UploadStatus::Pending,
        file_id: None,
        created_at: at(0),
        expires_at: at(9),
    };
    let [first, second] = [begun(), begun()];
    for upload in [&first, &second] {
        stores.uploads.create(me, upload).await.unwrap();
        stores.uploads.get(me, upload.id, at(1)).await.unwrap();
        let part =
            UploadPart { id: id(), size: 1, content_hash: "0f".into(), blob_id: id(), created_at: at(1) };
        stores.files.begin_upload(me, part.blob_id, w.worker).await.unwrap();
        stores.uploads.add_part(me, upload.id, &part, &none).await.unwrap();
        stores.uploads.parts(me, upload.id, at(1)).await.unwrap();
    }
    let file = File { size: 1, ..conformance_file::file("a") };
    stores.files.begin_upload(me, file.blob_id, w.worker).await.unwrap();
    stores.uploads.complete(me, first.id, &file, &none).await.unwrap();
    stores.uploads.cancel(me, second.id, at(1)).await.unwrap();
    stores.queue.expired_uploads(at(9), 5).await.unwrap();
    stores.uploads.delete(me, first.id).await.unwrap();
    stores.files.get_many(me, &[file.id], at(1)).await.unwrap();
    stores.files.delete(me, file.id).await.unwrap();
}

/// Calls that attach files and let them go.
async fn attachment_calls(fixture: &Fixture<'_>) {
    let (stores, w, me, collection) = (fixture.stores, &fixture.world, &fixture.me, fixture.collection);
    let none = StorageQuotas::default();
    let file = File { size: 5, ..conformance_file::file("a") };
    conformance_file::uploaded(w, me, &file, &none).await.unwrap();
    let batch = id();
    let attached = Attachments {
        collection,
        file_owner: me.user,
        batch: Some(batch),
        files: vec![(id(), NewAttachment::new(file.id))],
        quotas: none,
        now: at(1),
    };
    let document = stores.attachments.attach(me, &attached).await.unwrap().remove(0);
    stores.attachments.get(me, collection, file.id, at(1)).await.unwrap();
    stores.attachments.get_many(me, &[document.id], at(1)).await.unwrap();
    for batch in [None, Some(batch)] {
        for order in [Order::Asc, Order::Desc] {
            let filter = AttachmentFilter { batch, status: Some(AttachmentStatus::InProgress) };
            let range = IdRange::first(2, order);
            stores.attachments.list(me, collection, filter, range, at(1)).await.unwrap();
        }
    }
    stores.attachments.set_metadata(me, document.id, &Default::default(), at(1)).await.unwrap();
    stores.attachments.batch(me, collection, batch).await.unwrap();
    stores.attachments.counts(me, &[collection]).await.unwrap();
    let reason = DocumentError { code: "cancelled".into(), detail: "d".into() };
    stores.attachments.cancel_batch(me, collection, batch, &reason, at(1)).await.unwrap();
    stores.collections.touch(me, collection, at(100)).await.unwrap();
    stores.collections.range(me, IdRange::first(2, Order::Asc)).await.unwrap();
    stores.collections.range(me, IdRange::first(2, Order::Desc)).await.unwrap();
    stores.queue.expired_files(at(1), 5).await.unwrap();
    stores.queue.clear_batches(at(1)).await.unwrap();
    stores.files.delete(me, file.id).await.unwrap();
}

/// Calls that read documents, find them and let them go.
async fn knowledge_calls(stores: &Stores) {
    let fixture = Fixture::with_space(stores).await;
    let (me, collection) = (&fixture.me, fixture.collection);
    let page = PageRequest::first(2);
    stores.collections.get_by_name(me, "shelf").await.unwrap();
    stores.collections.list(me, None, page).await.unwrap();
    stores.collections.list(me, Some(id()), page).await.unwrap();
    stores.collections.update(me, collection, &CollectionChange::default(), at(1)).await.unwrap();

    let source = Document { source: Some("s".into()), ..library::document(collection, "s") };
    let ready = fixture.ready_this(&source, &["apple", "pear"]).await;
    fixture.ready_this(&source, &["apple"]).await;
    for filter in [
        DocumentFilter::default(),
        DocumentFilter { collection: Some(collection), ..DocumentFilter::default() },
        DocumentFilter {
            status: Some(DocumentStatus::Ready),
            source_prefix: Some("s".into()),
            collection: None,
        },
    ] {
        stores.documents.list(me, &filter, page).await.unwrap();
    }
    let moved = DocumentMove { id: ready.id, name: "t".into(), source: "t".into() };
    stores.documents.rename(me, &[moved], at(1)).await.unwrap();
    stores.documents.get_by_source(me, collection, "t").await.unwrap().unwrap();
    stores.documents.get_many(me, &[ready.id]).await.unwrap();
    stores.collections.config(me, collection).await.unwrap();
    stores.collections.configs(me, &["shelf".into(), collection.to_string()]).await.unwrap();
    stores.collections.newest_configs(me).await.unwrap();
    stores.documents.chunks(me, ready.id, 0, 5).await.unwrap();
    let error = DocumentError { code: "c".into(), detail: "d".into() };
    for finish in
        [Finish::Failed(error.clone()), Finish::Retry { not_before: at(0), error: error.clone(), tries: 1 }]
    {
        let fence = fixture.fence(fixture.add("work").await.id).await;
        let vectors = fixture.publication(vec![fixture.published(fence, &["x"])]).vectors;
        stores.ingest.mark_reading(me, fence, 0.25).await.unwrap();
        stores.ingest.mark_progress(me, fixture.collection, &[(fence, 0.0)]).await.unwrap();
        stores.ingest.store_vectors(me, fixture.collection, &[(fence, 0.5)], &vectors).await.unwrap();
        stores.ingest.finish(me, fence, &finish, at(1)).await.unwrap();
    }
    let cancelled = fixture.add("cancelled").await;
    stores.documents.cancel(me, cancelled.id, &error, at(1)).await.unwrap();
    stores.ingest.retry(me, cancelled.id, at(1)).await.unwrap();
    stores.queue.release_documents(fixture.world.worker).await.unwrap();
    stores.queue.release_unheld(fixture.world.worker, &[]).await.unwrap();
    let blob = Blob { tenant: me.tenant, id: ready.blob_id };
    stores.maintenance.unreferenced_blobs(&[blob]).await.unwrap();
    stores.maintenance.referenced_blobs(Some(blob), 5).await.unwrap();
    stores.workers.take_abandoned(fixture.world.worker, at(1), LONG, 5).await.unwrap();
    stores.workers.take_unheld(fixture.world.worker, at(1), &[], 5).await.unwrap();
    let worker = fixture.world.worker;
    stores.documents.begin_upload(me, fixture.collection, id(), worker).await.unwrap();
    stores.documents.give_up_upload(me, id()).await.unwrap();
    stores.queue.blobs_to_remove(worker, at(1), LONG, 5).await.unwrap();
    stores.queue.forget_removed(&[blob]).await.unwrap();

    attachment_calls(&fixture).await;
    find_calls(&fixture, ready).await;
    space_calls(&fixture).await;
    for n in 0..12 {
        fixture.ready(&n.to_string(), &["apple"]).await;
    }
    while stores.index.merge(me, collection).await.unwrap() {}
    let gone = fixture.ready("gone", &["apple"]).await;
    stores.documents.delete(me, &[gone.id]).await.unwrap();
    stores.collections.delete(me, collection).await.unwrap();
}

async fn find_calls(fixture: &Fixture<'_>, ready: Document) {
    let (stores, me, spaces) = (fixture.stores, &fixture.me, [fixture.space.unwrap()]);
    let eq = Filter::Eq { field: "a.b".into(), value: 1.into() };
    let target = SearchScope { filter: Some(Filter::Not(Box::new(eq))), ..fixture.target() };
    let chunks = [library::chunk_id(ready.id, "apple")];
    assert_eq!(fixture.found(me, &target, "apple").await, ["apple"]);
    assert_eq!(stores.index.find_vector(me, &target, &spaces, &EAST, 5).await.unwrap().best.len(), 1);
    assert_eq!(stores.ingest.embedded(me, spaces[0], &chunks).await.unwrap(), chunks);
    stores.index.cosines(me, &spaces, &EAST, &chunks).await.unwrap();
    stores.index.vectors(me, &spaces, &chunks).await.unwrap();
}

async fn space_calls(fixture: &Fixture<'_>) {
    let (stores, me) = (fixture.stores, &fixture.me);
    for status in [SpaceStatus::Building, SpaceStatus::Building] {
        let space = library::space(fixture.collection, "local/b", status).id;
        let new = aimate_core::knowledge::EmbeddingSpace {
            id: space,
            ..library::space(fixture.collection, "local/b", status)
        };
        stores.spaces.create(me, &new).await.unwrap();
        stores.queue.claim_space(fixture.world.worker, at(1), LONG).await.unwrap().unwrap();
        let missing = stores.spaces.missing_vectors(me, space, 100).await.unwrap();
        let of = |p: aimate_core::knowledge::Passage| (p.chunk.id, p.chunk.document_id, EAST.to_vec());
        let vectors = missing.into_iter().map(of).collect();
        stores.spaces.fill(me, &SpaceVectors { space, vectors }).await.unwrap();
        assert!(stores.spaces.activate(me, space).await.unwrap());
        stores.spaces.list(me, fixture.collection).await.unwrap();
    }
    stores.spaces.deactivate(me, fixture.collection).await.unwrap();
    for space in stores.spaces.list(me, fixture.collection).await.unwrap() {
        if Some(space.id) != fixture.space {
            stores.spaces.delete(me, space.id).await.unwrap();
        }
    }
    let failing = library::space(fixture.collection, "local/c", SpaceStatus::Building);
    stores.spaces.create(me, &failing).await.unwrap();
    stores.spaces.fail(me, failing.id, "no model").await.unwrap();
    assert!(stores.spaces.activate(me, fixture.space.unwrap()).await.unwrap());
    stores.index.passages(me, &[id()]).await.unwrap();
}

/// The parts of texts that hold several statements; without those of
/// transactions and migrations.
fn single(statements: &BTreeSet<String>) -> BTreeSet<String> {
    let parts = statements.iter().flat_map(|text| text.split("; ")).map(|text| text.trim().to_owned());
    let explained = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
    parts
        .filter(|text| explained.iter().any(|verb| text.starts_with(verb)))
        .filter(|text| !text.contains("aimate_migrations") && !text.contains("pg_catalog"))
        .collect()
}

/// The statements of a deletion, which go on with what is left of a tenant, some hundred rows at
/// a time: a tenant, or the messages of a conversation, may be read.
fn bounded(on: On) -> BTreeSet<String> {
    let statements = sources::statements().statements.into_iter();
    let is_theirs = |file: &Path| file.starts_with("deletion") || file == Path::new("deletion.rs");
    let theirs = statements.filter(|found| found.on == on && is_theirs(&found.file));
    theirs.map(|found| found.text).collect()
}

/// The statements that sum up what a user and a tenant keep, for their quotas: the second
/// reads the sizes of all documents of a tenant, and runs only where a quota is set.
fn sums(on: On) -> BTreeSet<String> {
    let statements = sources::statements().statements.into_iter();
    let file = Path::new("knowledge/document/quota.rs");
    statements.filter(|found| found.on == on && found.file == file).map(|found| found.text).collect()
}

/// The statements in the sources, but for those that look for what is wrong in
/// whole tables.
fn in_sources(on: On) -> impl Iterator<Item = String> {
    let statements = sources::statements().statements.into_iter();
    let small = move |found: &sources::Found| found.on == on && !found.file.ends_with("maintenance.rs");
    let texts = statements.filter(small).map(|found| found.text);
    // It has no plan.
    texts.filter(|text| !text.starts_with("LOCK TABLE"))
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own")]
async fn no_statement_scans_on_sqlite() {
    statements::listen();
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    statements::take();
    all_calls(&store.stores()).await;
    knowledge_calls(&store.stores()).await;
    let mut statements = single(&statements::take());
    assert!(statements.len() > 110, "{}", statements.len());
    statements.extend(in_sources(On::Sqlite));

    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let (bounded, sums) = (bounded(On::Sqlite), sums(On::Sqlite));
    let mut bad = Vec::new();
    for text in &statements {
        let is_bounded = bounded.contains(text) || sums.contains(text);
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
        for row in plan.fetch_all(&mut session).await.unwrap() {
            let step: String = row.get("detail");
            // Lists of values, common tables, and what holds little: workers,
            // what is in flight, one user's connections.
            let small = [
                "CONSTANT ROW",
                "VALUES CLAUSE",
                "VALUES CLAUSE",
                "SCAN path",
                "SCAN json_each",
                "SCAN workers",
                "SCAN w",
                "loose_blobs",
                "SCAN connections",
                // Over all tenants, how much each key seals.
                "tool_servers_key",
                "tool_grants_key",
                "SCAN tool_grants",
                "SCAN e",
                "SCAN t",
                "runs_unfinished",
                "documents_waiting",
                "spaces_building",
                "VIRTUAL TABLE",
                "SCAN (subquery",
                "USE TEMP B-TREE FOR ORDER BY",
                "SCAN b",
                "message_index_jobs_waiting",
                "deletions_unfinished",
                "deletions_finished",
            ];
            let sorts = step.starts_with("USE TEMP B-TREE")
                && !text.contains("FROM connections")
                && !text.contains("FROM tool_servers")
                && !text.contains("FROM path")
                && !text.contains("FROM usage_records")
                // Of the calls of one batch.
                && !text.contains("CROSS JOIN budget_reservations")
                && !text.contains("UNION ALL");
            // One conversation may have 10,000 messages; a new one, whose foreign keys are
            // checked, has none.
            let all_of_it = !text.starts_with("DELETE") && !text.starts_with("INSERT INTO conversations");
            // It has a hundred links at most.
            let whole = step.contains("(tenant_id=? AND conversation_id=?)")
                && !step.contains("shares_of_conversation")
                && all_of_it;
            // A tenant may have everything; of shared connections, all are listed; of
            // tenants, it is one row; of runs in flight, all are looked at; of prices, there are
            // hundreds.
            let one = [
                "connections_shared_name",
                "tool_servers_shared_name",
                "autoindex_tenants",
                "runs_unfinished",
                "model_prices",
            ];
            let tenant = step.contains("(tenant_id=?)") && !one.iter().any(|one| step.contains(one));
            if (!is_bounded && (tenant || whole || sorts))
                || (step.starts_with("SCAN") && !small.iter().any(|small| step.contains(small)))
            {
                bad.push(format!("{step}\n    in {text}"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// What a vector store shows is counted in indexes: no row of a document is read for it.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own")]
async fn counts_read_no_document_on_sqlite() {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let mut looked = 0;
    for text in in_sources(On::Sqlite).filter(|text| {
        text.starts_with("SELECT c.id") && text.contains("FROM documents d") && text.contains("count(*)")
    }) {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
        for row in plan.fetch_all(&mut session).await.unwrap() {
            let step: String = row.get("detail");
            if step.contains(" d ") {
                // Of what was cancelled the rows are read, which are few.
                let indexes = ["COVERING INDEX documents_", "INDEX documents_cancelled"];
                assert!(indexes.iter().any(|index| step.contains(index)), "{step}\n    in {text}");
                looked += 1;
            }
        }
    }
    assert!(looked >= 4, "{looked}");
    drop(store);
}

/// A change of some rows, whose keys come with it, goes to these alone.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own")]
async fn changes_of_several_rows_go_by_their_keys_on_sqlite() {
    let folder = support::Folder::new();
    let store = aimate_store::connect(&folder.url()).await.unwrap();
    let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
    let mut looked = 0;
    for text in in_sources(On::Sqlite).filter(|text| {
        text.starts_with("UPDATE documents")
            && text.contains("FROM json_each")
            && text.contains(".value ->> 0")
            || text.starts_with("UPDATE documents") && text.contains("AS m WHERE")
    }) {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
        let steps = plan.fetch_all(&mut session).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|row| row.get("detail")).collect();
        let of_rows = steps.iter().find(|step| step.contains("SEARCH documents")).unwrap();
        assert!(of_rows.contains("AND id=?)"), "{of_rows}\n    in {text}");
        looked += 1;
    }
    assert!(looked >= 3, "{looked}");
    drop(store);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the texts are the store's own")]
async fn no_statement_scans_on_postgres() {
    statements::listen();
    support::on_each_server(async |schema| {
        let store = support::connected(schema).await;
        let mut session: PgConnection = schema.session().await;
        sqlx::raw_sql(FILL).execute(&mut session).await.unwrap();
        statements::take();
        all_calls(&store.stores()).await;
        knowledge_calls(&store.stores()).await;
        store.close().await;
        let mut statements = single(&statements::take());
        assert!(statements.len() > 100, "{}", statements.len());
        statements.extend(in_sources(On::Postgres));

        let (bounded, sums) = (bounded(On::Postgres), sums(On::Postgres));
        let mut bad = Vec::new();
        for text in &statements {
            // There are few of them here: reading all costs less than finding ten.
            let small: &[&str] = match (bounded.contains(text), sums.contains(text)) {
                (true, _) => &["collections", "workspaces", "groups"],
                (_, true) => &["documents"],
                // The operator's, over all tenants: what is sealed with which key, and whether
                // anything is.
                _ if text.contains("FROM tool_grants GROUP BY key_id") => &["tool_grants"],
                _ if text.contains("EXISTS (SELECT 1 FROM tool_grants)") => &["tool_grants"],
                _ => &[],
            };
            let explain = AssertSqlSafe(format!("EXPLAIN (GENERIC_PLAN) {text}"));
            let rows = match sqlx::raw_sql(explain).fetch_all(&mut session).await {
                Ok(rows) => rows,
                Err(error) => {
                    bad.push(format!("{error}\n    in {text}"));
                    continue;
                }
            };
            for row in rows {
                let step: String = row.get(0);
                if TABLES
                    .iter()
                    .filter(|table| !small.contains(table))
                    .any(|table| step.contains(&format!("Seq Scan on {table} ")))
                    // A walk up a path reads the path, not its conversation.
                    || (text.contains("WITH RECURSIVE") && step.contains("Hash"))
                {
                    bad.push(format!("{step}\n    in {text}"));
                }
            }
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    })
    .await;
}

/// Those that may hold much.
const TABLES: [&str; 25] = [
    "users",
    "workspaces",
    "workspace_members",
    "workspace_access",
    "groups",
    "group_members",
    "conversations",
    "shares",
    "messages",
    "runs",
    "prompts",
    "tool_servers",
    "tool_grants",
    "usage_records",
    "collections",
    "spaces",
    "segments",
    "segment_blocks",
    "segment_codes",
    "documents",
    "chunks",
    "vectors",
    "message_segments",
    "message_segment_blocks",
    "message_index_jobs",
];

/// A tenant in which most conversations are short and one has 10,000 messages:
/// figures by which a planner would like to read it all at once.
const FILL: &str = "
    INSERT INTO users SELECT tenant, md5('u' || n)::uuid, NULL, 'u', 'user', true, '{}', 0, 0
        FROM generate_series(1, 1000) n, (SELECT md5('t')::uuid AS tenant) t;
    INSERT INTO workspaces SELECT tenant_id, id, id, 'w', '', false, '{}', 0, 0 FROM users;
    INSERT INTO groups SELECT tenant_id, md5('gr' || id)::uuid, id::text, '', 0, 0 FROM users;
    INSERT INTO group_members SELECT tenant_id, md5('gr' || id)::uuid, id, 0 FROM users;
    INSERT INTO workspace_members SELECT tenant_id, id, user_id, 'user', 'owner', 0 FROM workspaces;
    INSERT INTO workspace_members SELECT tenant_id, id, md5('gr' || id)::uuid, 'group', 'viewer', 0 FROM workspaces;
    INSERT INTO workspace_access SELECT tenant_id, user_id, id, 'owner' FROM workspaces;
    INSERT INTO prompts SELECT tenant_id, md5(id::text || n)::uuid, id, id, 'p', 'p', true, 0, 0
        FROM users, generate_series(1, 3) n;
    INSERT INTO tool_servers (tenant_id, id, user_id, workspace_id, name, auth_type, is_enabled, is_configured, status, listing,
        problems, pins, tool_count, revision, created_at, updated_at) SELECT tenant_id, md5('ts' || n || id)::uuid, id,
        CASE n WHEN 1 THEN id END, n::text, 'none', true, false, 'ok', '[]', '[]', '{}', 0, 0, 0, 0
        FROM users, generate_series(1, 3) n;
    INSERT INTO tool_grants SELECT tenant_id, md5('tg' || id)::uuid, user_id, id, 'i', 'u', '', 1, 0 FROM tool_servers;
    INSERT INTO conversations SELECT tenant_id, md5(id::text || n)::uuid, id, NULL, 't', 't', NULL, false,
        false, '[]', '{}', NULL, 3, 0, n FROM users, generate_series(1, 20) n;
    INSERT INTO messages SELECT c.tenant_id, c.id, md5(c.id::text || n)::uuid, NULL, 'user', '[]', 'complete',
        NULL, NULL, NULL, '{}', 1, 10, 10, 0 FROM conversations c, generate_series(1, 3) n;
    INSERT INTO messages SELECT c.tenant_id, c.id, md5('long' || n)::uuid,
        CASE WHEN n > 1 THEN md5('long' || n - 1)::uuid END, 'user', '[]', 'complete',
        NULL, NULL, NULL, '{}', n, 10, 10 * n, 0
        FROM (SELECT * FROM conversations LIMIT 1) c, generate_series(1, 10000) n;
    INSERT INTO shares SELECT c.tenant_id, md5('sh' || n || c.id)::uuid, c.user_id, c.id, c.id, 't', 1, false,
        decode(md5('sh' || n || c.id), 'hex'), '{}', 0, 0 FROM conversations c, generate_series(1, 2) n;
    INSERT INTO runs SELECT c.tenant_id, c.id, c.user_id, c.id, NULL, c.id, 'completed', 'm', NULL, NULL, NULL,
        '{}', c.id, 1, false, c.id::text, NULL, 0, 1 FROM conversations c;
    INSERT INTO usage_records SELECT c.tenant_id, c.id, c.user_id, NULL, NULL, 'm', 'completed', 1, 1, 0, 0,
        NULL, false, c.updated_at FROM conversations c;
    INSERT INTO collections SELECT tenant_id, md5('c' || id)::uuid, id, NULL, 'c', '', 500, 50, '{}', 0, 0 FROM users LIMIT 300;
    INSERT INTO spaces SELECT tenant_id, md5('s' || n || id)::uuid, id, 'm', 4, '', CASE n WHEN 1 THEN 'active'
        ELSE 'retired' END, NULL, NULL, 0 FROM collections, generate_series(1, 2) n;
    INSERT INTO segments SELECT tenant_id, md5('g' || n || id)::uuid, id, 1, 10, 100, ''
        FROM collections, generate_series(1, 15) n;
    INSERT INTO segment_blocks SELECT tenant_id, id, convert_to(n::text, 'UTF8'), '' FROM segments, generate_series(1, 10) n;
    INSERT INTO segment_codes SELECT g.tenant_id, g.id, s.id, '' FROM segments g JOIN spaces s
        ON s.tenant_id = g.tenant_id AND s.collection_id = g.collection_id;
    INSERT INTO documents (tenant_id, id, collection_id, user_id, name, title, media_type, size, content_hash, blob_id,
        status, progress, chunk_count, warnings, metadata, segment_id, attempt, tries, not_before, created_at,
        updated_at, source, source_hash, indexed_version) SELECT g.tenant_id, md5('d' || n || g.id)::uuid, c.id, c.user_id, 'n', 't',
        'm', 1, 'h', md5('b' || n || g.id)::uuid, 'ready', 1, 2, '[]', '{}', g.id, 1, 1, 0, 0, 0, n || g.id::text, n || g.id::text, 0
        FROM segments g JOIN collections c ON c.tenant_id = g.tenant_id AND c.id = g.collection_id,
        generate_series(1, 2) n;
    INSERT INTO chunks SELECT tenant_id, md5('k' || n || id)::uuid, id, n, 'text', '[]', NULL, 0, 1
        FROM documents, generate_series(1, 2) n;
    INSERT INTO vectors SELECT k.tenant_id, s.id, k.id, k.document_id, '[1,0,0,0]'::halfvec FROM chunks k
        JOIN documents d ON d.tenant_id = k.tenant_id AND d.id = k.document_id
        JOIN spaces s ON s.tenant_id = d.tenant_id AND s.collection_id = d.collection_id;
    INSERT INTO collections SELECT tenant_id, md5('e' || n || id)::uuid, id, NULL, 'e' || n, '', 500, 50, '{}', 0, 0
        FROM users, generate_series(1, 5) n;
    INSERT INTO spaces SELECT tenant_id, md5('x' || id)::uuid, id, 'm', 4, '', 'active', NULL, NULL, 0
        FROM collections WHERE name <> 'c';
    INSERT INTO message_segments SELECT tenant_id, md5('ms' || n || id)::uuid, id, NULL, 10, ''
        FROM users, generate_series(1, 10) n;
    INSERT INTO message_segments SELECT tenant_id, md5('m1' || id)::uuid, user_id, id, 1, '', '' FROM conversations;
    INSERT INTO message_segment_blocks SELECT tenant_id, id, convert_to(n::text, 'UTF8'), ''
        FROM message_segments, generate_series(1, 3) n;
    INSERT INTO message_index_jobs SELECT tenant_id, user_id, id, false, id, 1, 0 FROM conversations;
    ANALYZE;
";

//! What a tenant shares: read and used by all its users, changed by admins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;

use aimate::connection::{ConnectionChange, NewConnection};
use aimate::knowledge::{
    CollectionChange, DocumentFilter, DocumentMove, NewCollection, NewDocument, SearchMode, SearchRequest,
};
use aimate::message::Part;
use aimate::prompt::{NewPrompt, PromptChange};
use aimate::testing::{HashEmbedder, Step, answer};
use aimate::{ChatEvent, Error, ErrorKind, PageRequest, Role, Scope, Turn};
use common::{Bench, events, said};

async fn bench(scripts: impl IntoIterator<Item = Vec<Step>>) -> (Bench, Scope, Scope) {
    let embedder = Arc::new(HashEmbedder::new("hash", 32));
    let bench = Bench::with(scripts, |builder| builder.embedder(embedder)).await;
    let admin = bench.engine.scope("acme", "root").role(Role::Admin).ensure().await.unwrap();
    let bob = bench.engine.scope("acme", "bob").ensure().await.unwrap();
    (bench, admin, bob)
}

#[track_caller]
fn forbidden<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Forbidden, None), "{error}");
    assert!(error.message().contains("admin"), "{error}");
}

#[tokio::test]
async fn shared_collection_answers_all_users() {
    let (bench, admin, bob) = bench([answer("In May [1].")]).await;
    let (ours, theirs) = (bench.engine.knowledge(&admin), bench.engine.knowledge(&bob));
    forbidden(theirs.create_collection(NewCollection::new("manuals").shared()).await);
    let manuals = ours.create_collection(NewCollection::new("manuals").shared()).await.unwrap();
    assert!(manuals.is_shared);
    let new = NewDocument { source: Some("s".into()), ..NewDocument::new("boiler.md") };
    let added = ours.add_text_to(manuals.id, new, "The boiler is serviced in May.".into()).await.unwrap();
    ours.wait(added.id).await.unwrap();

    assert_eq!(theirs.collection("manuals").await.unwrap().id, manuals.id);
    assert_eq!(
        theirs.documents(&DocumentFilter::default(), PageRequest::default()).await.unwrap().data.len(),
        1
    );
    let (_, content) = theirs.content(added.id).await.unwrap();
    assert_eq!(content.size(), 30);
    assert_eq!(theirs.chunks(added.id, 0, 10).await.unwrap().len(), 1);
    for mode in [SearchMode::Text, SearchMode::Vector, SearchMode::Hybrid] {
        let found =
            theirs.search(&SearchRequest::new("when is the boiler serviced").mode(mode)).await.unwrap();
        assert_eq!(found.hits.len(), 1, "{mode:?}: {found:?}");
    }
    let turn = Turn::new("When is the boiler serviced?").knowledge(["manuals"]);
    let told = events(bench.engine.chat(&bob, turn).await.unwrap()).await;
    assert_eq!(said(&told), "In May [1].");
    let ChatEvent::Finished(finished) = told.last().unwrap() else { panic!("{told:?}") };
    let stored = bench.engine.conversations(&bob);
    let message = stored.message(finished.message.conversation_id, finished.message.id).await.unwrap();
    let is_fresh = |part: &Part| matches!(part, Part::Citation(one) if !one.is_stale);
    assert!(message.content.iter().any(is_fresh), "{message:?}");

    // Nobody of another tenant sees any of it.
    let eve = bench.engine.scope("other", "eve").role(Role::Admin).ensure().await.unwrap();
    let foreign = bench.engine.knowledge(&eve);
    assert_eq!(foreign.collection("manuals").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(foreign.document(added.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(foreign.search(&SearchRequest::new("boiler")).await.unwrap().hits.is_empty());
}

#[tokio::test]
async fn shared_collection_is_changed_by_admins() {
    let (bench, admin, bob) = bench([]).await;
    let other = bench.engine.scope("acme", "other-admin").role(Role::Admin).ensure().await.unwrap();
    let (ours, theirs) = (bench.engine.knowledge(&admin), bench.engine.knowledge(&bob));
    let manuals = ours.create_collection(NewCollection::new("manuals").shared()).await.unwrap().id;
    let new = || NewDocument { source: Some("s".into()), ..NewDocument::new("a.md") };
    let added = ours.add_text_to(manuals, new(), "The boiler.".into()).await.unwrap();
    ours.wait(added.id).await.unwrap();
    let moved = [DocumentMove { id: added.id, name: "b.md".into(), source: "t".into() }];

    forbidden(theirs.add_text_to(manuals, new(), "x".into()).await);
    forbidden(theirs.update_collection(manuals, CollectionChange::default()).await);
    forbidden(theirs.delete_collection(manuals).await);
    forbidden(theirs.cancel(added.id).await);
    forbidden(theirs.rename_documents(&moved).await);
    forbidden(theirs.delete(added.id).await);
    theirs.delete_many(&[added.id]).await.unwrap();
    assert_eq!(theirs.document(added.id).await.unwrap().name, "a.md");

    // Another admin may, whoever made it.
    let others = bench.engine.knowledge(&other);
    others.rename_documents(&moved).await.unwrap();
    let again = others.add_text_to(manuals, NewDocument::new("c.md"), "The pump.".into()).await.unwrap();
    others.wait(again.id).await.unwrap();
    bench.engine.users(&other).delete(admin.user).await.unwrap();
    assert_eq!(
        theirs.documents(&DocumentFilter::default(), PageRequest::default()).await.unwrap().data.len(),
        2
    );
    others.delete(added.id).await.unwrap();
    let none = CollectionChange { embedder: Some("none".into()), ..CollectionChange::default() };
    assert!(others.update_collection(manuals, none).await.unwrap().space.is_none());
    others.delete_collection(manuals).await.unwrap();
    assert_eq!(theirs.collection("manuals").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn own_collection_hides_the_shared_one_of_its_name() {
    let (bench, admin, bob) = bench([]).await;
    let (ours, theirs) = (bench.engine.knowledge(&admin), bench.engine.knowledge(&bob));
    let shared = ours.create_collection(NewCollection::new("documents").shared()).await.unwrap();
    assert_eq!(theirs.collection("documents").await.unwrap().id, shared.id);
    // What a user adds without a collection's name goes to one of their own.
    let mine = theirs.add_text("note", "The pump is mine.").await.unwrap();
    let own = theirs.collection("documents").await.unwrap();
    assert_eq!((own.is_shared, own.id), (false, mine.collection_id));
    assert_eq!(ours.collection("documents").await.unwrap().id, shared.id);
    assert_eq!(theirs.collections(PageRequest::default()).await.unwrap().data.len(), 2);
    bench.engine.users(&admin).delete(bob.user).await.unwrap();
    assert_eq!(ours.collections(PageRequest::default()).await.unwrap().data, [shared]);
}

#[tokio::test]
async fn shared_connection_serves_all_users() {
    let (bench, admin, bob) = bench([answer("hello")]).await;
    let new = || NewConnection::new("company", "scripted").url("http://127.0.0.1:9/v1").shared();
    forbidden(bench.engine.connections(&bob).create(new()).await);
    let shared = bench.engine.connections(&admin).create(new()).await.unwrap();
    assert!(shared.is_shared);
    let theirs = bench.engine.connections(&bob);
    assert_eq!(theirs.get(shared.id).await.unwrap().name, "company");
    events(bench.engine.chat(&bob, Turn::new("hi").model("company/test")).await.unwrap()).await;
    forbidden(theirs.update(shared.id, ConnectionChange::default()).await);
    forbidden(theirs.delete(shared.id).await);
    // A private one of the same name hides it.
    let own = NewConnection::new("company", "scripted").url("http://127.0.0.1:9/v2");
    theirs.create(own).await.unwrap();
    bench.engine.connections(&admin).delete(shared.id).await.unwrap();
    assert_eq!(theirs.get(shared.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn shared_prompt_is_in_every_library() {
    let (bench, admin, bob) = bench([]).await;
    let (ours, theirs) = (bench.engine.prompts(&admin), bench.engine.prompts(&bob));
    forbidden(theirs.create(NewPrompt::new("tone", "Be kind.").shared()).await);
    let shared = ours.create(NewPrompt::new("tone", "Be kind.").shared()).await.unwrap();
    assert!(shared.is_shared);
    assert_eq!(theirs.list(None, PageRequest::default()).await.unwrap().data, std::slice::from_ref(&shared));
    forbidden(theirs.update(shared.id, PromptChange::default()).await);
    forbidden(theirs.delete(shared.id).await);
    let change = PromptChange { content: Some("Be brief.".into()), ..PromptChange::default() };
    assert!(ours.update(shared.id, change).await.unwrap().is_shared);
    assert_eq!(theirs.get(shared.id).await.unwrap().content, "Be brief.");
    let within =
        NewPrompt { workspace_id: Some(aimate::WorkspaceId(uuid::Uuid::nil())), ..NewPrompt::new("a", "b") };
    assert_eq!(ours.create(within.shared()).await.unwrap_err().fields()[0].path, "shared");
    ours.delete(shared.id).await.unwrap();
    assert!(theirs.list(None, PageRequest::default()).await.unwrap().data.is_empty());
}

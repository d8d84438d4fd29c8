//! Answers as values of a type.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod common;

use aimate::message::text_of;
use aimate::provider::ResponseFormat;
use aimate::schemars::{self, JsonSchema};
use aimate::testing::{Step, answer};
use aimate::{Error, ErrorKind, ErrorReason, Turn};
use common::{bench, texts};
use serde::Deserialize;

/// What a ticket is about.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Triage {
    /// From 1 to 5.
    urgency: u8,
    team: Team,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Team {
    Plumbing,
    Billing,
}

/// Nothing is a value of it.
#[derive(Debug, JsonSchema)]
struct Never;

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("there is no such thing"))
    }
}

const GOOD: &str = "{\"urgency\": 4, \"team\": \"plumbing\"}";

#[tokio::test]
async fn answer_becomes_a_value() {
    for text in [GOOD.to_owned(), format!("```json\n{GOOD}\n```")] {
        let bench = bench([answer(&text)]).await;
        let found: Triage = bench.engine.extract(&bench.me, Turn::new("The pump leaks.")).await.unwrap();
        assert_eq!(found, Triage { urgency: 4, team: Team::Plumbing });
        let [request] = bench.provider.requests().try_into().unwrap();
        let Some(ResponseFormat::JsonSchema { name, schema, .. }) = request.response_format else { panic!() };
        assert_eq!(name, "Triage");
        assert_eq!(schema["properties"]["urgency"]["description"], "From 1 to 5.");
        assert_eq!(schema["required"], aimate::serde_json::json!(["urgency", "team"]));
    }
}

#[tokio::test]
async fn wrong_answer_is_sent_back_once_with_what_is_wrong() {
    let bench = bench([answer("{\"urgency\": 4}"), answer(GOOD)]).await;
    let turn = Turn::new("The pump leaks.").model("tiny").client_id("one");
    let found: Triage = bench.engine.extract(&bench.me, turn.clone()).await.unwrap();
    assert_eq!(found.team, Team::Plumbing);
    let requests = bench.provider.requests();
    assert_eq!(requests.len(), 2);
    let told = text_of(&requests[1].messages.last().unwrap().content);
    assert!(told.contains("missing field `team`"), "{told}");
    assert_eq!(
        (requests[1].model.as_str(), &requests[1].response_format),
        ("tiny", &requests[0].response_format)
    );
    // Sent again, neither question is asked again.
    let same: Triage = bench.engine.extract(&bench.me, turn).await.unwrap();
    assert_eq!(same, found);
    assert_eq!(bench.provider.requests().len(), 2);
}

#[tokio::test]
async fn type_that_no_answer_is_ends_with_an_error() {
    let bench = bench([answer(GOOD), answer(GOOD), answer("never asked")]).await;
    let error = bench.engine.extract::<Never>(&bench.me, Turn::new("q")).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Upstream, Some(ErrorReason::NotOfType)));
    assert!(error.message().contains("there is no such thing"), "{error}");
    assert_eq!(bench.provider.requests().len(), 2);
    let all = aimate::conversation::ConversationFilter::default();
    let all = bench.engine.conversations(&bench.me).list(&all, aimate::PageRequest::default()).await.unwrap();
    let branch = texts(&bench.branch(all.data[0].id).await);
    assert_eq!((branch.len(), branch[1].as_str(), branch[3].as_str()), (4, GOOD, GOOD));
}

#[tokio::test]
async fn failure_of_the_model_is_told_as_it_is() {
    let bench = bench([vec![Step::Fail(Error::unavailable("away"))]]).await;
    let error = bench.engine.extract::<Triage>(&bench.me, Turn::new("q")).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (ErrorKind::Unavailable, None));
    let turn = Turn::new("q").response_format(ResponseFormat::JsonObject);
    let error = bench.engine.extract::<Triage>(&bench.me, turn).await.unwrap_err();
    assert_eq!(error.fields()[0].path, "response_format");
    assert_eq!(bench.provider.requests().len(), 1);
}

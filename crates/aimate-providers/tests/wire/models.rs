//! Model lists, as different servers give them.

use aimate_core::ErrorKind;
use aimate_core::model::{Capability, Prices};
use aimate_core::provider::{ListedModel, ProviderId};
use aimate_providers::{OLLAMA, OPENAI, OPENROUTER};

use crate::server::{Server, answer, json, keeps_the_key, provider};

async fn listed(id: ProviderId, body: &str) -> Vec<ListedModel> {
    let server = Server::once(json(body)).await;
    let models = provider(&id).models(&server.endpoint(id)).await.unwrap();
    assert_eq!(server.asked()[0].line, "GET /models HTTP/1.1");
    models
}

#[tokio::test]
async fn openai_list_is_read_without_created() {
    let found = listed(OPENAI, r#"{"object":"list","data":[{"id":"tiny","object":"model","owned_by":"me","permissions":[]},{"id":"tiny"},{"object":"model"}]}"#).await;
    assert_eq!(found, [ListedModel { id: "tiny".into(), name: "tiny".into(), ..ListedModel::default() }]);
}

#[tokio::test]
async fn window_is_read_under_every_name() {
    for field in [
        r#""context_length":4096"#,
        r#""context_window":4096"#,
        r#""max_model_len":4096"#,
        r#""max_context_length":"4096""#,
        r#""meta":{"n_ctx_train":4096,"n_params":1}"#,
    ] {
        let found = listed(OPENAI, &format!(r#"[{{"id":"a",{field}}}]"#)).await;
        assert_eq!(found[0].context_window, Some(4096), "{field}");
    }
    let odd =
        listed(OPENAI, r#"{"models":[{"id":"a","context_length":null,"max_model_len":-1,"meta":null}]}"#)
            .await;
    assert_eq!(odd[0].context_window, None);
}

#[tokio::test]
async fn answers_without_list_are_errors() {
    for (body, words) in [
        ("{}", "no list of models"),
        ("", "not JSON"),
        ("<html>", "web page"),
        (r#"{"error":"Unexpected endpoint"}"#, "Unexpected endpoint"),
    ] {
        let server = Server::once(json(body)).await;
        let error = provider(&OPENAI).models(&server.endpoint(OPENAI)).await.unwrap_err();
        keeps_the_key(&error);
        assert!(error.kind() == ErrorKind::Upstream && error.message().contains(words), "{error}");
    }
    let server = Server::once(answer(404, &[], r#"{"detail":"Not Found"}"#)).await;
    let error = provider(&OPENAI).models(&server.endpoint(OPENAI)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.message().contains("`/models`"), "{error}");
}

#[tokio::test]
async fn openrouter_tells_prices_and_abilities() {
    let body = r#"{"data":[
        {"id":"a/b","name":"A: B","context_length":200000,"pricing":{"prompt":"0.000003","completion":"0.000015","input_cache_read":"0.0000003","image":"0"},
         "architecture":{"input_modalities":["text","image"]},"supported_parameters":["tools","reasoning","structured_outputs","seed"]},
        {"id":"auto","name":"Auto","context_length":2000000,"pricing":{"prompt":"-1","completion":"-1"},"architecture":null,"supported_parameters":null}]}"#;
    let found = listed(OPENROUTER, body).await;
    use Capability::{Chat, JsonSchema, Reasoning, Tools, Vision};
    assert_eq!((found[0].name.as_str(), found[0].context_window), ("A: B", Some(200_000)));
    assert_eq!(found[0].capabilities, [Chat, Tools, Vision, Reasoning, JsonSchema]);
    let Prices { input, output, cached } = found[0].prices.unwrap();
    assert!(
        (input - 3.0).abs() < 1e-9 && (output - 15.0).abs() < 1e-9 && (cached.unwrap() - 0.3).abs() < 1e-9
    );
    assert_eq!((found[1].prices, found[1].capabilities.clone()), (None, vec![Chat]));
}

#[tokio::test]
async fn ollama_asks_each_model_for_its_window() {
    let tags = json(
        r#"{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","size":1,"details":{"family":"llama"}}]}"#,
    );
    let show = json(
        r#"{"capabilities":["completion","tools","vision","thinking","insert"],"model_info":{"general.architecture":"llama","llama.context_length":131072,"llama.block_count":28}}"#,
    );
    let server = Server::start(vec![tags, show]).await;
    let found = provider(&OLLAMA).models(&server.endpoint(OLLAMA)).await.unwrap();
    use Capability::{Chat, JsonSchema, Reasoning, Tools, Vision};
    let expected = ListedModel {
        id: "llama3.2:latest".into(),
        name: "llama3.2:latest".into(),
        context_window: Some(131_072),
        capabilities: vec![Chat, Tools, Vision, Reasoning, JsonSchema],
        prices: None,
    };
    assert_eq!(found, [expected]);
    let asked = server.asked();
    assert_eq!(
        (asked[0].line.as_str(), asked[1].line.as_str()),
        ("GET /api/tags HTTP/1.1", "POST /api/show HTTP/1.1")
    );
    assert_eq!(asked[1].body, serde_json::json!({"model": "llama3.2:latest"}));
}

#[tokio::test]
async fn ollama_lists_a_model_it_will_not_show() {
    let tags =
        json(r#"{"models":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"},{"name":"e"},{"name":"f"}]}"#);
    let server = Server::start(vec![tags, answer(404, &[], r#"{"error":"model not found"}"#)]).await;
    let found = provider(&OLLAMA).models(&server.endpoint(OLLAMA)).await.unwrap();
    assert_eq!(found.iter().map(|model| model.id.as_str()).collect::<String>(), "abcdef");
    assert!(found.iter().all(|model| model.context_window.is_none() && model.capabilities.is_empty()));
}

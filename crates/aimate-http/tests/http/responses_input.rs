//! What a request for a response names instead of bringing it: items, files, pictures; and what is
//! wrong with its items.

use aimate_core::conversation::ConversationFilter;
use aimate_core::message::{Part, ToolCall, text_of};
use aimate_core::provider::ProviderEvent;
use aimate_core::testing::{Step, answer};
use aimate_core::{Error, PageRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::common::{Bench, bench, end};
use crate::file::{form, id, upload};
use crate::responses::{ask, with};

const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

/// What the model was told last, one text a message.
fn told(bench: &Bench) -> Vec<String> {
    let requests = bench.provider.requests();
    requests.last().unwrap().messages.iter().map(|message| text_of(&message.content)).collect()
}

/// A reference to each of some items, and what comes after them.
fn referring(items: &[&Value], more: Value) -> Value {
    let mut input: Vec<_> =
        items.iter().map(|item| json!({"type": "item_reference", "id": item["id"]})).collect();
    input.push(more);
    ask(input)
}

async fn wrong(bench: &Bench, body: Value, param: &str) -> String {
    let error = bench.post("/v1/responses", body).await.openai_error(400, "invalid");
    assert_eq!(error["param"], param, "{error}");
    error["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn referenced_items_stand_in_their_places() {
    let call = Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", "time", json!({}))));
    let bench = bench([answer("one"), answer("two"), vec![call, end()], answer("Noon.")]).await;
    let first = bench.respond(ask("a")).await;
    let at = format!("/v1/responses/{}/input_items", first["id"].as_str().unwrap());
    let asked = bench.get(&at).await.json()["data"][0].clone();
    let said = first["output"][0].clone();
    bench.respond(referring(&[&asked, &said], json!({"role": "user", "content": "b"}))).await;
    assert_eq!(told(&bench), ["a", "one", "b"]);
    // As clients do that send each step of a loop of tools anew; some leave the type out.
    let tools = json!({"tools": [{"type": "function", "name": "time"}]});
    let called = bench.respond(with(ask("When?"), tools)).await;
    let items = json!([
        {"role": "user", "content": "When?"}, {"id": called["output"][0]["id"]},
        {"type": "function_call_output", "call_id": "c1", "output": "12:00"},
    ]);
    bench.respond(ask(items)).await;
    let last = bench.provider.requests().pop().unwrap();
    assert!(matches!(&last.messages[1].content[0], Part::ToolCall(call) if call.name == "time"));
    assert!(matches!(&last.messages[2].content[0], Part::ToolResult(result) if result.text() == "12:00"));
}

#[tokio::test]
async fn what_is_not_there_cannot_be_referenced() {
    let bench = bench([answer("one")]).await;
    let first = bench.respond(ask("a")).await;
    let item = first["output"][0]["id"].as_str().unwrap().to_owned();
    let other = |id: &str| json!({"id": id});
    for id in
        ["msg_1", "x", "msg_0190a5d27c1e7cc398c4dc0c0c07398f0000", &format!("{}9", &item[..item.len() - 1])]
    {
        let input = referring(&[&first["output"][0], &other(id)], json!({"role": "user", "content": "b"}));
        let why = wrong(&bench, input, "input[1].id").await;
        assert!(why.contains(id) && why.contains("not found"), "{why}");
    }
    // Nor once its response is deleted.
    bench.delete(&format!("/v1/responses/{}", first["id"].as_str().unwrap())).await;
    wrong(&bench, referring(&[&first["output"][0]], json!({"role": "user", "content": "b"})), "input[0].id")
        .await;
    assert_eq!(bench.provider.requests().len(), 1);
}

#[tokio::test]
async fn file_is_shown_as_its_text_under_its_name() {
    let bench = bench([answer("one"), answer("two")]).await;
    let file = upload(&bench, "pump.txt", "The pump leaks.").await;
    let of = |part: Value| {
        ask(json!([{"role": "user", "content": [part, {"type": "input_text", "text": "Why?"}]}]))
    };
    bench.respond(of(json!({"type": "input_file", "file_id": id(&file)}))).await;
    let shown = told(&bench).remove(0);
    assert!(
        shown.contains("File `pump.txt`:") && shown.contains("The pump leaks.") && shown.contains("Why?")
    );
    for data in
        [STANDARD.encode("It is cold."), format!("data:text/plain;base64,{}", STANDARD.encode("It is cold."))]
    {
        let part = json!({"type": "input_file", "filename": "a.txt", "file_data": data});
        bench.respond(with(of(part), json!({"store": false}))).await;
        assert!(told(&bench)[0].contains("It is cold."));
    }
    let unknown = "file-0190a5d27c1e7cc398c4dc0c0c07398f";
    for (part, field) in [
        (json!({"type": "input_file", "file_id": unknown}), "file_id"),
        (json!({"type": "input_file", "file_id": "file-1"}), "file_id"),
        (json!({"type": "input_file"}), "file_id"),
        (json!({"type": "input_file", "file_data": STANDARD.encode("x")}), "filename"),
        (json!({"type": "input_file", "filename": "a.txt", "file_data": "!"}), "file_data"),
        (json!({"type": "input_image", "file_id": unknown}), "file_id"),
    ] {
        wrong(&bench, of(part), &format!("input[0].content[0].{field}")).await;
    }
    let by_address = of(json!({"type": "input_file", "file_url": "https://example.org/a.pdf"}));
    let error = bench.post("/v1/responses", by_address).await.openai_error(400, "unsupported");
    assert_eq!(error["param"], "input[0].content[0].file_url");
    let long = upload(&bench, "long.txt", &"word ".repeat(300_000)).await;
    let why =
        wrong(&bench, of(json!({"type": "input_file", "file_id": id(&long)})), "input[0].content[0]").await;
    assert!(why.contains("vector store"), "{why}");
}

#[tokio::test]
async fn uploaded_picture_is_shown_and_a_file_in_an_output_is_read() {
    let call = Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", "look", json!({}))));
    let bench = bench([answer("A dot."), vec![call, end()], answer("It leaks.")]).await;
    let bytes = STANDARD.decode(PNG).unwrap();
    let parts: [(&str, &[u8]); 2] =
        [("name=\"file\"; filename=\"a.png\"", &bytes), ("name=\"purpose\"", b"vision")];
    let file = bench.ask(form(&parts)).await.json();
    let picture = json!({"type": "input_image", "file_id": id(&file)});
    bench.respond(ask(json!([{"role": "user", "content": [picture]}]))).await;
    let shown = bench.provider.requests().pop().unwrap().messages.remove(0).content.remove(0);
    assert!(matches!(&shown, Part::Image { data: Some(data), .. } if data == PNG), "{shown:?}");
    let tools = json!({"tools": [{"type": "function", "name": "look"}]});
    let called = bench.respond(with(ask("What is there?"), tools)).await;
    let file = upload(&bench, "pump.txt", "The pump leaks.").await;
    let output =
        json!([{"type": "input_text", "text": "Seen:"}, {"type": "input_file", "file_id": id(&file)}]);
    let items = json!([{"type": "function_call_output", "call_id": "c1", "output": output}]);
    bench.respond(with(ask(items), json!({"previous_response_id": called["id"]}))).await;
    let last = bench.provider.requests().pop().unwrap();
    let mut parts = last.messages.iter().flat_map(|message| &message.content);
    let result = parts.find_map(|part| if let Part::ToolResult(result) = part { Some(result) } else { None });
    let text = result.unwrap().text().into_owned();
    assert!(text.starts_with("Seen:") && text.contains("The pump leaks."), "{text}");
}

#[tokio::test]
async fn pictures_that_functions_return_are_shown_after_the_results() {
    let call = |id: &str| Step::Say(ProviderEvent::ToolCall(ToolCall::new(id, "look", json!({}))));
    let calls = || vec![call("c1"), call("c2"), end()];
    let tools = json!({"tools": [{"type": "function", "name": "look"}]});
    let picture =
        json!({"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}"), "detail": "auto"});
    let seen = json!([{"type": "input_text", "text": "the front"}, picture]);
    let outputs = json!([
        {"type": "function_call_output", "call_id": "c1", "output": seen},
        {"type": "function_call_output", "call_id": "c2", "output": [picture]},
    ]);
    for store in [true, false] {
        let bench = bench([calls(), answer("Two dots.")]).await;
        let called = bench.respond(with(ask("What is there?"), tools.clone())).await;
        let more = json!({"previous_response_id": called["id"], "store": store});
        let done = bench.respond(with(with(ask(outputs.clone()), more), tools.clone())).await;
        assert_eq!(done["output"][0]["content"][0]["text"], "Two dots.");
        let asked = bench.provider.requests().pop().unwrap();
        let roles: Vec<_> = asked.messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["user", "assistant", "tool", "tool", "user"], "{store}");
        let shown = &asked.messages[4].content;
        let is_shown = |part: &Part| matches!(part, Part::Image { data: Some(data), .. } if data == PNG);
        assert_eq!(shown.iter().filter(|part| is_shown(part)).count(), 2, "{store}");
        if store {
            let at = format!("/v1/responses/{}/input_items?order=asc", done["id"].as_str().unwrap());
            let items = bench.get(&at).await.json();
            assert_eq!(items["data"][3]["output"], seen, "{items}");
            assert_eq!(items["data"][4]["output"], json!([picture]), "{items}");
        }
    }
}

#[tokio::test]
async fn errors_name_the_item_that_is_wrong() {
    let bench = bench([]).await;
    let nothing = json!({"role": "assistant", "content": ""});
    let empty = json!({"role": "user", "content": []});
    for store in [true, false] {
        let body = with(ask(json!([nothing, empty])), json!({"store": store}));
        wrong(&bench, body, "input[1].content").await;
    }
}

#[tokio::test]
async fn what_is_repeated_has_a_bound_whether_it_is_stored_or_not() {
    let bench = bench([]).await;
    let schema = json!({"type": "object", "description": "x".repeat(300_000)});
    let tool = json!({"type": "function", "name": "f", "parameters": schema});
    for store in [true, false] {
        for (more, param) in [
            (json!({"instructions": "語".repeat(90_000)}), "instructions"),
            (json!({"tools": [tool]}), "tools"),
            (json!({"text": {"format": {"type": "json_schema", "name": "a", "schema": schema}}}), "text"),
        ] {
            let body = with(with(ask("a"), more), json!({"store": store}));
            wrong(&bench, body, param).await;
        }
    }
    assert_eq!(bench.provider.requests().len(), 0);
}

#[tokio::test]
async fn compacting_again_keeps_what_users_said_and_one_summary() {
    let bench = bench([answer("They talked of boilers."), answer("Yes."), answer("Of pumps too.")]).await;
    let input = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    let once = bench.post("/v1/responses/compact", ask(input)).await.json();
    let mut items = once["output"].as_array().unwrap().clone();
    items.push(json!({"role": "user", "content": "c"}));
    let followed = bench.respond(ask(items)).await;
    let again = json!({"model": "lab/test", "previous_response_id": followed["id"]});
    let again = bench.post("/v1/responses/compact", again).await.json();
    let output = again["output"].as_array().unwrap();
    let texts: Vec<_> =
        output.iter().map(|item| item["content"][0]["text"].as_str().unwrap_or("-")).collect();
    assert_eq!(texts, ["a", "c", "-"]);
    assert_eq!(output[2]["type"], "compaction");
    assert!(told(&bench).concat().contains("They talked of boilers."), "it is summed up with the rest");
}

#[tokio::test]
async fn response_that_fails_before_its_id_is_known_is_kept_nowhere() {
    let fail = || vec![Step::Fail(Error::upstream("the server is on fire"))];
    let bench = bench([fail(), fail()]).await;
    for stream in [false, true] {
        bench
            .post("/v1/responses", with(ask("a"), json!({"stream": stream})))
            .await
            .openai_error(502, "upstream");
    }
    let me = bench.engine.local_scope().await.unwrap();
    let hidden = ConversationFilter::new().is_hidden(true);
    let left = bench.engine.conversations(&me).list(&hidden, PageRequest::default()).await.unwrap();
    assert_eq!(left.data.len(), 0);
}

#[tokio::test]
async fn items_are_listed_page_by_page_on_their_branch_alone() {
    let bench = bench((0..4).map(|n| answer(&format!("answer {n}")))).await;
    let root = bench.respond(ask("a")).await;
    let follow = |of: &Value, text: &str| with(ask(text), json!({"previous_response_id": of["id"]}));
    let left = bench.respond(follow(&root, "b")).await;
    let right = bench.respond(follow(&root, "c")).await;
    let leaf = bench.respond(follow(&left, "d")).await;
    let at = format!("/v1/responses/{}/input_items", leaf["id"].as_str().unwrap());
    let text = |item: &Value| item["content"][0]["text"].as_str().unwrap().to_owned();
    for (order, expected) in
        [("asc", ["a", "answer 0", "b", "answer 1", "d"]), ("desc", ["d", "answer 1", "b", "answer 0", "a"])]
    {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = bench.get(&format!("{at}?order={order}&limit=2{after}")).await.json();
            seen.extend(page["data"].as_array().unwrap().iter().map(text));
            if page["has_more"] == false {
                break;
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
        assert_eq!(seen, expected, "{order}");
        let foreign = right["output"][0]["id"].as_str().unwrap();
        for after in [foreign, "msg_1"] {
            let error =
                bench.get(&format!("{at}?order={order}&after={after}")).await.openai_error(400, "invalid");
            assert_eq!(error["param"], "after");
        }
    }
}

#[tokio::test]
async fn unstored_response_follows_as_much_of_a_chain_as_its_model_reads() {
    let bench = bench([answer("one"), answer("two")]).await;
    let long = "word ".repeat(2_500);
    let tiny = |more: Value| {
        with(with(ask(long.clone()), json!({"model": "lab/tiny", "max_output_tokens": 16})), more)
    };
    let first = bench.respond(tiny(json!({}))).await;
    let follow = json!({"store": false, "previous_response_id": first["id"]});
    let reply = bench.post("/v1/responses", tiny(follow.clone())).await;
    reply.openai_error(400, "context_length_exceeded");
    bench.respond(tiny(with(follow, json!({"truncation": "auto"})))).await;
    assert_eq!(told(&bench).len(), 1, "the oldest turn was left out");
}

#[tokio::test]
async fn ids_of_another_type_are_400_and_nothing_is_asked() {
    let bench = bench([]).await;
    for (name, value) in
        [("previous_response_id", json!(5)), ("previous_response_id", json!(["resp_1"])), ("input", json!(7))]
    {
        let body = with(ask("a"), json!({name: value}));
        let error = bench.post("/v1/responses", body).await.openai_error(400, "invalid");
        assert!(error["param"].as_str().unwrap().starts_with(name), "{error}");
    }
    assert_eq!(bench.provider.requests().len(), 0);
}

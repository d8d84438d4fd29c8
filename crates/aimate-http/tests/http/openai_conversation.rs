//! OpenAI's conversations and their items.

use aimate_core::message::{ToolCall, text_of};
use aimate_core::provider::{FinishReason, ProviderEvent};
use aimate_core::testing::{Step, answer};
use http::Method;
use serde_json::{Value, json};

use crate::common::{Bench, Reply, bench, request, say};

/// Makes a conversation with these items and gives its address.
async fn made(bench: &Bench, items: Value) -> String {
    let reply = bench.post("/v1/conversations", json!({"items": items})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    format!("/v1/conversations/{}", reply.json()["id"].as_str().unwrap())
}

/// The error of a refused call, which names `param`.
fn refusal(reply: &Reply, status: u16, param: &str) -> Value {
    assert_eq!(reply.status, status, "{}", reply.body);
    let error = reply.json()["error"].clone();
    assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{error}");
    assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
    error
}

/// The texts of a list's items.
fn texts(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().unwrap().iter();
    items.map(|item| item["content"][0]["text"].as_str().unwrap()).collect()
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

#[tokio::test]
async fn conversation_is_made_read_changed_and_deleted() {
    let bench = bench([]).await;
    // The body may be missing, or an empty object.
    for body in [None, Some(json!({})), Some(json!({"metadata": null, "items": null}))] {
        let reply = bench.ask(request(Method::POST, "/v1/conversations", body)).await;
        assert_eq!(reply.json()["metadata"], json!({}), "{}", reply.body);
    }
    let new = bench.post("/v1/conversations", json!({"metadata": {"topic": "pumps"}})).await.json();
    let id = new["id"].as_str().unwrap();
    assert!(id.strip_prefix("conv_").is_some_and(|digits| digits.len() == 32), "{id}");
    assert_eq!((&new["object"], &new["metadata"]), (&json!("conversation"), &json!({"topic": "pumps"})));
    assert!(new["created_at"].as_i64().unwrap() > 1_700_000_000);
    let at = format!("/v1/conversations/{id}");
    assert_eq!(bench.get(&at).await.json(), new);
    let changed = bench.post(&at, json!({"metadata": {"n": "1"}})).await.json();
    assert_eq!(changed["metadata"], json!({"n": "1"}));
    assert_eq!(bench.get(&at).await.json(), changed);
    let cleared = bench.post(&at, json!({"metadata": null})).await.json();
    assert_eq!(cleared["metadata"], json!({}));
    refusal(&bench.post(&at, json!({})).await, 400, "metadata");
    let deleted = bench.delete(&at).await.json();
    assert_eq!(deleted, json!({"id": id, "object": "conversation.deleted", "deleted": true}));
    for gone in
        [bench.get(&at).await, bench.delete(&at).await, bench.post(&at, json!({"metadata": {}})).await]
    {
        let error = refusal(&gone, 404, "");
        assert!(error["message"].as_str().unwrap().contains(id), "{error}");
    }
}

#[tokio::test]
async fn conversation_is_the_one_of_the_product() {
    let bench = bench([answer("In May.")]).await;
    let at = bench.conversation().await;
    bench.say(&at, "When is the boiler serviced?").await;
    let id = at.rsplit('/').next().unwrap().replace('-', "");
    let list = bench.get(&format!("/v1/conversations/conv_{id}/items?order=asc")).await.json();
    assert_eq!(texts(&list), ["When is the boiler serviced?", "In May."]);
    assert_eq!((&list["data"][0]["role"], &list["data"][1]["role"]), (&json!("user"), &json!("assistant")));
    // And the other way round.
    let made = made(&bench, json!([user("Hello")])).await;
    let id = made.rsplit('_').next().unwrap();
    assert_eq!(bench.branch(&format!("/api/v1/conversations/{id}")).await, ["Hello"]);
}

#[tokio::test]
async fn metadata_has_bounds() {
    let bench = bench([]).await;
    let many: serde_json::Map<_, _> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    let at = made(&bench, json!([])).await;
    for (metadata, param) in [
        (json!(many), "metadata"),
        (json!({"k".repeat(65): "x"}), &*format!("metadata.{}", "k".repeat(65))),
        (json!({"k": "v".repeat(513)}), "metadata.k"),
        (json!({"k": 1}), "metadata.k"),
        (json!({"k": {"deep": true}}), "metadata.k"),
    ] {
        for path in ["/v1/conversations", &at] {
            refusal(&bench.post(path, json!({"metadata": metadata})).await, 400, param);
        }
    }
    let most: serde_json::Map<_, _> =
        (0..16).map(|n| (format!("{n:064}"), json!("\u{1f980}".repeat(512)))).collect();
    let reply = bench.post("/v1/conversations", json!({"metadata": most})).await;
    assert_eq!(reply.json()["metadata"], json!(most));
}

#[tokio::test]
async fn items_are_added_in_order_and_paged() {
    let bench = bench([]).await;
    let at = made(&bench, json!([user("0"), {"role": "assistant", "content": "1"}])).await;
    let more: Vec<_> = (2..22).map(|n| user(&n.to_string())).collect();
    let added = bench.post(&format!("{at}/items"), json!({"items": more})).await.json();
    let expected: Vec<String> = (2..22).map(|n| n.to_string()).collect();
    assert_eq!(texts(&added), expected);
    assert_eq!((&added["object"], &added["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!(added["first_id"], added["data"][0]["id"]);
    assert_eq!(added["last_id"], added["data"][19]["id"]);
    // The newest twenty come first.
    let first = bench.get(&format!("{at}/items")).await.json();
    assert_eq!((texts(&first).len(), texts(&first)[0], &first["has_more"]), (20, "21", &json!(true)));
    for (order, limit) in [("desc", 1), ("desc", 7), ("asc", 1), ("asc", 7), ("asc", 22), ("desc", 100)] {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = bench.get(&format!("{at}/items?order={order}&limit={limit}{after}")).await.json();
            all.extend(texts(&page).into_iter().map(|text| text.parse::<u32>().unwrap()));
            if page["has_more"] == false {
                break;
            }
            assert_eq!(texts(&page).len(), limit);
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
        if order == "desc" {
            all.reverse();
        }
        assert_eq!(all, (0..22).collect::<Vec<_>>(), "{order} {limit}");
    }
    let empty = made(&bench, json!([])).await;
    let expected =
        json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false});
    assert_eq!(bench.get(&format!("{empty}/items")).await.json(), expected);
}

#[tokio::test]
async fn list_of_items_has_bounds() {
    let bench = bench([]).await;
    let at = made(&bench, json!([user("a")])).await;
    let other = made(&bench, json!([user("b")])).await;
    let foreign = bench.get(&format!("{other}/items")).await.json()["last_id"].as_str().unwrap().to_owned();
    for (query, param) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("limit=x".to_owned(), "limit"),
        ("order=up".to_owned(), "order"),
        ("after=msg_1".to_owned(), "after"),
        (format!("after={foreign}"), "after"),
        (format!("order=asc&after={foreign}"), "after"),
        ("include[]=everything".to_owned(), "include"),
        ("include=everything".to_owned(), "include"),
    ] {
        refusal(&bench.get(&format!("{at}/items?{query}")).await, 400, param);
    }
    let known =
        "include[]=reasoning.encrypted_content&include[]=message.output_text.logprobs&limit=100&extra=1";
    assert_eq!(bench.get(&format!("{at}/items?{known}")).await.status, 200);
}

#[tokio::test]
async fn wrong_items_store_nothing() {
    let bench = bench([]).await;
    let at = made(&bench, json!([user("a")])).await;
    let many = vec![user("x"); 21];
    for (items, param) in [
        (json!([]), "items"),
        (json!(many), "items"),
        (json!([user("b"), {"type": "dream"}]), "items[1].type"),
        (json!([user("b"), {"role": "user", "content": ""}]), "messages[1].content"),
        (
            json!([user("b"), {"role": "system", "content": [{"type": "input_image", "image_url": "https://a.example/a.png"}]}]),
            "messages[1].content[0]",
        ),
        (json!([user("b"), {"type": "item_reference", "id": "msg_1"}]), "items[1].type"),
        (json!([7]), "items[0]"),
    ] {
        refusal(&bench.post(&format!("{at}/items"), json!({"items": items})).await, 400, param);
        if items != json!([]) {
            refusal(&bench.post("/v1/conversations", json!({"items": items})).await, 400, param);
        }
    }
    assert_eq!(texts(&bench.get(&format!("{at}/items")).await.json()), ["a"]);
    // Of what could not be made, nothing is there.
    let list = bench.get("/api/v1/conversations").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    for body in ["", "{", "[]", "{\"items\": 7}"] {
        let mut wrong = request(Method::POST, &format!("{at}/items"), Some(json!({})));
        *wrong.body_mut() = body.to_owned().into();
        assert_eq!(bench.ask(wrong).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn every_kind_of_item_reads_back() {
    let bench = bench([]).await;
    let at = made(
        &bench,
        json!([
            {"role": "developer", "content": "Be brief."},
            user("What time is it?"),
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {"type": "function_call", "call_id": "call_1", "name": "time", "arguments": "{\"zone\":\"UTC\"}"},
            {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "noon"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Noon."}]},
        ]),
    )
    .await;
    let list = bench.get(&format!("{at}/items?order=asc")).await.json();
    let kinds: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    let expected = ["message", "message", "reasoning", "function_call", "function_call_output", "message"];
    assert_eq!(kinds, expected);
    assert_eq!(list["data"][4]["output"], "noon");
    for item in list["data"].as_array().unwrap() {
        let id = item["id"].as_str().unwrap();
        assert_eq!(&bench.get(&format!("{at}/items/{id}")).await.json(), item);
        assert_eq!(item["status"], "completed");
    }
}

#[tokio::test]
async fn deleted_item_is_gone_and_the_others_keep_their_ids() {
    let bench = bench([answer("d")]).await;
    let at = made(&bench, json!([user("a"), user("gone"), user("c")])).await;
    let id = |list: &Value, n: usize| list["data"][n]["id"].as_str().unwrap().to_owned();
    let before = bench.get(&format!("{at}/items?order=asc")).await.json();
    let reply = bench.delete(&format!("{at}/items/{}", id(&before, 1))).await;
    assert_eq!(reply.json(), bench.get(&at).await.json(), "the conversation comes back");
    let after = bench.get(&format!("{at}/items?order=asc")).await.json();
    assert_eq!(texts(&after), ["a", "c"]);
    assert_eq!((id(&after, 0), id(&after, 1)), (id(&before, 0), id(&before, 2)));
    for gone in [id(&before, 1), "msg_1".to_owned(), "x".repeat(500)] {
        refusal(&bench.get(&format!("{at}/items/{gone}")).await, 404, "");
        refusal(&bench.delete(&format!("{at}/items/{gone}")).await, 404, "");
    }
    // What is left is what a model is shown.
    let product = format!("/api/v1/conversations/{}", at.rsplit('_').next().unwrap());
    bench.say(&product, "next").await;
    let requests = bench.provider.requests();
    let shown: Vec<String> = requests[0].messages.iter().map(|message| text_of(&message.content)).collect();
    assert_eq!(shown, ["a\n\nc\n\nnext"]);
    // The last item, then all of them.
    for _ in 0..4 {
        let list = bench.get(&format!("{at}/items")).await.json();
        bench.delete(&format!("{at}/items/{}", id(&list, 0))).await;
    }
    assert_eq!(bench.get(&format!("{at}/items")).await.json()["data"], json!([]));
}

#[tokio::test]
async fn part_of_an_answer_is_deleted_alone() {
    let call = Step::Say(ProviderEvent::ToolCall(ToolCall::new("c1", "time", json!({}))));
    let bench =
        bench([vec![say("One moment."), call, Step::Say(ProviderEvent::Finish(FinishReason::ToolCalls))]])
            .await;
    let product = bench.conversation().await;
    let tools = json!([{"name": "time", "parameters": {"type": "object"}}]);
    let asked = json!({"content": "What time is it?", "stream": false, "tools": tools});
    assert_eq!(bench.post(&format!("{product}/messages"), asked).await.status, 200);
    let at = format!("/v1/conversations/conv_{}", product.rsplit('/').next().unwrap().replace('-', ""));
    let before = bench.get(&format!("{at}/items?order=asc")).await.json();
    let ids: Vec<&str> =
        before["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "{before}");
    assert_eq!(bench.delete(&format!("{at}/items/{}", ids[1])).await.status, 200);
    let after = bench.get(&format!("{at}/items?order=asc")).await.json();
    assert_eq!(after["data"], json!([before["data"][0], before["data"][2]]));
    refusal(&bench.delete(&format!("{at}/items/{}", ids[1])).await, 404, "");
    bench.delete(&format!("{at}/items/{}", ids[2])).await;
    let left = bench.get(&format!("{at}/items?order=asc")).await.json();
    assert_eq!(left["data"], json!([before["data"][0]]));
}

#[tokio::test]
async fn running_answer_is_no_item_yet() {
    let bench = bench([vec![say("A"), Step::Hang]]).await;
    let product = bench.conversation().await;
    let at = format!("/v1/conversations/conv_{}", product.rsplit('/').next().unwrap().replace('-', ""));
    let body = json!({"content": "Count", "stream": true});
    let streaming = bench.send(request(Method::POST, &format!("{product}/messages"), Some(body))).await;
    let list = bench.get(&format!("{at}/items")).await.json();
    assert_eq!(texts(&list), ["Count"]);
    // It would fail again at once: clients are not to try again.
    refusal(&bench.post(&format!("{at}/items"), json!({"items": [user("b")]})).await, 400, "");
    drop(streaming);
}

use super::*;
use crate::clock::Timestamp;
use crate::id::{MessageId, PromptId};
use crate::message::{PathStats, ToolCall, ToolResult};
use uuid::Uuid;

/// A path of messages of ten tokens each; `u`, `a`, `t` and `c` stand for user,
/// assistant, tool result and assistant with a tool call.
fn path(roles: &str) -> Vec<Message> {
    let mut path_stats = PathStats::default();
    let mut path: Vec<Message> = Vec::new();
    for (n, role) in roles.chars().enumerate() {
        path_stats = path_stats.child(10);
        let call = ToolCall::new("call", "f", json!({}));
        let (role, part) = match role {
            'u' => (MessageRole::User, Part::text(format!("q{n}"))),
            'a' => (MessageRole::Assistant, Part::text(format!("a{n}"))),
            'c' => (MessageRole::Assistant, Part::ToolCall(call)),
            _ => (MessageRole::Tool, Part::ToolResult(ToolResult::new("call", json!("r")))),
        };
        path.push(Message {
            id: MessageId(Uuid::from_u128(n as u128 + 1)),
            conversation_id: Uuid::nil().into(),
            parent_id: path.last().map(|message| message.id),
            role,
            content: vec![part],
            status: MessageStatus::Complete,
            model: None,
            usage: None,
            cost: None,
            metadata: serde_json::Map::new(),
            created_at: Timestamp(0),
            path_stats,
        });
    }
    path
}

fn sources(path: &[Message]) -> PromptInputs<'_> {
    PromptInputs {
        engine: None,
        prompts: &[],
        conversation: None,
        path,
        new: 1,
        connection: "lab",
        sees_pictures: false,
        tools: &[],
        tool_tokens: 0,
        truncation: Truncation::Auto,
    }
}

fn built(path: &[Message], window: u32) -> Context {
    let budget = PromptBudget { window, answer: 0 };
    build(&sources(path), Tokenizer::Estimate, budget).unwrap()
}

fn texts(context: &Context) -> Vec<String> {
    context.messages.iter().map(|message| crate::message::text_of(&message.content)).collect()
}

#[test]
fn everything_is_shown_where_it_fits() {
    let context = built(&path("uauau"), 50);
    assert_eq!(texts(&context), ["q0", "a1", "q2", "a3", "q4"]);
    assert_eq!(context.tokens, 50);
    assert_eq!(context.manifest["dropped"], json!([]));
}

#[test]
fn oldest_whole_turns_are_left_out_first() {
    let context = built(&path("uauauau"), 50);
    assert_eq!(texts(&context), ["q4", "a5", "q6"]);
    assert_eq!(context.manifest["dropped"][0]["count"], 4);
    assert_eq!(context.manifest["dropped"][0]["tokens"], 40);
    assert!(context.tokens <= 50);
}

#[test]
fn window_never_begins_with_an_answer_or_a_tool_result() {
    for window in 10..120 {
        let context = built(&path("ucta".repeat(3).as_str()), window.max(10));
        let first = context.messages.first().map(|message| message.role);
        assert!(matches!(first, Some(MessageRole::User)) || context.messages.len() == 1, "{window}");
    }
}

#[test]
fn tool_results_stay_with_their_calls() {
    let whole = built(&path("uctau"), 1_000);
    let roles: Vec<_> = whole.messages.iter().map(|message| message.role).collect();
    use MessageRole::{Assistant, Tool, User};
    assert_eq!(roles, [User, Assistant, Tool, Assistant, User]);
    // A call that was never answered, and a result without a call, are left out.
    assert_eq!(texts(&built(&path("ucu"), 1_000)), ["q0\n\nq2"]);
    assert_eq!(texts(&built(&path("utu"), 1_000)), ["q0\n\nq2"]);
}

#[test]
fn each_prompt_begins_with_the_one_before_until_the_cut_moves() {
    let whole = path(&"ua".repeat(60));
    let (mut moves, mut before): (u32, Option<Vec<String>>) = (0, None);
    for turn in 0..59 {
        // The branch as it stands when question `turn` is asked.
        let context = built(whole.get(..=turn * 2).unwrap(), 400);
        assert!(context.tokens <= 400);
        let now = texts(&context);
        if let Some(before) = before
            && !now.starts_with(&before)
        {
            moves += 1;
        }
        before = Some(now);
    }
    // 1,170 tokens through a window of 400 in steps of 100.
    assert_eq!(moves, 8);
}

#[test]
fn system_prompts_come_first_and_in_order() {
    let path = path("u");
    let prompt = Prompt {
        id: PromptId(Uuid::nil()),
        workspace_id: None,
        title: "tone".into(),
        content: "be kind".into(),
        is_active: true,
        is_shared: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let sources = PromptInputs {
        engine: Some("engine"),
        prompts: std::slice::from_ref(&prompt),
        conversation: Some("conversation"),
        ..sources(&path)
    };
    let context = build(&sources, Tokenizer::Estimate, PromptBudget::new(8_192, None)).unwrap();
    assert_eq!(texts(&context), ["engine\n\nbe kind\n\nconversation", "q0"]);
    let kinds: Vec<_> = context.manifest["included"].as_array().unwrap().iter().map(|e| &e["kind"]).collect();
    assert_eq!(kinds, ["system", "prompt", "system", "message"]);
}

#[test]
fn question_larger_than_the_window_is_refused() {
    let error =
        build(&sources(&path("u")), Tokenizer::Estimate, PromptBudget { window: 9, answer: 0 }).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::ContextOverflow);
}

#[test]
fn answer_gets_a_share_of_the_window() {
    assert_eq!(PromptBudget::new(8_192, None).answer, 2_048);
    assert_eq!(PromptBudget::new(128_000, None).answer, 4_096);
    assert_eq!(PromptBudget::new(8_192, Some(100)).answer, 100);
    assert_eq!(PromptBudget::new(8_192, Some(100_000)).prompt(), 4_096);
}

#[test]
fn empty_and_unfinished_answers_are_not_shown() {
    let mut path = path("uauau");
    path[1].status = MessageStatus::Streaming;
    path[3].content.clear();
    assert_eq!(texts(&built(&path, 1_000)), ["q0\n\nq2\n\nq4"]);
}

#[test]
fn roles_alternate_whatever_became_of_the_answers() {
    let thought = Part::Reasoning { text: "hm".into(), details: None };
    for content in [vec![], vec![Part::text("")], vec![thought], vec![image_refused()]] {
        for status in [MessageStatus::Failed, MessageStatus::Cancelled, MessageStatus::Complete] {
            let mut path = path("uauau");
            path[1].content.clone_from(&content);
            path[1].status = status;
            path[2]
                .content
                .insert(0, Part::Image { url: Some("https://a".into()), data: None, media_type: None });
            let context = built(&path, 1_000);
            let roles: Vec<_> = context.messages.iter().map(|message| message.role).collect();
            use MessageRole::{Assistant, User};
            assert_eq!(roles, [User, Assistant, User], "{content:?}");
            assert_eq!(context.messages[0].content.len(), 3);
        }
    }
}

#[test]
fn what_a_provider_wants_back_goes_to_no_other() {
    let mut path = path("uctau");
    let details = Part::Reasoning { text: "hm".into(), details: Some(json!(["sealed"])) };
    path[1].content.insert(0, details.clone());
    let Part::ToolCall(call) = &mut path[1].content[1] else { panic!() };
    call.extra.insert("extra_content".into(), json!({"google": {"thought_signature": "s"}}));
    let sealed = |model: &str| {
        path[1].model = Some(model.to_owned());
        let messages = built(&path, 1_000).messages;
        let json = format!("{:?}", messages[1].content);
        (json.contains("sealed"), json.contains("thought_signature"))
    };
    let mut sealed = sealed;
    assert_eq!(sealed("lab/m"), (true, true));
    assert_eq!(sealed("lab/another"), (true, true));
    assert_eq!(sealed("other/m"), (false, false));
    assert_eq!(sealed("lab"), (false, false));
}

#[test]
fn refused_picture_is_left_out_of_later_prompts() {
    let mut path = path("uau");
    path[0].content.push(Part::Image { url: Some("https://a".into()), data: None, media_type: None });
    path[1].content = vec![image_refused()];
    path[1].status = MessageStatus::Failed;
    let context = built(&path, 1_000);
    assert!(
        !context
            .messages
            .iter()
            .flat_map(|message| &message.content)
            .any(|part| matches!(part, Part::Image { .. }))
    );
    assert_eq!(refused_images(&path), 1);
}

#[test]
fn oldest_turns_are_left_out_of_a_prompt_that_overflowed() {
    let messages = built(&path("uauctau"), 1_000).messages;
    let all =
        |tokens| without_oldest(&messages, Tokenizer::Estimate, tokens).map(|(kept, cut)| (kept.len(), cut));
    assert_eq!(all(0), Some((1, 6)));
    let cost = |message: &ChatMessage| u64::from(message_tokens(Tokenizer::Estimate, &message.content));
    assert_eq!(all(messages.iter().skip(2).map(cost).sum()), Some((5, 2)));
    assert_eq!(without_oldest(&messages[6..], Tokenizer::Estimate, 0), None);
}

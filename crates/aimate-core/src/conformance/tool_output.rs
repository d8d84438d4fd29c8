use super::world::{World, id, missing};
use crate::Stores;
use crate::tool::KeptOutput;

fn output(conversation_id: crate::ConversationId, text: &str) -> KeptOutput {
    KeptOutput { id: id(), conversation_id, text: text.to_owned() }
}

pub async fn kept_output_is_read_in_pieces(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    // Pieces end within it, and no character is cut.
    let text: String = (0..40_000).map(|n| format!("{n}ä ")).collect();
    let kept = output(talk.id, &text);
    stores.tool_outputs.keep(&w.me, &kept).await.unwrap();
    let (mut read, mut offset) = (String::new(), 0);
    loop {
        let piece = stores.tool_outputs.read(&w.me, talk.id, kept.id, offset, 10_000).await.unwrap();
        assert_eq!((piece.offset, piece.total), (offset, text.len() as u64));
        assert!(piece.text.len() <= 10_000);
        if piece.text.is_empty() {
            break;
        }
        read.push_str(&piece.text);
        offset += piece.text.len() as u64;
    }
    assert_eq!(read, text);
    let within = stores.tool_outputs.read(&w.me, talk.id, kept.id, 2, 1).await.unwrap();
    assert_eq!((within.offset, within.text.as_str()), (1, "ä"));
}

pub async fn others_keep_and_read_nothing(stores: &Stores) {
    let w = World::new(stores).await;
    let (talk, second) = (w.conversation("talk").await, w.conversation("second").await);
    let kept = output(talk.id, "dry");
    stores.tool_outputs.keep(&w.me, &kept).await.unwrap();
    for scope in w.others() {
        missing(stores.tool_outputs.keep(&scope, &output(talk.id, "x")).await);
        missing(stores.tool_outputs.read(&scope, talk.id, kept.id, 0, 10).await);
    }
    missing(stores.tool_outputs.read(&w.me, second.id, kept.id, 0, 10).await);
    missing(stores.tool_outputs.read(&w.me, talk.id, id(), 0, 10).await);
    missing(stores.tool_outputs.keep(&w.me, &output(id(), "x")).await);
}

pub async fn kept_output_goes_with_its_conversation(stores: &Stores) {
    let w = World::new(stores).await;
    let talk = w.conversation("talk").await;
    let kept = output(talk.id, "dry");
    stores.tool_outputs.keep(&w.me, &kept).await.unwrap();
    stores.conversations.delete(&w.me, talk.id).await.unwrap();
    missing(stores.tool_outputs.read(&w.me, talk.id, kept.id, 0, 10).await);
}

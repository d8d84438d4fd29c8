//! Going through the items of a branch, page by page, at the cost of the page and of the ids of the
//! branch.

use aimate_core::engine::Conversations;
use aimate_core::message::{Message, MessageStatus};
use aimate_core::{ConversationId, Cursor, Error, ErrorKind, MessageId, PageRequest, Slice, Timestamp};

use super::cursor_list::{CursorList, ListOrder};
use super::item::{Item, items, message_of};
use super::wire_id;
use crate::error::Result;

/// The way through a conversation, until there are as many items as are wanted.
pub(crate) struct ItemWalk {
    pub(crate) conversations: Conversations,
    pub(crate) conversation: ConversationId,
    /// The message it ends with; `None` for the end of the open branch.
    pub(crate) leaf: Option<MessageId>,
    /// An answer of which only what was decided before it is shown: it is asked for.
    pub(crate) answer: Option<MessageId>,
    /// Items of a page.
    pub(crate) limit: usize,
}

impl ItemWalk {
    /// The page behind the item `after`, or the first one.
    ///
    /// # Errors
    /// `Invalid` if `after` is no item of it; what the store says.
    pub(crate) async fn page(&self, order: ListOrder, after: Option<&str>) -> Result<CursorList<Item>> {
        let mut found = match order {
            ListOrder::Asc => self.forwards(after).await?,
            ListOrder::Desc => self.backwards(after).await?,
        };
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        Ok(CursorList::new(Slice { data: found, has_more }, Item::id))
    }

    /// As many as tell whether there are more.
    fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// From the newest item to the first.
    async fn backwards(&self, after: Option<&str>) -> Result<Vec<Item>> {
        let (mut found, mut cursor) = (Vec::new(), None);
        if let Some(after) = after {
            let message = self.message_of(after).await?;
            if self.leaf.is_some() && !self.path().await?.contains(&message.id) {
                // It is of another branch.
                return Err(unknown(after).into());
            }
            let known = self.place(&message, after)?;
            let before = self.items(&message).into_iter().take(known);
            found.extend(before.rev());
            cursor = Some(Cursor { at: Timestamp(0), id: message.id.0 });
        }
        while found.len() < self.wanted() {
            let page = PageRequest { limit: self.messages_of_page(), after: cursor };
            let page = self.conversations.messages(self.conversation, self.leaf, page).await?;
            let shown = page.data.iter().map(|listed| &listed.message);
            found.extend(shown.rev().flat_map(|message| self.items(message).into_iter().rev()));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// From the first item to the newest.
    async fn forwards(&self, after: Option<&str>) -> Result<Vec<Item>> {
        let path = self.path().await?;
        let (mut found, mut from) = (Vec::new(), 0);
        if let Some(after) = after {
            let message = self.message_of(after).await?;
            let known = self.place(&message, after)?;
            found.extend(self.items(&message).into_iter().skip(known + 1));
            let index = path.iter().position(|id| *id == message.id);
            from = index.ok_or_else(|| unknown(after))? + 1;
        }
        for ids in path.get(from..).unwrap_or_default().chunks(self.messages_of_page() as usize) {
            if found.len() >= self.wanted() {
                break;
            }
            let messages = self.messages(ids).await?;
            found.extend(messages.iter().flat_map(|message| self.items(message)));
        }
        Ok(found)
    }

    async fn path(&self) -> Result<Vec<MessageId>> {
        Ok(self.conversations.path(self.conversation, self.leaf).await?)
    }

    /// The messages of a piece of the path.
    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        let (mut messages, mut cursor) = (Vec::with_capacity(ids.len()), None);
        // A page of large messages is shorter than it is asked for: the rest is older.
        while messages.len() < ids.len() {
            let limit = u32::try_from(ids.len() - messages.len()).unwrap_or(u32::MAX);
            let page = PageRequest { limit, after: cursor };
            let page = self.conversations.messages(self.conversation, ids.last().copied(), page).await?;
            cursor = page.next;
            messages.splice(0..0, page.data.into_iter().map(|listed| listed.message));
            if cursor.is_none() {
                break;
            }
        }
        Ok(messages)
    }

    async fn message_of(&self, after: &str) -> Result<Message> {
        let message = message(&self.conversations, self.conversation, after).await?;
        message.ok_or_else(|| unknown(after).into())
    }

    /// The items of a message that are shown.
    fn items(&self, message: &Message) -> Vec<Item> {
        if self.answer == Some(message.id) {
            let is_asked_for = |item: &Item| matches!(item, Item::McpApprovalResponse { .. });
            return items(message).into_iter().filter(is_asked_for).collect();
        }
        // An answer is in the conversation once it is whole.
        if message.status == MessageStatus::Streaming { Vec::new() } else { items(message) }
    }

    /// The place of an item among those of its message.
    fn place(&self, message: &Message, id: &str) -> Result<usize> {
        let place = self.items(message).iter().position(|item| item.id() == id);
        Ok(place.ok_or_else(|| unknown(id))?)
    }

    fn messages_of_page(&self) -> u32 {
        u32::try_from(self.wanted()).unwrap_or(u32::MAX)
    }
}

fn unknown(after: &str) -> Error {
    let shown = wire_id::shown(after);
    Error::field("after", format!("`{shown}` is no id of this list"))
}

/// The message that an item is of; `None` if there is none.
pub(crate) async fn message(
    conversations: &Conversations,
    conversation: ConversationId,
    item: &str,
) -> Result<Option<Message>> {
    let Some(id) = message_of(item) else { return Ok(None) };
    match conversations.message(conversation, id).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

//! The live side of a run: the driver publishes events, any number of listeners
//! follow, and whoever falls behind reads the stored log instead.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
use aimate_interleave::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::event::ChatEvent;
use super::turn::OnDisconnect;
use crate::id::ConversationId;
use crate::scope::Scope;

/// Events kept for listeners although the log has them, so that a listener
/// who is a little late need not ask the database.
const KEPT: usize = 16;

/// Bytes of events that are kept for slow listeners or a database that is away;
/// beyond it the run is broken off.
const MAX_PENDING: usize = 4 * 1024 * 1024;

/// What a listener gets at once.
#[derive(Debug)]
pub(crate) enum Next {
    /// Events with their sequence numbers.
    Events(Vec<(u64, Arc<ChatEvent>)>),
    /// The events asked for are in the log alone.
    InLog,
    /// The run is over and everything was read.
    End,
    /// Nothing yet.
    Wait,
}

#[derive(Debug)]
struct ChannelState {
    /// The sequence number of the first event in `events`.
    first: u64,
    events: VecDeque<Arc<ChatEvent>>,
    /// The last sequence number that the log has.
    logged: u64,
    /// Bytes of text that are published and not logged.
    pending: usize,
    ended: bool,
    listeners: usize,
}

/// One run in this process.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) scope: Scope,
    pub(crate) conversation: ConversationId,
    /// Fires when somebody asks the run to stop.
    pub(crate) cancel: CancellationToken,
    on_disconnect: OnDisconnect,
    state: Mutex<ChannelState>,
    /// The last published sequence number; `u64::MAX` once the run is over.
    news: watch::Sender<u64>,
}

impl Channel {
    pub(crate) fn new(scope: Scope, conversation: ConversationId, on_disconnect: OnDisconnect) -> Self {
        let state = ChannelState {
            first: 1,
            events: VecDeque::new(),
            logged: 0,
            pending: 0,
            ended: false,
            listeners: 0,
        };
        Self {
            scope,
            conversation,
            cancel: CancellationToken::new(),
            on_disconnect,
            state: Mutex::new(state),
            news: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes events. Returns false if too much is waiting to be logged.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = ChatEvent>) -> bool {
        let mut state = self.state();
        for event in events {
            state.pending += size(&event);
            state.events.push_back(Arc::new(event));
        }
        let last = state.last();
        let fits = state.pending <= MAX_PENDING;
        drop(state);
        self.news.send_replace(last);
        fits
    }

    /// The events that the log does not have, with the first one's number.
    pub(crate) fn unlogged(&self) -> (u64, Vec<Arc<ChatEvent>>) {
        let state = self.state();
        let skip = usize::try_from((state.logged + 1).saturating_sub(state.first)).unwrap_or(usize::MAX);
        (state.logged + 1, state.events.iter().skip(skip).cloned().collect())
    }

    /// Notes that the log has everything up to `last`; forgets what listeners
    /// can read there.
    pub(crate) fn logged(&self, last: u64) {
        let mut state = self.state();
        state.logged = state.logged.max(last);
        let unlogged = usize::try_from(state.last().saturating_sub(state.logged)).unwrap_or(usize::MAX);
        while state.events.len() > unlogged.saturating_add(KEPT) {
            state.events.pop_front();
            state.first += 1;
        }
        let start = state.events.len().saturating_sub(unlogged);
        state.pending = state.events.iter().skip(start).map(|event| size(event)).sum();
    }

    /// Ends the run: nothing is published after this. Returns whether its last
    /// event was published.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state();
        state.ended = true;
        let is_complete = state.events.back().is_some_and(|event| event.is_final());
        drop(state);
        self.news.send_replace(u64::MAX);
        is_complete
    }

    /// The events after `after`.
    pub(crate) fn after(&self, after: u64) -> Next {
        let state = self.state();
        if after + 1 < state.first {
            return Next::InLog;
        }
        let skip = usize::try_from(after + 1 - state.first).unwrap_or(usize::MAX);
        let events: Vec<_> =
            state.events.iter().skip(skip).zip(after + 1..).map(|(event, n)| (n, event.clone())).collect();
        match (events.is_empty(), state.ended) {
            (false, _) => Next::Events(events),
            (true, true) => Next::End,
            (true, false) => Next::Wait,
        }
    }

    /// Waits until there is something after `after` to read or nothing will come;
    /// never [`Next::Wait`]. Dropping the future loses nothing.
    pub(crate) async fn next(&self, news: &mut watch::Receiver<u64>, after: u64) -> Next {
        loop {
            // Seen before the events are read, so that no news falls between.
            news.borrow_and_update();
            match self.after(after) {
                // The sender lives as long as the channel.
                Next::Wait => drop(news.changed().await),
                next => return next,
            }
        }
    }

    /// Follows news; see [`watch::Receiver::changed`].
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// One more listener.
    pub(crate) fn join(&self) {
        self.state().listeners += 1;
    }

    /// One listener less; the last one to go cancels the run if that was asked.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.listeners = state.listeners.saturating_sub(1);
        if state.listeners == 0 && !state.ended && self.on_disconnect == OnDisconnect::Cancel {
            self.cancel.cancel();
        }
    }
}

impl ChannelState {
    fn last(&self) -> u64 {
        (self.first + self.events.len() as u64).saturating_sub(1)
    }
}

fn size(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text { text } | ChatEvent::Reasoning { text } => text.len(),
        _ => 256,
    }
}

#[cfg(test)]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{TenantId, UserId};
    use crate::scope::Role;

    pub(super) fn channel(on_disconnect: OnDisconnect) -> Channel {
        let id = uuid::Uuid::nil();
        Channel::new(
            Scope { tenant: TenantId(id), user: UserId(id), role: Role::User },
            ConversationId(id),
            on_disconnect,
        )
    }

    pub(super) fn texts(count: usize) -> Vec<ChatEvent> {
        (0..count).map(|n| ChatEvent::Text { text: n.to_string() }).collect()
    }

    #[test]
    fn listener_reads_on_from_any_number() {
        let channel = channel(OnDisconnect::Continue);
        channel.publish(texts(3));
        let Next::Events(events) = channel.after(1) else { panic!() };
        assert_eq!(events.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3]);
        assert!(matches!(channel.after(3), Next::Wait));
        channel.end();
        assert!(matches!(channel.after(3), Next::End));
    }

    #[test]
    fn logged_events_are_forgotten_but_for_a_tail() {
        let channel = channel(OnDisconnect::Continue);
        channel.publish(texts(500));
        channel.logged(400);
        assert!(matches!(channel.after(0), Next::InLog));
        let Next::Events(events) = channel.after(400) else { panic!() };
        assert_eq!(events.len(), 100);
        let (first, unlogged) = channel.unlogged();
        assert_eq!((first, unlogged.len()), (401, 100));
        assert_eq!(channel.state().events.len(), 100 + KEPT);
    }

    #[test]
    fn last_listener_cancels_where_asked() {
        for (choice, cancelled) in [(OnDisconnect::Continue, false), (OnDisconnect::Cancel, true)] {
            let channel = channel(choice);
            channel.join();
            channel.join();
            channel.leave();
            assert!(!channel.cancel.is_cancelled());
            channel.leave();
            assert_eq!(channel.cancel.is_cancelled(), cancelled);
        }
    }

    #[test]
    fn too_much_unlogged_text_is_refused() {
        let channel = channel(OnDisconnect::Continue);
        assert!(!channel.publish([ChatEvent::Text { text: "x".repeat(MAX_PENDING + 1) }]));
        channel.logged(1);
        assert!(channel.publish(texts(1)));
    }
}

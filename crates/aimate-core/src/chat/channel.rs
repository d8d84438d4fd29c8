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

use super::OnDisconnect;
use super::event::ChatEvent;
use crate::id::ConversationId;
use crate::scope::Scope;

/// Events kept for listeners although the log has them, so that a listener
/// who is a little late need not ask the database.
const KEPT: usize = 16;
/// Bytes of them at most.
const KEPT_BYTES: usize = 64 * 1024;

/// Bytes of events that may wait for the log; while there are more, the model is
/// not listened to.
pub(crate) const MAX_UNLOGGED: usize = 256 * 1024;

/// Bytes of events that a listener takes at once, but for an event that is larger
/// by itself.
pub(crate) const MAX_TAKEN: usize = 64 * 1024;

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
    /// The events, with their bytes.
    events: VecDeque<(Arc<ChatEvent>, usize)>,
    /// The last sequence number that the log has.
    logged: u64,
    /// Bytes that are published and not logged.
    unlogged: usize,
    ended: bool,
    parked: bool,
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
            unlogged: 0,
            ended: false,
            parked: false,
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

    /// Publishes events.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = ChatEvent>) {
        let mut state = self.state();
        for event in events {
            let bytes = event.bytes();
            state.unlogged += bytes;
            state.events.push_back((Arc::new(event), bytes));
        }
        let last = state.last();
        drop(state);
        self.news.send_replace(last);
    }

    /// Whether more may be published before the log has what is there.
    pub(crate) fn has_room(&self) -> bool {
        self.state().unlogged < MAX_UNLOGGED
    }

    /// The events that the log does not have, with the first one's number.
    pub(crate) fn unlogged(&self) -> (u64, Vec<Arc<ChatEvent>>) {
        let state = self.state();
        let skip = usize::try_from((state.logged + 1).saturating_sub(state.first)).unwrap_or(usize::MAX);
        (state.logged + 1, state.events.iter().skip(skip).map(|(event, _)| event.clone()).collect())
    }

    /// Notes that the log has everything up to `last`; forgets what listeners
    /// can read there.
    pub(crate) fn logged(&self, last: u64) {
        let mut state = self.state();
        state.logged = state.logged.max(last);
        let unlogged = usize::try_from(state.last().saturating_sub(state.logged)).unwrap_or(usize::MAX);
        let logged = state.events.len().saturating_sub(unlogged);
        state.unlogged = state.events.iter().skip(logged).map(|(_, bytes)| bytes).sum();
        let mut kept = 0;
        let tail = state.events.iter().take(logged).rev().take(KEPT);
        let count = tail.take_while(|(_, bytes)| {
            kept += bytes;
            kept <= KEPT_BYTES
        });
        let forgotten = logged - count.count();
        state.events.drain(..forgotten);
        state.first += forgotten as u64;
    }

    /// That of a run that goes on after so many events, which the log has.
    pub(crate) fn resumed(
        scope: Scope,
        conversation: ConversationId,
        on_disconnect: OnDisconnect,
        last: u64,
    ) -> Self {
        let channel = Self::new(scope, conversation, on_disconnect);
        {
            let mut state = channel.state();
            (state.first, state.logged) = (last + 1, last);
        }
        channel.news.send_replace(last);
        channel
    }

    /// The last published sequence number.
    pub(crate) fn last(&self) -> u64 {
        self.state().last()
    }

    /// Notes that the run is stored as one that waits: whoever listens reads the log from
    /// here on.
    pub(crate) fn park(&self) {
        self.state().parked = true;
    }

    /// Ends the run: nothing is published after this. Returns whether its last
    /// event was published, or it waits.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state();
        state.ended = true;
        let is_complete = state.parked || state.events.back().is_some_and(|(event, _)| event.is_final());
        drop(state);
        self.news.send_replace(u64::MAX);
        is_complete
    }

    /// The events after `after`, at most [`MAX_TAKEN`] bytes of them, but always one.
    pub(crate) fn after(&self, after: u64) -> Next {
        let state = self.state();
        if after + 1 < state.first {
            return Next::InLog;
        }
        let skip = usize::try_from(after + 1 - state.first).unwrap_or(usize::MAX);
        let mut taken = 0;
        let fits = |(_, bytes): &&(Arc<ChatEvent>, usize)| {
            let is_first = taken == 0;
            taken += bytes.max(&1);
            is_first || taken <= MAX_TAKEN
        };
        let some = state.events.iter().skip(skip).take_while(fits);
        let events: Vec<_> = some.zip(after + 1..).map(|((event, _), n)| (n, event.clone())).collect();
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

    fn long(count: usize, bytes: usize) -> Vec<ChatEvent> {
        (0..count).map(|_| ChatEvent::Text { text: "x".repeat(bytes) }).collect()
    }

    #[test]
    fn model_is_not_listened_to_while_too_much_is_unlogged() {
        let channel = channel(OnDisconnect::Continue);
        assert!(channel.has_room());
        channel.publish(long(1, MAX_UNLOGGED));
        assert!(!channel.has_room());
        channel.logged(1);
        assert!(channel.has_room());
    }

    #[test]
    fn tail_that_is_kept_is_bounded_in_bytes() {
        let channel = channel(OnDisconnect::Continue);
        channel.publish(long(KEPT, KEPT_BYTES / 4));
        channel.logged(KEPT as u64);
        assert_eq!(channel.state().events.len(), 3);
        channel.publish(long(1, 10 * KEPT_BYTES));
        channel.logged(KEPT as u64 + 1);
        assert_eq!(channel.state().events.len(), 0);
        assert!(matches!(channel.after(KEPT as u64), Next::InLog));
    }

    #[test]
    fn listener_takes_a_bounded_number_of_bytes() {
        let channel = channel(OnDisconnect::Continue);
        channel.publish(long(10, MAX_TAKEN / 4));
        let Next::Events(events) = channel.after(0) else { panic!() };
        assert_eq!(events.len(), 3);
        channel.publish(long(1, 2 * MAX_TAKEN));
        let Next::Events(events) = channel.after(10) else { panic!() };
        assert_eq!(events.len(), 1);
    }
}

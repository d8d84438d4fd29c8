//! The channel under every order of its driver's and its listeners' steps.

use std::sync::Arc;

use aimate_interleave::{Mutex, block_on, exhaust, explore, spawn};

use super::tests::{channel, texts};
use super::*;

/// Listens as an answer does, from `after` on; the numbers heard.
async fn listen(channel: Arc<Channel>, log: Arc<Mutex<u64>>, mut after: u64) -> Vec<u64> {
    channel.join();
    let mut news = channel.news();
    let mut heard = Vec::new();
    loop {
        match channel.next(&mut news, after).await {
            Next::Events(events) => heard.extend(events.into_iter().map(|(n, _)| n)),
            Next::InLog => {
                let logged = *log.lock().unwrap();
                assert!(logged > after, "an event is neither in the channel nor in the log");
                heard.extend(after + 1..=logged);
            }
            Next::End => break,
            Next::Wait => unreachable!("it is waited for"),
        }
        after = heard.last().copied().unwrap_or(after);
    }
    channel.leave();
    heard
}

/// Publishes batches of events and logs each, or every other one.
async fn drive(channel: Arc<Channel>, log: Arc<Mutex<u64>>, batches: &[usize], logs_each: bool) {
    for (n, batch) in batches.iter().enumerate() {
        channel.publish(texts(*batch));
        if logs_each || n % 2 == 1 {
            let (first, events) = channel.unlogged();
            let last = first + events.len() as u64 - 1;
            *log.lock().unwrap() = last;
            channel.logged(last);
        }
    }
    channel.end();
}

fn everyone_hears_everything_once(batches: &'static [usize], starts: &'static [u64], logs_each: bool) {
    let (channel, log) = (Arc::new(channel(OnDisconnect::Cancel)), Arc::new(Mutex::new(0)));
    let listeners: Vec<_> = starts
        .iter()
        .map(|start| (*start, spawn(listen(Arc::clone(&channel), Arc::clone(&log), *start))))
        .collect();
    let driver = spawn(drive(Arc::clone(&channel), log, batches, logs_each));
    block_on(async move {
        driver.await.unwrap();
        let last: usize = batches.iter().sum();
        for (start, listener) in listeners {
            assert!(listener.await.unwrap().into_iter().eq(start + 1..=last as u64));
        }
    });
}

#[test]
fn listener_hears_an_event_and_the_end_in_every_order() {
    exhaust(300_000, || everyone_hears_everything_once(&[1], &[0], false));
}

#[test]
fn listeners_hear_everything_once() {
    explore(3_000, || everyone_hears_everything_once(&[2, 1, 3, 1], &[0, 0, 3], false));
    explore(3_000, || everyone_hears_everything_once(&[1, 1], &[0], true));
}

#[test]
fn slow_listeners_read_on_in_the_log() {
    explore(3_000, || everyone_hears_everything_once(&[KEPT + 4, 3, KEPT + 4], &[0, 2], true));
}

#[test]
fn run_goes_on_while_anybody_listens() {
    exhaust(2_000_000, || {
        let channel = Arc::new(channel(OnDisconnect::Cancel));
        channel.join();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let channel = Arc::clone(&channel);
                spawn(async move {
                    channel.join();
                    channel.leave();
                })
            })
            .collect();
        block_on(async move {
            for other in others {
                other.await.unwrap();
            }
        });
        assert!(!channel.cancel.is_cancelled());
        channel.leave();
        assert!(channel.cancel.is_cancelled());
    });
}

#[test]
fn last_of_the_listeners_that_leave_together_cancels() {
    exhaust(2_000_000, || {
        let channel = Arc::new(channel(OnDisconnect::Cancel));
        channel.join();
        channel.join();
        let leave = |channel: Arc<Channel>| async move { channel.leave() };
        let (one, other) = (spawn(leave(Arc::clone(&channel))), spawn(leave(Arc::clone(&channel))));
        block_on(async move {
            one.await.unwrap();
            other.await.unwrap();
        });
        assert!(channel.cancel.is_cancelled());
    });
}

//! File descriptors: how many there are, and what they are for.

/// Descriptors that are kept for the database, the bytes of documents, the child
/// processes that read them, and connections that are refused.
const RESERVE: u64 = 160;
/// Connections, and answers that are written, at most: a thousand of either take
/// tens of megabytes.
const MOST: u64 = 10_000;

/// What a server may do at once with the descriptors that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Connections of clients.
    pub(crate) connections: usize,
    /// Clients among them that listen to events or wait for an answer.
    pub(crate) listeners: usize,
    /// Answers that are being written, each with a connection to its model server.
    pub(crate) runs: usize,
}

impl Room {
    /// For a process that may have so many descriptors: half for clients, half for
    /// model servers. A quarter of the clients' is for requests that end at once.
    fn of(descriptors: u64) -> Self {
        let each = (descriptors.saturating_sub(RESERVE) / 2).clamp(8, MOST);
        let connections = usize::try_from(each).unwrap_or(usize::MAX);
        Self { connections, listeners: connections - connections / 4, runs: connections }
    }

    /// For this process, which takes as many as the operating system lets it.
    pub(crate) fn of_process() -> Self {
        Self::of(raise())
    }
}

/// Raises the soft limit, which is often 1,024, to the hard one; returns what is
/// the limit then.
#[cfg(unix)]
fn raise() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: maximum, maximum };
    if setrlimit(Resource::Nofile, wanted).is_ok() {
        return maximum.unwrap_or(u64::MAX);
    }
    // macOS calls its hard limit infinite and refuses that.
    current.unwrap_or(u64::MAX)
}

#[cfg(not(unix))]
fn raise() -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_the_descriptors_leave() {
        assert_eq!(Room::of(1_024), Room { connections: 432, listeners: 324, runs: 432 });
        assert_eq!(Room::of(u64::MAX), Room { connections: 10_000, listeners: 7_500, runs: 10_000 });
        assert_eq!(Room::of(0).listeners, 6);
        for descriptors in [256, 1_024, 4_096, 20_000] {
            let Room { connections, runs, .. } = Room::of(descriptors);
            assert!((connections + runs) as u64 + RESERVE <= descriptors, "{descriptors}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn limit_is_raised() {
        use rustix::process::{Resource, getrlimit};

        let most = raise();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
        assert_eq!(most, now.maximum.unwrap_or(u64::MAX));
    }
}

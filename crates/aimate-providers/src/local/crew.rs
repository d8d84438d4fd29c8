//! The threads that compute.
//!
//! A lane is one thread that does a job alone: texts beside each other need no
//! other parallelism, and this costs the least. The team is as many threads that
//! share one job, for a single text that is long. Bulk work lets a waiting short
//! job in after each of its own, so that a question does not wait for a book.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use aimate_core::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads at most where nobody says how many.
const MAX_THREADS: usize = 16;

pub(super) struct Crew {
    lanes: Vec<ThreadPool>,
    team: ThreadPool,
    turn: AtomicUsize,
}

impl Crew {
    /// A crew for every core of the machine.
    pub(super) fn usual() -> Result<Self> {
        Self::new(std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS)))
    }

    pub(super) fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let lanes = (0..threads).map(|_| pool(1)).collect::<Result<_>>()?;
        Ok(Self { lanes, team: pool(threads)?, turn: AtomicUsize::new(0) })
    }

    pub(super) fn threads(&self) -> usize {
        self.lanes.len()
    }

    /// Does one job on one thread.
    pub(super) fn alone<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let lane = self.lanes.get(turn % self.lanes.len()).unwrap_or(&self.team);
        lane.install(job)
    }

    /// Does one job with all threads; its parallel iterators use them.
    pub(super) fn together<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        self.team.install(job)
    }

    /// Does each job on one thread, as many beside each other as there are
    /// threads; each thread makes itself a `T` first. The results stand in the
    /// order of the jobs.
    pub(super) fn each<J: Sync, T, R: Send>(
        &self,
        jobs: &[J],
        tools: impl Fn() -> T + Sync,
        job: impl Fn(&mut T, &J) -> R + Sync,
    ) -> Vec<R> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs.len())));
        let work = || {
            let mut tools = tools();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(todo) = jobs.get(number) else { return };
                let result = job(&mut tools, todo);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                rayon::yield_now();
            }
        };
        spread(self.lanes.get(..jobs.len()).unwrap_or(&self.lanes), &work);
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// Runs `work` once on each lane, and waits for all.
fn spread(lanes: &[ThreadPool], work: &(impl Fn() + Sync)) {
    if let [lane, others @ ..] = lanes {
        lane.in_place_scope(|scope| {
            scope.spawn(|_| work());
            spread(others, work);
        });
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("embed-{number}"))
        .build()
        .map_err(|error| Error::unavailable("no threads could be started to embed with").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_jobs() {
        let jobs: Vec<usize> = (0..100).collect();
        for threads in [1, 2, 5] {
            let crew = Crew::new(threads).unwrap();
            let mut made = AtomicUsize::new(0);
            let twice = crew.each(
                &jobs,
                || made.fetch_add(1, Ordering::Relaxed),
                |_, job| {
                    assert_eq!(rayon::current_num_threads(), 1);
                    job * 2
                },
            );
            assert_eq!(twice, jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
            assert_eq!(*made.get_mut(), threads);
            assert_eq!(crew.alone(rayon::current_num_threads), 1);
            assert_eq!(crew.together(rayon::current_num_threads), threads);
        }
    }

    #[test]
    fn a_job_that_waits_is_done_between_the_jobs_of_a_long_call() {
        let crew = Crew::new(1).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let receive = Mutex::new(receive);
        let seen = crew.each(
            &[0, 1],
            || (),
            |(), job| {
                if *job == 0 {
                    let send = send.clone();
                    rayon::spawn(move || send.send(()).unwrap());
                }
                receive.lock().unwrap().try_recv().is_ok()
            },
        );
        assert_eq!(seen, [false, true]);
    }
}

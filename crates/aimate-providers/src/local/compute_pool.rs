//! The threads that compute embeddings.
//!
//! A worker is a pool of one thread that runs a whole job: several texts need no
//! other parallelism, and without synchronization it is the fastest. The shared
//! pool has as many threads, which split one job: a single long text. Between two
//! jobs of a batch a worker runs whatever short job waits for it, so that a query
//! does not wait for a book.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use aimate_core::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Maximum threads of a default pool.
const MAX_DEFAULT_THREADS: usize = 16;

pub(super) struct ComputePool {
    workers: Vec<ThreadPool>,
    shared: ThreadPool,
    /// Counts jobs, to give them to the workers in turn.
    next_worker: AtomicUsize,
}

impl ComputePool {
    /// A pool with one thread per core.
    pub(super) fn with_default_threads() -> Result<Self> {
        Self::new(
            std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_DEFAULT_THREADS)),
        )
    }

    pub(super) fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let workers = (0..threads).map(|_| pool(1)).collect::<Result<_>>()?;
        Ok(Self { workers, shared: pool(threads)?, next_worker: AtomicUsize::new(0) })
    }

    pub(super) fn threads(&self) -> usize {
        self.workers.len()
    }

    /// Runs a job on one thread.
    pub(super) fn run_one<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        let next = self.next_worker.fetch_add(1, Ordering::Relaxed);
        let worker = self.workers.get(next % self.workers.len()).unwrap_or(&self.shared);
        worker.install(job)
    }

    /// Runs a job on all threads: its parallel iterators use them.
    pub(super) fn run_parallel<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        self.shared.install(job)
    }

    /// Runs each job on one thread, as many at once as there are threads, and
    /// returns the results in the order of the jobs. `init` makes the state that
    /// a thread keeps from job to job.
    pub(super) fn map<J: Sync, T, R: Send>(
        &self,
        jobs: &[J],
        init: impl Fn() -> T + Sync,
        run: impl Fn(&mut T, &J) -> R + Sync,
    ) -> Vec<R> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs.len())));
        let work = || {
            let mut state = init();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(number) else { return };
                let result = run(&mut state, job);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                // Lets a query in; see the module.
                rayon::yield_now();
            }
        };
        run_on_each(self.workers.get(..jobs.len()).unwrap_or(&self.workers), &work);
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// Runs `work` once on each worker and waits for all.
fn run_on_each(workers: &[ThreadPool], work: &(impl Fn() + Sync)) {
    if let [worker, others @ ..] = workers {
        worker.in_place_scope(|scope| {
            scope.spawn(|_| work());
            run_on_each(others, work);
        });
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("embed-{number}"))
        .build()
        .map_err(|error| {
            Error::unavailable("the threads of the local embedder could not be started").with_source(error)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        let jobs: Vec<usize> = (0..100).collect();
        for threads in [1, 2, 5] {
            let pool = ComputePool::new(threads).unwrap();
            let mut states = AtomicUsize::new(0);
            let twice = pool.map(
                &jobs,
                || states.fetch_add(1, Ordering::Relaxed),
                |_, job| {
                    assert_eq!(rayon::current_num_threads(), 1);
                    job * 2
                },
            );
            assert_eq!(twice, jobs.iter().map(|job| job * 2).collect::<Vec<_>>());
            assert_eq!(*states.get_mut(), threads);
            assert_eq!(pool.run_one(rayon::current_num_threads), 1);
            assert_eq!(pool.run_parallel(rayon::current_num_threads), threads);
        }
    }

    #[test]
    fn waiting_job_runs_between_the_jobs_of_a_batch() {
        let pool = ComputePool::new(1).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let receive = Mutex::new(receive);
        let seen = pool.map(
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

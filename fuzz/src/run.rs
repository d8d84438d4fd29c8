//! Running a target for a while, on stable Rust and without coverage.

use std::fmt;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::Target;
use crate::mutate::mutate;

/// What one input may take: far more than any needs without optimisation.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Inputs that are kept to be changed further, besides the seeds.
const KEPT: usize = 64;

/// How a target is run.
pub struct Plan {
    /// For how long.
    pub time: Duration,
    /// The same seed makes the same inputs in the same order.
    pub seed: u64,
    /// Where the input that is running, and one that fails, is kept.
    pub folder: PathBuf,
}

/// What a run came to.
pub struct Outcome {
    /// Inputs that were run.
    pub executions: u64,
    /// What did not hold, and for which input.
    pub failure: Option<Failure>,
}

/// An input for which something does not hold.
pub struct Failure {
    /// The input's file.
    pub input: PathBuf,
    /// What the target said.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.input.display(), self.reason)
    }
}

/// Runs `target` with its seeds, then with what becomes of them.
///
/// An input that ends the process (a stack overflow, for one) is left behind in
/// the folder, in `TARGET.running`.
pub fn run(target: &Target, plan: &Plan) -> std::io::Result<Outcome> {
    fs::create_dir_all(&plan.folder)?;
    let running = plan.folder.join(format!("{}.running", target.name));
    let mut file = File::create(&running)?;
    let mut rng = Rng::with_seed(plan.seed);
    let seeds = (target.seeds)();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let begun = Instant::now();
    let mut executions = 0;
    let mut failure = None;
    for turn in 0.. {
        if turn >= seeds.len() && begun.elapsed() >= plan.time {
            break;
        }
        let input = match seeds.get(turn) {
            Some(seed) => seed.clone(),
            None => next(&mut rng, &seeds, &mut kept, target.words),
        };
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&input)?;
        executions += 1;
        if let Err(reason) = execute(target, &input) {
            failure = Some(Failure { input: save(target, &input, &plan.folder)?, reason });
            break;
        }
    }
    fs::remove_file(&running)?;
    Ok(Outcome { executions, failure })
}

/// Runs `target` with every file of a folder: inputs that failed once.
pub fn replay(target: &Target, folder: &Path) -> std::io::Result<Outcome> {
    let mut executions = 0;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Outcome { executions, failure: None });
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let input = entry?.path();
        executions += 1;
        if let Err(reason) = execute(target, &fs::read(&input)?) {
            return Ok(Outcome { executions, failure: Some(Failure { input, reason }) });
        }
    }
    Ok(Outcome { executions, failure: None })
}

/// An input changed from a seed, or from one that was changed before.
fn next(rng: &mut Rng, seeds: &[Vec<u8>], kept: &mut Vec<Vec<u8>>, words: &[&str]) -> Vec<u8> {
    let from = if kept.is_empty() || rng.bool() { seeds } else { kept.as_slice() };
    let mut input = from.get(rng.usize(0..from.len().max(1))).cloned().unwrap_or_default();
    mutate(rng, &mut input, seeds, words);
    if rng.u32(0..4) == 0 {
        if kept.len() < KEPT {
            kept.push(input.clone());
        } else {
            kept[rng.usize(0..KEPT)].clone_from(&input);
        }
    }
    input
}

fn execute(target: &Target, input: &[u8]) -> Result<(), String> {
    if timed(target, input)? <= MAX_TIME {
        return Ok(());
    }
    // Once more: it may have been the machine that stood still.
    match timed(target, input)? {
        took if took > MAX_TIME => Err(format!("it took {took:?}")),
        _ => Ok(()),
    }
}

/// How long the target takes; an error if it panics.
fn timed(target: &Target, input: &[u8]) -> Result<Duration, String> {
    let begun = Instant::now();
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?;
    Ok(begun.elapsed())
}

fn save(target: &Target, input: &[u8], folder: &Path) -> std::io::Result<PathBuf> {
    let hash = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    });
    let path = folder.join(format!("{}-{hash:016x}", target.name));
    fs::write(&path, input)?;
    Ok(path)
}

//! The worker: what it reads, and how its end is told. This test runs itself as
//! the worker, so it has a `main` of its own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may say what they mean; the lints know only functions marked as tests"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aimate_text::extract::ExtractErrorKind::{Crashed, Damaged, Encrypted, Io, NoText, Timeout, TooLarge};
use aimate_text::extract::{ExtractError, Extracted, Extractor, Limits, ReadProgress, extract, worker_main};
use libtest_mimic::{Arguments, Trial};

use support::{GOOD, Temporary, file, pdf, word};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("extract-worker") {
        return worker_main();
    }
    // One at a time: a script that another thread still writes cannot be started.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let tests: [(&str, fn()); 12] = [
        ("worker_reads_what_this_process_reads", worker_reads_what_this_process_reads),
        ("errors_come_back_as_they_are", errors_come_back_as_they_are),
        ("sec_t33_memory_is_limited", sec_t33_memory_is_limited),
        ("sec_t33_processor_time_is_limited", sec_t33_processor_time_is_limited),
        ("sec_t33_time_is_limited", sec_t33_time_is_limited),
        ("sec_t33_deep_pdf_ends_no_more_than_its_worker", sec_t33_deep_pdf_ends_no_more_than_its_worker),
        ("ends_of_a_worker_are_told_apart", ends_of_a_worker_are_told_apart),
        ("sec_t33_worker_that_says_too_much_is_stopped", sec_t33_worker_that_says_too_much_is_stopped),
        ("dropped_future_kills_the_worker", dropped_future_kills_the_worker),
        ("worker_says_how_far_it_has_come", worker_says_how_far_it_has_come),
        ("plain_text_needs_no_worker", plain_text_needs_no_worker),
        ("extractor_without_worker_reads_all", extractor_without_worker_reads_all),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn here() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn read(worker: PathBuf, path: &Path, name: &str, limits: Limits) -> Result<Extracted, ExtractError> {
    run(Extractor::with_worker(worker, limits).extract(path, name, None))
}

/// A worker that does what a script says.
fn script(text: &str) -> Temporary {
    let file = Temporary::new(format!("#!/bin/sh\n{text}\n").as_bytes());
    std::fs::set_permissions(&file.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    file
}

fn failure(text: &str, limits: Limits) -> ExtractError {
    read(script(text).0.clone(), &file("tides.pdf"), "tides.pdf", limits).unwrap_err()
}

fn worker_reads_what_this_process_reads() {
    for name in GOOD {
        let here_read = extract(&file(name), name, None, &Limits::default()).unwrap();
        assert_eq!(read(here(), &file(name), name, Limits::default()).unwrap(), here_read, "{name}");
    }
}

fn errors_come_back_as_they_are() {
    let locked = read(here(), &file("locked.pdf"), "locked.pdf", Limits::default()).unwrap_err();
    assert_eq!(locked.kind, Encrypted);
    assert!(locked.message.contains("password"));
}

fn sec_t33_memory_is_limited() {
    // The reader of this format holds all elements at once.
    let bomb = Temporary::new("<p>x".repeat(3_000_000).as_bytes());
    let limits = Limits::default().memory(128 << 20);
    let failure = read(here(), &bomb.0, "a.html", limits).unwrap_err();
    assert_eq!(failure.kind, TooLarge, "{failure}");
    assert!(failure.message.contains("of memory"), "{failure}");
}

fn sec_t33_processor_time_is_limited() {
    let long = Temporary::new(&word(&"<w:p><w:r><w:t></w:t></w:r></w:p>".repeat(3_000_000)));
    let limits = Limits::default().cpu(Duration::from_secs(1)).ratio(1_000_000);
    let failure = read(here(), &long.0, "a.docx", limits).unwrap_err();
    assert_eq!(failure.kind, Timeout, "{failure}");
    assert!(failure.message.contains("processor time"), "{failure}");
}

fn sec_t33_time_is_limited() {
    let start = Instant::now();
    let limits = Limits::default().wall(Duration::from_millis(200));
    assert_eq!(failure("sleep 60", limits).kind, Timeout);
    assert!(start.elapsed() < Duration::from_secs(10));
}

fn sec_t33_deep_pdf_ends_no_more_than_its_worker() {
    let deep = pdf(&[&format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000))]);
    let catalog = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages ".to_vec();
    let nested = [
        catalog,
        b"[".repeat(2_000_000),
        b"]".repeat(2_000_000),
        b">>\nendobj\ntrailer\n<< /Root 1 0 R >>\n".to_vec(),
    ]
    .concat();
    for bytes in [deep, nested] {
        let failure = read(here(), &Temporary::new(&bytes).0, "a.pdf", Limits::default()).unwrap_err();
        assert!([NoText, Damaged, Crashed, TooLarge].contains(&failure.kind), "{failure}");
    }
}

fn ends_of_a_worker_are_told_apart() {
    for (text, kind) in [
        ("kill -XCPU $$", Timeout),
        ("kill -KILL $$", TooLarge),
        ("kill -ABRT $$", Crashed),
        ("kill -SEGV $$", Crashed),
        ("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$", TooLarge),
        ("exit 77", TooLarge),
        ("exit 1", Crashed),
        ("exit 0", Crashed),
        ("echo nonsense", Crashed),
        ("echo '{\"extracted\":{\"text\":5}}'; echo x", Crashed),
    ] {
        let failure = failure(text, Limits::default());
        assert_eq!(failure.kind, kind, "{text}: {failure}");
    }
    let nobody = read("/nonexistent/worker".into(), &file("tides.pdf"), "tides.pdf", Limits::default());
    assert_eq!(nobody.unwrap_err().kind, Io);
}

fn sec_t33_worker_that_says_too_much_is_stopped() {
    assert_eq!(failure("exec yes", Limits::default().output(1_000)).kind, Crashed);
    // Complaints are cut, not an error.
    let text = "yes 2>/dev/null | head -c 1000000 >&2; exit 77";
    assert_eq!(failure(text, Limits::default()).kind, TooLarge);
}

fn worker_says_how_far_it_has_come() {
    // It waits until somebody has seen how far it is.
    let place = Temporary::new(b"");
    let path = place.0.display().to_string();
    let wait = format!("while [ ! -s {path} ]; do sleep 0.01; done");
    let worker = script(&format!(
        "echo '{{\"progress\":0.25}}'; {wait}; echo '{{\"progress\":0.1}}'; \
         echo '{{\"failed\":{{\"kind\":\"damaged\",\"message\":\"x\"}}}}'"
    ));
    let progress = ReadProgress::default();
    run(async {
        let extractor = Extractor::with_worker(worker.0.clone(), Limits::default());
        let tides = file("tides.pdf");
        let reading = extractor.extract_watched(&tides, "tides.pdf", None, &progress);
        let seen = async {
            until(|| progress.fraction() == 0.25).await;
            std::fs::write(&place.0, "seen").unwrap();
        };
        let (outcome, ()) = tokio::join!(reading, seen);
        assert_eq!(outcome.unwrap_err().kind, Damaged);
    });
    assert_eq!(progress.fraction(), 0.25);
    // One that reads for longer than it waits before it says so.
    let progress = ReadProgress::default();
    let extractor = Extractor::with_worker(here(), Limits::default().ratio(1_000_000));
    let long = Temporary::new(&word(&"<w:p><w:r><w:t>x</w:t></w:r></w:p>".repeat(300_000)));
    run(extractor.extract_watched(&long.0, "a.docx", None, &progress)).unwrap();
    assert!(progress.fraction() > 0.0, "it took less than a quarter of a second");
}

fn dropped_future_kills_the_worker() {
    let place = Temporary::new(b"");
    let worker = script(&format!("echo $$ > {}; exec sleep 60", place.0.display()));
    let number = || std::fs::read_to_string(&place.0).unwrap().trim().to_owned();
    run(async {
        let extractor = Extractor::with_worker(worker.0.clone(), Limits::default());
        let path = file("tides.pdf");
        let reading = extractor.extract(&path, "tides.pdf", None);
        tokio::select! {
            _ = reading => panic!("it sleeps"),
            () = until(|| !number().is_empty()) => {}
        }
        until(|| !Path::new("/proc").join(number()).exists()).await;
    });
}

async fn until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn plain_text_needs_no_worker() {
    let note = Temporary::new(b"hello");
    let document = read("/nonexistent/worker".into(), &note.0, "note.txt", Limits::default()).unwrap();
    assert_eq!(document.text, "hello");
}

fn extractor_without_worker_reads_all() {
    let extractor = Extractor::in_process(Limits::default());
    for name in GOOD {
        assert!(run(extractor.clone().extract(&file(name), name, None)).is_ok(), "{name}");
    }
}

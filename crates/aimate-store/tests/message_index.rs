//! The index of conversations in the database: what is there from before it, what it
//! costs, and what is left when conversations go.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use aimate_core::conformance::world::{World, at, conversation, message};
use aimate_core::conversation::{Conversation, ConversationSearch};
use aimate_core::message::Message;
use aimate_core::{PageRequest, RandomIds, Scope, Stores};
use aimate_store::Store;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

/// A database that a test opens more than once.
enum Place<'p> {
    Sqlite(&'p support::Folder),
    Postgres(&'p support::Schema),
}

impl Place<'_> {
    async fn open(&self) -> Store {
        match self {
            Self::Sqlite(folder) => aimate_store::connect(&folder.url()).await.unwrap(),
            Self::Postgres(schema) => support::connected(schema).await,
        }
    }

    /// Runs a text, and returns the first number that it gives.
    #[expect(clippy::disallowed_methods, reason = "the texts are the tests' own")]
    async fn run(&self, text: &str) -> Option<i64> {
        let query = sqlx::query(AssertSqlSafe(text.to_owned()));
        match self {
            Self::Sqlite(folder) => {
                let mut session = SqliteConnection::connect(&folder.url()).await.unwrap();
                query.fetch_optional(&mut session).await.unwrap().map(|row| row.get(0))
            }
            Self::Postgres(schema) => {
                let query = sqlx::query(AssertSqlSafe(text.to_owned()));
                query.fetch_optional(&mut schema.session().await).await.unwrap().map(|row| row.get(0))
            }
        }
    }

    /// What the migration that brings the index does with what is there.
    async fn forget_index(&self) {
        let name = if matches!(self, Self::Sqlite(_)) { "sqlite" } else { "postgres" };
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let text = std::fs::read_to_string(migrations.join(name).join("0025_message_index.sql")).unwrap();
        let (_, insert) = text.split_once("INSERT INTO").unwrap();
        self.run("DELETE FROM message_segments").await;
        self.run("DELETE FROM message_index_jobs").await;
        self.run(&format!("INSERT INTO{}", insert.trim_end().trim_end_matches(';'))).await;
    }
}

async fn on_both(test: impl AsyncFn(Place<'_>)) {
    let folder = support::Folder::new();
    test(Place::Sqlite(&folder)).await;
    support::on_each_server(async |schema| test(Place::Postgres(schema)).await).await;
}

async fn found(stores: &Stores, scope: &Scope, query: &str) -> usize {
    let search = ConversationSearch::new(query);
    let page = PageRequest::first(PageRequest::MAX_LIMIT);
    stores.conversations.search(scope, &search, page).await.unwrap().data.len()
}

async fn settle(stores: &Stores) {
    while stores.workers.index_messages().await.unwrap() > 0 {}
}

/// A conversation with these messages.
async fn talk(w: &World<'_>, title: &str, texts: &[String]) -> Conversation {
    let talk = w.conversation(title).await;
    let mut said: Vec<Message> = Vec::new();
    for text in texts {
        said.push(message(talk.id, said.last(), text));
    }
    w.stores.conversations.append(&w.me, talk.id, &said, at(1)).await.unwrap();
    talk
}

#[tokio::test]
async fn what_is_there_before_the_index_is_found_after_any_interruption() {
    on_both(async |place| {
        let store = place.open().await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        for n in 0..90 {
            talk(&w, &format!("talk {n}"), &[format!("apple {n}"), "pear".into()]).await;
        }
        let long: Vec<String> = (0..200).map(|n| format!("plum {n} {}", "filler ".repeat(1_500))).collect();
        let long = talk(&w, "long", &long).await;
        place.forget_index().await;
        assert_eq!(found(&stores, &w.me, "apple").await, 0);
        let me = w.me;
        store.close().await;
        let mut steps = 0;
        // A process that ends after each piece of work.
        loop {
            let store = place.open().await;
            let is_done = store.stores().workers.index_messages().await.unwrap() == 0;
            // What is written meanwhile is found, and stays found.
            let stores = store.stores();
            if steps == 1 {
                let late = message(long.id, None, "quince");
                stores.conversations.append(&me, long.id, &[late], at(2)).await.unwrap();
            }
            assert_eq!(found(&stores, &me, "quince").await, usize::from(steps > 0));
            store.close().await;
            if is_done {
                break;
            }
            steps += 1;
        }
        assert!(steps > 2, "{steps}");
        let store = place.open().await;
        let stores = store.stores();
        for (query, count) in [("apple", 90), ("pear", 90), ("plum", 1), ("plum 199", 1), ("quince", 1)] {
            assert_eq!(found(&stores, &me, query).await, count, "{query}");
        }
        assert_eq!(place.run("SELECT count(*) FROM message_index_jobs").await, Some(0));
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn deleted_conversation_leaves_no_word_in_the_index() {
    on_both(async |place| {
        let store = place.open().await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        let mut talks = Vec::new();
        for n in 0..100 {
            talks.push(talk(&w, &format!("talk {n}"), &["zucchini".into()]).await);
        }
        // All in merged segments, as after a while.
        place.forget_index().await;
        settle(&stores).await;
        let with_word = if matches!(place, Place::Sqlite(_)) {
            "SELECT count(*) FROM message_segment_blocks WHERE instr(block, CAST('ucchini' AS BLOB)) > 0"
        } else {
            "SELECT count(*) FROM message_segment_blocks WHERE position('ucchini'::bytea IN block) > 0"
        };
        assert!(place.run(with_word).await > Some(0));
        for talk in talks {
            stores.conversations.delete(&w.me, talk.id).await.unwrap();
        }
        assert_eq!(found(&stores, &w.me, "zucchini").await, 0);
        settle(&stores).await;
        for table in ["message_segments", "message_segment_blocks", "message_index_jobs"] {
            assert_eq!(place.run(&format!("SELECT count(*) FROM {table}")).await, Some(0), "{table}");
        }
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn work_of_several_processes_at_once_loses_nothing() {
    on_both(async |place| {
        let store = place.open().await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        let mut talks = Vec::new();
        for n in 0..60 {
            talks.push(talk(&w, &format!("talk {n}"), &[format!("apple word{n}")]).await);
        }
        place.forget_index().await;
        let others = [place.open().await, place.open().await];
        let work = async |stores: Stores| {
            for _ in 0..200 {
                // Others may be faster, which is no error.
                let _ = stores.workers.index_messages().await;
            }
        };
        let writing = async {
            for (n, talk) in talks.iter().enumerate() {
                let next = message(talk.id, None, &format!("pear{n}"));
                stores.conversations.append(&w.me, talk.id, &[next], at(2)).await.unwrap();
                if n % 6 == 0 {
                    stores.conversations.delete(&w.me, talk.id).await.unwrap();
                }
            }
        };
        tokio::join!(work(stores.clone()), work(others[0].stores()), work(others[1].stores()), writing);
        settle(&stores).await;
        assert_eq!(found(&stores, &w.me, "apple").await, 50);
        for n in 0..60 {
            let there = usize::from(n % 6 != 0);
            assert_eq!(found(&stores, &w.me, &format!("word{n} ")).await, there, "word{n}");
            assert_eq!(found(&stores, &w.me, &format!("pear{n} ")).await, there, "pear{n}");
        }
        assert_eq!(place.run("SELECT count(*) FROM message_index_jobs").await, Some(0));
        for store in others.into_iter().chain([store.clone()]) {
            store.close().await;
        }
    })
    .await;
}

/// Rows that statements have read of each table, once all are counted.
async fn read_rows(schema: &support::Schema) -> BTreeMap<String, i64> {
    let mut session: PgConnection = schema.session().await;
    let (mut last, mut same) = (BTreeMap::new(), 0);
    while same < 5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let counts = "SELECT relname::text, seq_tup_read + COALESCE(idx_tup_fetch, 0) \
            FROM pg_stat_user_tables WHERE schemaname = current_schema()";
        let rows = sqlx::query(counts).fetch_all(&mut session).await.unwrap();
        let now: BTreeMap<_, _> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// A search in twenty times the history, and beside a thousand conversations of others,
/// reads the rows that it shows, and some blocks of the index.
#[tokio::test]
async fn search_costs_what_it_shows_whatever_the_history() {
    support::on_each_server(async |schema| {
        let mut costs = Vec::new();
        let store = support::connected(schema).await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        let ours = |n: usize| (0..10).map(|k| format!("apple pump{} of {n}", k % 3)).collect::<Vec<_>>();
        for (begin, end) in [(0, 20), (20, 400)] {
            for n in begin..end {
                talk(&w, &format!("talk {n}"), &ours(n)).await;
            }
            if begin > 0 {
                let said = |talk: &Conversation| vec![message(talk.id, None, "apple pump1")];
                for n in 0..200 {
                    let theirs = conversation(&format!("theirs {n}"));
                    stores.conversations.create(&w.other, &theirs).await.unwrap();
                    stores.conversations.append(&w.other, theirs.id, &said(&theirs), at(1)).await.unwrap();
                }
            }
            settle(&stores).await;
            sqlx::query("ANALYZE").execute(&mut schema.session().await).await.unwrap();
            let before = read_rows(schema).await;
            let fresh = support::connected(schema).await;
            let start = read_rows(schema).await;
            let search = ConversationSearch::new("apple pump1");
            let page = PageRequest::first(5);
            let shown = fresh.stores().conversations.search(&w.me, &search, page).await.unwrap();
            assert_eq!((shown.data.len(), shown.next.is_some()), (5, true));
            fresh.close().await;
            let after = read_rows(schema).await;
            assert!(before.len() <= after.len());
            costs.push(
                after
                    .into_iter()
                    .map(|(table, n)| (table.clone(), n - start[&table]))
                    .collect::<BTreeMap<_, _>>(),
            );
        }
        store.close().await;
        let of = |n: usize, table: &str| costs[n][table];
        println!("20 conversations: {:?}\n400: {:?}", costs[0], costs[1]);
        assert!(of(0, "messages") > 0);
        for table in ["messages", "conversations"] {
            assert!(of(1, table) <= of(0, table) + 2, "{table}: {} {}", of(0, table), of(1, table));
        }
        for table in ["message_segments", "message_segment_blocks"] {
            assert!(of(1, table) <= of(0, table) + 60, "{table}: {} {}", of(0, table), of(1, table));
        }
        let sum = |n: usize| costs[n].values().sum::<i64>();
        assert!(sum(1) <= sum(0) + 120, "{} {}", sum(0), sum(1));
    })
    .await;
}

/// How long searches take in 20,000 messages, and what the index is in size: run by hand.
#[tokio::test]
#[ignore = "a measurement"]
async fn measured() {
    on_both(async |place| {
        let store = place.open().await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        let words: Vec<String> = (0..20_000).map(|n| format!("w{n:x}")).collect();
        let mut next = 7_u64;
        let mut random = || {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (next >> 33) as f64 / f64::from(u32::MAX >> 1)
        };
        for n in 0..1_000 {
            let text = |random: &mut dyn FnMut() -> f64| {
                let word = |random: &mut dyn FnMut() -> f64| words[(random().powi(4) * 19_999.0) as usize].as_str();
                (0..100).map(|_| word(random)).collect::<Vec<_>>().join(" ")
            };
            let texts: Vec<String> = (0..20).map(|_| text(&mut random)).collect();
            talk(&w, &format!("talk {n}"), &texts).await;
        }
        let start = Instant::now();
        settle(&stores).await;
        println!("settled in {:?}", start.elapsed());
        let copy = conversation("copy");
        let all = stores.conversations.list(&w.me, &Default::default(), PageRequest::first(1)).await.unwrap();
        let leaf = all.data[0].active_leaf_id.unwrap();
        stores.conversations.fork(&w.me, all.data[0].id, leaf, &copy, &RandomIds).await.unwrap();
        for table in ["message_segments", "message_segment_blocks"] {
            println!("{table}: {:?} rows", place.run(&format!("SELECT count(*) FROM {table}")).await);
        }
        let bytes = "SELECT CAST((SELECT COALESCE(sum(length(header)), 0) + COALESCE(sum(length(block)), 0) \
            FROM message_segments) + (SELECT COALESCE(sum(length(block)), 0) FROM message_segment_blocks) AS bigint)";
        let said = "SELECT CAST(sum(length(CAST(content AS text))) AS bigint) FROM messages";
        println!("{:?} bytes of index, {:?} of messages", place.run(bytes).await, place.run(said).await);
        for query in ["w0", "w1 w2 ", "w1 w2 w3 w4 ", "w4e1f ", "w4", "nothing "] {
            let mut times = Vec::new();
            for _ in 0..20 {
                let start = Instant::now();
                let search = ConversationSearch::new(query);
                stores.conversations.search(&w.me, &search, PageRequest::first(20)).await.unwrap();
                times.push(start.elapsed());
            }
            times.sort();
            println!("{query:12} p50 {:?} max {:?}", times[10], times[19]);
        }
        store.close().await;
    })
    .await;
}

/// What the index adds to storing a message of a hundred words: beside one of as many bytes
/// that has no word. Run by hand, in a release build.
#[tokio::test]
#[ignore = "a measurement"]
async fn writing_measured() {
    on_both(async |place| {
        let store = place.open().await;
        let stores = store.stores();
        let w = World::new(&stores).await;
        let talk = w.conversation("talk").await;
        let words: String = (0..100).map(|n| format!("word{n} ")).collect();
        let signs: String = words.chars().map(|c| if c == ' ' { ' ' } else { '-' }).collect();
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..1_500 {
            let next = message(talk.id, None, if round % 3 == 0 { &words } else { &signs });
            let start = Instant::now();
            stores.conversations.append(&w.me, talk.id, &[next], at(1)).await.unwrap();
            times[round % 3].push(start.elapsed());
        }
        for (name, mut times) in ["with words", "without", "without, again"].into_iter().zip(times) {
            times.sort();
            println!("{name:15} p10 {:?} p50 {:?} p90 {:?}", times[50], times[250], times[450]);
        }
        let mut analyses = Vec::new();
        for _ in 0..300 {
            let start = Instant::now();
            std::hint::black_box(aimate_index::analysis::analyze_as_written(&words));
            analyses.push(start.elapsed());
        }
        analyses.sort();
        println!("analysis p50 {:?}", analyses[150]);
        store.close().await;
    })
    .await;
}

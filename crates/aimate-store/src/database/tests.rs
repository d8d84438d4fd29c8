use aimate_core::Timestamp;
use uuid::Uuid;

use super::*;

const ADD: Sql = Sql::Same("INSERT INTO workers (id, beat_at) VALUES ($1, $2)");
const BEAT: Sql = Sql::Same("UPDATE workers SET beat_at = $2 WHERE id = $1 RETURNING id");
const ALL: Sql = Sql::Same("SELECT id, beat_at FROM workers WHERE beat_at >= $1 ORDER BY beat_at");
const LOCK: Sql = Sql::Postgres("LOCK TABLE workers");
/// Refers to a user who is not there.
const ORPHAN: Sql = Sql::Same(
    "INSERT INTO files (tenant_id, user_id, id, name, media_type, purpose, size, content_hash, blob_id, created_at) \
     VALUES ($1, $1, $1, '', '', '', 0, '', $1, 0)",
);

async fn opened() -> crate::Store {
    crate::connect("sqlite::memory:").await.unwrap()
}

fn add(n: u32) -> Statement {
    ADD.bind(Uuid::from_u128(n.into())).bind(Timestamp(n.into()))
}

async fn stored(database: &Database) -> Vec<i64> {
    let rows = database.read(ALL.bind(0_i64)).await.unwrap();
    each(&rows, |row| row.get("beat_at")).unwrap()
}

#[tokio::test]
async fn each_statement_has_its_own_outcome() {
    let store = opened().await;
    let database = &store.0.database;
    let beat = BEAT.bind(Uuid::from_u128(1)).bind(9_i64);
    let [added, locked, beaten, none] = database
        .transaction([add(1), LOCK.unbound().expect_touched(1), beat, BEAT.bind(Uuid::nil()).bind(9_i64)])
        .await
        .unwrap();
    assert_eq!([added.touched, locked.touched, beaten.touched, none.touched], [1, 0, 1, 0]);
    assert_eq!(beaten.rows[0].get::<Uuid>("id").unwrap(), Uuid::from_u128(1));
    assert!(none.rows.is_empty());
    let [first, second] = database.read_each([ALL.bind(0_i64), ALL.bind(10_i64)]).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 0));
}

#[tokio::test]
async fn another_number_of_rows_undoes_the_transaction() {
    let store = opened().await;
    let database = &store.0.database;
    let absent = || BEAT.bind(Uuid::nil()).bind(9_i64);
    let undone = database.transaction([add(1), absent().expect_touched(1), add(2)]).await;
    assert!(matches!(undone, Err(DbError::RowCount { expected: 1, got: 0 })));
    let undone = database.transaction([add(1), absent().expect_returned()]).await;
    assert!(matches!(undone, Err(DbError::RowCount { expected: 1, got: 0 })));
    assert!(stored(database).await.is_empty());
}

#[tokio::test]
async fn violated_keys_are_told_apart() {
    let store = opened().await;
    let database = &store.0.database;
    let twice = database.transaction([add(1), add(1)]).await;
    assert!(matches!(twice, Err(DbError::Unique(_))));
    let orphan = database.transaction([add(1), ORPHAN.bind(Uuid::nil())]).await;
    assert!(matches!(orphan, Err(DbError::ForeignKey(_))));
    assert!(stored(database).await.is_empty());
}

#[tokio::test]
async fn long_transactions_are_undone_too() {
    let store = opened().await;
    let database = &store.0.database;
    let numbers: Vec<u32> = (1..=20).collect();
    let mut statements: Vec<Statement> = numbers.iter().copied().map(add).collect();
    statements.push(add(1));
    assert!(matches!(database.transaction_of(statements.clone()).await, Err(DbError::Unique(_))));
    assert!(stored(database).await.is_empty());
    statements.pop();
    assert_eq!(database.transaction_of(statements).await.unwrap().len(), 20);
    assert_eq!(stored(database).await.len(), 20);
}

/// What the writer commits together fails apart.
#[tokio::test]
async fn a_refused_unit_leaves_others_alone() {
    let store = opened().await;
    let database = &store.0.database;
    let units = (1..=30).map(async |n| {
        let second = if n % 3 == 0 { ORPHAN.bind(Uuid::nil()) } else { add(100 + n) };
        database.transaction([add(n), second]).await.is_ok()
    });
    let done = futures_util::future::join_all(units).await;
    assert_eq!(done.iter().filter(|done| **done).count(), 20);
    assert_eq!(stored(database).await.len(), 40);
}

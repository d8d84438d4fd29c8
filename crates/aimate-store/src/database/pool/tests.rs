use futures_util::FutureExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::*;

fn pool(size: u32) -> Pool<SqliteConnection> {
    with_timeout(size, Duration::from_secs(10))
}

fn with_timeout(size: u32, timeout: Duration) -> Pool<SqliteConnection> {
    Pool::new(SqliteConnectOptions::new().in_memory(true), size, timeout)
}

/// A database in memory is a connection's own, so a mark in it tells connections
/// apart.
async fn marked(pool: &Pool<SqliteConnection>, mark: i64) -> PooledConnection<SqliteConnection> {
    let mut connection = pool.permit().await.unwrap().connection().await.unwrap();
    sqlx::query("CREATE TABLE marks AS SELECT $1 AS mark")
        .bind(mark)
        .execute(&mut *connection)
        .await
        .unwrap();
    connection
}

/// The mark of the connection that the pool gives out next; `None` if it is new.
async fn next(pool: &Pool<SqliteConnection>) -> Option<i64> {
    let mut connection = pool.permit().await.unwrap().connection().await.unwrap();
    let mark = sqlx::query_scalar("SELECT mark FROM marks").fetch_one(&mut *connection).await.ok();
    connection.release(false);
    mark
}

/// Makes the idle connections so much older.
fn age(pool: &Pool<SqliteConnection>, time: Duration) {
    for idle in pool.idle().iter_mut() {
        idle.opened -= time;
        idle.since -= time;
    }
}

#[tokio::test]
async fn no_more_connections_than_the_size_are_in_use() {
    let pool = pool(2);
    let first = marked(&pool, 1).await;
    let second = marked(&pool, 2).await;
    assert_eq!(pool.in_use(), 2);
    let mut third = std::pin::pin!(pool.permit());
    assert!(third.as_mut().now_or_never().is_none());
    first.release(false);
    drop(third.await.unwrap());
    second.release(false);
    assert_eq!(pool.in_use(), 0);
}

#[tokio::test]
async fn a_waiter_gives_up_after_the_timeout() {
    let pool = with_timeout(1, Duration::from_millis(500));
    let held = marked(&pool, 1).await;
    let error = pool.permit().await.err().unwrap();
    assert_eq!(error.kind(), aimate_core::ErrorKind::Unavailable);
    assert!(error.message().contains("all 1"), "{error}");
    drop(held);
}

#[tokio::test]
async fn a_cancelled_waiter_takes_no_permit_with_it() {
    let pool = pool(1);
    let held = marked(&pool, 1).await;
    {
        let waiter = pool.permit();
        assert!(waiter.now_or_never().is_none());
    }
    held.release(false);
    assert_eq!(next(&pool).await, Some(1));
    assert_eq!(pool.in_use(), 0);
}

#[tokio::test]
async fn a_dropped_connection_is_closed_and_frees_its_permit() {
    let pool = pool(1);
    drop(marked(&pool, 1).await);
    assert_eq!(pool.in_use(), 0);
    assert_eq!(next(&pool).await, None);
}

#[tokio::test]
async fn the_connection_used_last_is_used_next() {
    let pool = pool(2);
    let (first, second) = (marked(&pool, 1).await, marked(&pool, 2).await);
    second.release(false);
    first.release(false);
    assert_eq!(next(&pool).await, Some(1));
}

#[tokio::test]
async fn a_lost_connection_clears_the_idle_ones() {
    let pool = pool(2);
    let (first, second) = (marked(&pool, 1).await, marked(&pool, 2).await);
    first.release(false);
    second.release(true);
    assert_eq!(next(&pool).await, None);
}

#[tokio::test]
async fn an_idle_connection_that_answers_a_ping_is_used() {
    let pool = pool(1);
    marked(&pool, 1).await.release(false);
    age(&pool, PING_AFTER * 2);
    assert_eq!(next(&pool).await, Some(1));
}

#[tokio::test]
async fn an_old_connection_is_not_used_again() {
    let pool = pool(1);
    marked(&pool, 1).await.release(false);
    age(&pool, MAX_AGE + Duration::from_secs(1));
    assert_eq!(next(&pool).await, None);
}

#[tokio::test]
async fn connections_that_were_idle_too_long_are_closed() {
    let pool = pool(2);
    let (first, second) = (marked(&pool, 1).await, marked(&pool, 2).await);
    first.release(false);
    age(&pool, MAX_IDLE + Duration::from_secs(1));
    second.release(false);
    assert_eq!(pool.idle().len(), 1);
    assert_eq!(next(&pool).await, Some(2));
}

#[tokio::test]
async fn a_closed_pool_gives_out_and_takes_back_nothing() {
    let pool = pool(2);
    let held = marked(&pool, 1).await;
    marked(&pool, 2).await.release(false);
    pool.close().await;
    held.release(false);
    assert_eq!(pool.idle().len(), 0);
    let error = pool.permit().await.err().unwrap();
    assert!(error.message().contains("closed"), "{error}");
}

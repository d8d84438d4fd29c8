//! The one thing that holds of money after every test: each answer costs what the usage
//! records of its run say.

use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};

const WRONG: &str = "SELECT r.id, m.cost, (SELECT CAST(sum(u.cost) AS bigint) FROM usage_records u \
     WHERE u.tenant_id = r.tenant_id AND u.run_id = r.id) AS recorded \
     FROM runs r JOIN messages m ON m.tenant_id = r.tenant_id AND m.id = r.message_id \
     WHERE r.finished_at IS NOT NULL AND COALESCE(m.cost, 0) <> COALESCE((SELECT sum(u.cost) FROM usage_records u \
     WHERE u.tenant_id = r.tenant_id AND u.run_id = r.id), 0)";

macro_rules! balanced {
    ($session:expr) => {{
        let rows = sqlx::query(WRONG).fetch_all($session).await.unwrap();
        let wrong: Vec<_> = rows
            .iter()
            .map(|row| {
                let (cost, recorded): (Option<i64>, Option<i64>) = (row.get("cost"), row.get("recorded"));
                format!(
                    "{}: the answer says {cost:?}, the records {recorded:?}",
                    row.get::<uuid::Uuid, _>("id")
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }};
}

/// Of a schema; nothing where a test made no tables of these names, or removed them.
pub(crate) async fn is_balanced_on_postgres(session: &mut PgConnection) {
    let there =
        "SELECT to_regclass('runs') IS NOT NULL AND to_regclass('usage_records') IS NOT NULL AS there";
    if sqlx::query(there).fetch_one(&mut *session).await.unwrap().get("there") {
        balanced!(&mut *session);
    }
}

/// Of a file.
pub(crate) async fn is_balanced_on_sqlite(url: &str) {
    let mut session = SqliteConnection::connect(url).await.unwrap();
    balanced!(&mut session);
    session.close().await.unwrap();
}

//! Row-level security: PostgreSQL itself keeps tenants apart, whatever a statement says.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use aimate_core::ErrorKind;
use aimate_core::conformance::tool_grant;
use aimate_core::conformance::world::World;
use aimate_store::{Options, Store, connect_with};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

/// A schema whose tables have policies, and a store on it that runs as a role within them.
struct Secured {
    role: String,
    store: Store,
}

fn as_role(schema: &support::Schema, role: &str) -> String {
    let url = schema.url();
    let (_, tail) = url.split_once('@').unwrap();
    format!("postgres://{role}@{tail}")
}

fn options(schema: &support::Schema) -> Options {
    let blobs = Some(schema.blobs().to_owned());
    Options { blobs, migrate: false, row_level_security: true, ..Options::default() }
}

#[expect(clippy::disallowed_methods, reason = "the name is made of hexadecimal digits")]
async fn run(schema: &support::Schema, statement: String) {
    let mut session = schema.session().await;
    session.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
    session.close().await.unwrap();
}

impl Secured {
    async fn of(schema: &support::Schema) -> Self {
        let role = format!("r{}", schema.name());
        let owner = support::connected(schema).await;
        run(schema, format!("CREATE ROLE {role} LOGIN")).await;
        assert!(owner.secure_rows(&role).await.unwrap() > 30);
        // It may be done again.
        owner.secure_rows(&role).await.unwrap();
        owner.close().await;
        let store = connect_with(&as_role(schema, &role), options(schema)).await.unwrap();
        Self { role, store }
    }

    async fn session(&self, schema: &support::Schema) -> PgConnection {
        PgConnection::connect(&as_role(schema, &self.role)).await.unwrap()
    }

    async fn end(self, schema: &support::Schema) {
        self.store.close().await;
        run(schema, format!("DROP OWNED BY {0}; DROP ROLE {0}", self.role)).await;
    }
}

/// The whole conformance suite, on a store that sees no row but within policies.
mod within_policies_on_postgres {
    use super::*;

    async fn within_policies(case: impl AsyncFn(&aimate_core::Stores)) {
        support::on_first_server(async |schema| {
            let secured = Secured::of(schema).await;
            case(&secured.store.stores()).await;
            secured.end(schema).await;
        })
        .await;
    }

    aimate_core::conformance_tests!(within_policies);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the tables' names are the store's own")]
async fn sec_t17_statement_without_its_condition_sees_and_changes_nothing_foreign() {
    support::on_each_server(async |schema| {
        let secured = Secured::of(schema).await;
        let stores = secured.store.stores();
        let w = World::new(&stores).await;
        w.begun().await;
        w.connection("mine").await;
        let server = w.tool_server("mine").await;
        let grant = tool_grant::grant(&server, "https://login.example.org");
        stores.tool_servers.put_grant(&w.me, &grant).await.unwrap();
        w.workspace("w").await;
        let mut session = secured.session(schema).await;
        let tables: Vec<String> = session
            .fetch_all(
                "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attname = 'tenant_id'",
            )
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(tables.len() > 30, "{tables:?}");
        let count = async |session: &mut PgConnection, table: &str| -> i64 {
            let text = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            sqlx::query_scalar(text).fetch_one(session).await.unwrap()
        };
        let name = async |session: &mut PgConnection, tenant: &str| {
            let name = sqlx::query("SELECT set_config('aimate.tenant', $1, false)").bind(tenant.to_owned());
            name.execute(session).await.unwrap();
        };
        // Who has named no tenant sees no row of any table.
        for table in &tables {
            assert_eq!(count(&mut session, table).await, 0, "{table}");
        }
        // As the statements of the store would, if each forgot its condition: in the scope of the
        // stranger, whose tenant has one user and nothing else.
        let strangers = w.stranger.tenant.to_string();
        name(&mut session, &strangers).await;
        assert_eq!((count(&mut session, "users").await, count(&mut session, "tenants").await), (1, 1));
        for table in tables.iter().filter(|table| !["users", "tenants"].contains(&table.as_str())) {
            assert_eq!(count(&mut session, table).await, 0, "{table}");
        }
        for change in [
            "UPDATE conversations SET title = 'theirs'",
            "DELETE FROM messages",
            "UPDATE connections SET url = 'http://evil.example'",
            "UPDATE tool_servers SET url = 'http://evil.example'",
            "DELETE FROM tool_grants",
            "DELETE FROM workspaces",
        ] {
            let changed = sqlx::query(change).execute(&mut session).await.unwrap();
            assert_eq!(changed.rows_affected(), 0, "{change}");
        }
        // Nor is a row put into another tenant.
        let planted = format!(
            "INSERT INTO groups SELECT '{}', '{}', 'planted', '', 0, 0",
            w.me.tenant, w.me.user
        );
        let refused = sqlx::query(AssertSqlSafe(planted)).execute(&mut session).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"));
        // All of it is there for its own tenant.
        let own = w.me.tenant.to_string();
        name(&mut session, &own).await;
        for table in [
            "conversations",
            "messages",
            "runs",
            "connections",
            "tool_servers",
            "tool_grants",
            "workspaces",
            "workspace_access",
        ] {
            assert!(count(&mut session, table).await > 0, "{table}");
        }
        session.close().await.unwrap();
        secured.end(schema).await;
    })
    .await;
}

#[tokio::test]
async fn store_without_policies_or_above_them_is_not_opened() {
    support::on_first_server(async |schema| {
        let owner = support::connected(schema).await;
        let refused = connect_with(&schema.url(), options(schema)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.message().contains("superuser"), "{refused}");
        let role = format!("r{}", schema.name());
        for wrong in ["nobody_of_this_name", "No Role", "postgres\"; DROP TABLE users"] {
            assert_eq!(owner.secure_rows(wrong).await.unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
        run(schema, format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}", schema.name()))
            .await;
        run(schema, format!("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {role}", schema.name())).await;
        let refused = connect_with(&as_role(schema, &role), options(schema)).await.unwrap_err();
        assert!(refused.message().contains("--row-level-security-for"), "{refused}");
        owner.close().await;
        run(schema, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    })
    .await;
    let folder = support::Folder::new();
    let sqlite = aimate_store::connect(&folder.url()).await.unwrap();
    assert_eq!(sqlite.secure_rows("server").await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn store_that_waits_for_migrations_waits_for_policies_too() {
    support::on_first_server(async |schema| {
        let (role, name) = (format!("r{}", schema.name()), schema.name());
        run(schema, format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {name} TO {role}")).await;
        let store = connect_with(&as_role(schema, &role), options(schema)).await.unwrap();
        assert_ne!(store.pending().await.unwrap(), [""; 0]);
        let owner = support::connected(schema).await;
        run(schema, format!("GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {role}")).await;
        let refused = store.pending().await.unwrap_err();
        assert!(refused.message().contains("--row-level-security-for"), "{refused}");
        assert_eq!(store.stores().workers.ping().await.err().unwrap().kind(), ErrorKind::Unavailable);
        owner.secure_rows(&role).await.unwrap();
        owner.close().await;
        assert_eq!(store.pending().await.unwrap(), [""; 0]);
        store.stores().workers.ping().await.unwrap();
        store.close().await;
        run(schema, format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    })
    .await;
}

//! The migrations, embedded.

/// The table that says which were applied. Our own: the database may be an
/// application's, with migrations of its own.
pub(crate) const TABLE: &str = "aimate_migrations";

/// Version, description and text of a migration.
pub(crate) type Embedded = (i64, &'static str, &'static str);

// `SQLITE` and `POSTGRES`: the migrations of each.
include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Those of each database that this build can open.
pub(crate) const ALL: &[&[Embedded]] = &[
    #[cfg(feature = "sqlite")]
    SQLITE,
    #[cfg(feature = "postgres")]
    POSTGRES,
];

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
};

use super::StoreError;

/// The files of `migrations/` in order. Applied ones never change: the database holds their checksums.
///
/// A list and not `sqlx::migrate!`, because that macro compiles SQLite a second time, for the compiler's side.
const FILES: [(&str, &str); 1] = [("0001_initial", include_str!("../../../migrations/0001_initial.sql"))];

/// Applies what the database has not seen yet.
pub(super) async fn run(pool: &SqlitePool) -> Result<(), StoreError> {
    let migrations = (1..).zip(FILES).map(|(version, (name, sql))| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect()).run(pool).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_file_is_listed_in_order() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().strip_suffix(".sql").map(str::to_owned))
            .collect();
        files.sort();
        assert_eq!(files, FILES.map(|(name, _)| name));
        for (number, name) in (1..).zip(&files) {
            assert!(name.starts_with(&format!("{number:04}_")), "{name}");
        }
    }
}

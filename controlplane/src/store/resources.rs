use shared::protocol::Revision;

use super::{Store, StoreError};
use crate::model::{Key, Row};

type Columns = (String, String, String, i64);

impl Store {
    /// The resources of the newest revision.
    pub(crate) async fn current_rows(&self) -> Result<Vec<Row>, StoreError> {
        let rows: Vec<Columns> =
            sqlx::query_as("SELECT kind, name, body, created_in FROM resources WHERE removed_in IS NULL")
                .fetch_all(&self.read)
                .await?;
        rows.into_iter().map(row).collect()
    }

    /// The resources of `revision`.
    pub(crate) async fn rows_of(&self, revision: Revision) -> Result<Vec<Row>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT kind, name, body, created_in FROM resources
             WHERE created_in <= $1 AND (removed_in IS NULL OR removed_in > $1)",
        )
        .bind(revision.0 as i64)
        .fetch_all(&self.read)
        .await?;
        rows.into_iter().map(row).collect()
    }
}

fn row((kind, name, body, created_in): Columns) -> Result<Row, StoreError> {
    let kind = kind
        .parse()
        .map_err(|reason| StoreError::Content(format!("the database holds a resource of a newer version: {reason}")))?;
    Ok(Row { key: Key { kind, name }, body, created_in: created_in.cast_unsigned() })
}

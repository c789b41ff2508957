use shared::protocol::StoreId;
use uuid::Uuid;

use super::{Store, StoreError};

impl Store {
    /// The database's random id, made when it is asked for the first time.
    pub(crate) async fn id(&self) -> Result<StoreId, StoreError> {
        sqlx::query("INSERT INTO meta (key, value) VALUES ('store_id', $1) ON CONFLICT (key) DO NOTHING")
            .bind(Uuid::new_v4().to_string())
            .execute(&self.write)
            .await?;
        let id = self.stored_id().await?;
        id.ok_or_else(|| StoreError::Content("the database does not keep its store_id".to_owned()))
    }

    /// The database's id, if it has one.
    pub(crate) async fn stored_id(&self) -> Result<Option<StoreId>, StoreError> {
        let id: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'store_id'").fetch_optional(&self.read).await?;
        let bad = |_| StoreError::Content("the database's store_id is no UUID".to_owned());
        id.map(|id| id.parse().map(StoreId).map_err(bad)).transpose()
    }
}

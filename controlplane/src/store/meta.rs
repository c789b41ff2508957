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
        let id: String =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'store_id'").fetch_one(&self.write).await?;
        id.parse().map(StoreId).map_err(|_| StoreError::Content("the database's store_id is no UUID".to_owned()))
    }
}

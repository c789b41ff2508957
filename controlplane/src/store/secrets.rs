use base64::{Engine, engine::general_purpose::STANDARD};
use shared::seal::SealKey;

use super::{Store, StoreError};

impl Store {
    /// Stores a secret under `id`, encrypted.
    #[cfg_attr(not(test), expect(dead_code, reason = "no configuration type holds a secret yet"))]
    pub(crate) async fn put_secret(&self, key: &SealKey, id: &str, plain: &[u8]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO secrets (id, sealed, created_in)
             VALUES ($1, $2, (SELECT COALESCE(MAX(number), 0) + 1 FROM revisions))",
        )
        .bind(id)
        .bind(STANDARD.encode(key.seal(id, plain)))
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// The bytes of a secret; none if there is no such secret.
    pub(crate) async fn secret(&self, key: &SealKey, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed: Option<String> =
            sqlx::query_scalar("SELECT sealed FROM secrets WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        let Some(sealed) = sealed else { return Ok(None) };
        let unreadable = || StoreError::Content(format!("the secret {id} does not open with the secret key in use"));
        let sealed = STANDARD.decode(sealed).map_err(|_| unreadable())?;
        key.open(id, &sealed).map(Some).map_err(|_| unreadable())
    }

    /// Removes the secrets that no stored revision names; only at start, when no write is on its way.
    pub(crate) async fn sweep_secrets(&self) -> Result<u64, StoreError> {
        let removed = sqlx::query(
            r#"DELETE FROM secrets WHERE NOT EXISTS
               (SELECT 1 FROM resources WHERE resources.body LIKE '%{"secret":"' || secrets.id || '"}%')"#,
        )
        .execute(&self.write)
        .await?;
        Ok(removed.rows_affected())
    }
}

use super::{Store, StoreError};

/// A stored token: never the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) name: String,
    pub(crate) role: String,
    /// SHA-256 of the token in base64.
    pub(crate) hash: String,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
}

impl Store {
    /// All tokens in order of names.
    pub(crate) async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT name, role, hash, created_at FROM tokens ORDER BY name")
                .fetch_all(&self.read)
                .await?;
        Ok(rows.into_iter().map(|(name, role, hash, created_at)| TokenRow { name, role, hash, created_at }).collect())
    }

    /// Stores a token in place of one of the same name.
    pub(crate) async fn put_token(&self, token: &TokenRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tokens (name, role, hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (name)
             DO UPDATE SET role = excluded.role, hash = excluded.hash, created_at = excluded.created_at",
        )
        .bind(&token.name)
        .bind(&token.role)
        .bind(&token.hash)
        .bind(token.created_at)
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// Forgets a token.
    pub(crate) async fn delete_token(&self, name: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM tokens WHERE name = $1").bind(name).execute(&self.write).await?;
        Ok(())
    }
}

//! Who may call the REST API.

use std::sync::{Arc, PoisonError, RwLock};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::{
    seal::random,
    value::{Name, Timestamp},
};
use subtle::ConstantTimeEq;

use super::{Refusal, detached};
use crate::{
    model::Page,
    store::{Store, StoreError, TokenRow},
};

/// The name of the token that the first start writes.
pub(crate) const ADMIN: &str = "admin";

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Everything.
    Admin,
    /// Reading.
    Viewer,
}

/// A token as it is listed: never the token itself.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct Token {
    /// Unique; the actor of the revisions that are committed with it.
    pub(crate) name: Name,
    /// What it may do.
    pub(crate) role: Role,
    /// When it was issued.
    pub(crate) created_at: Timestamp,
}

/// A token to be issued.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// Unique.
    pub(crate) name: Name,
    /// What it may do.
    pub(crate) role: Role,
}

/// A token that was just issued: the only time that it is shown.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct IssuedToken {
    /// Its name.
    pub(crate) name: Name,
    /// What it may do.
    pub(crate) role: Role,
    /// When it was issued.
    pub(crate) created_at: Timestamp,
    /// What to send after `Authorization: Bearer`. It cannot be shown again.
    pub(crate) token: String,
}

/// A new random token: a prefix that secret scanners can look for, and 256 bits.
pub(crate) fn generate() -> String {
    format!("tg_{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

#[derive(Clone)]
struct Entry {
    token: Token,
    hash: [u8; 32],
}

/// All tokens, in memory as in the store.
pub(crate) struct Tokens {
    store: Store,
    entries: RwLock<Arc<Vec<Entry>>>,
    writer: tokio::sync::Mutex<()>,
}

impl Tokens {
    /// The tokens of the store.
    pub(crate) async fn load(store: Store) -> Result<Self, StoreError> {
        let entries = store.tokens().await?.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { store, entries: RwLock::new(Arc::new(entries)), writer: tokio::sync::Mutex::new(()) })
    }

    fn entries(&self) -> Arc<Vec<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nobody could call the API.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Whose token was presented.
    pub(crate) fn authenticate(&self, presented: &str) -> Option<Token> {
        let hash = digest(presented);
        // All of them are compared, each in constant time: the duration tells nothing about any.
        let mut found = None;
        for entry in self.entries().iter() {
            if bool::from(entry.hash.ct_eq(&hash)) {
                found = Some(entry.token.clone());
            }
        }
        found
    }

    /// Whether `token` was not revoked since it was presented.
    pub(crate) fn is_current(&self, token: &Token) -> bool {
        let is_it = |entry: &Entry| entry.token.name == token.name && entry.token.created_at == token.created_at;
        self.entries().iter().any(is_it)
    }

    /// At most `limit` tokens in order of names, all after the name `after`.
    pub(crate) fn list(&self, after: Option<&str>, limit: usize) -> Page<Token> {
        let entries = self.entries();
        let tokens = entries.iter().map(|entry| entry.token.clone());
        let items = tokens.filter(|token| after.is_none_or(|after| token.name.as_str() > after)).take(limit + 1);
        Page::of(items.collect(), limit, |token| token.name.to_string())
    }

    /// Issues a token under a name that is free.
    pub(crate) async fn issue(self: &Arc<Self>, new: NewToken) -> Result<IssuedToken, Refusal> {
        let tokens = self.clone();
        detached(async move {
            let _writer = tokens.writer.lock().await;
            if tokens.entries().iter().any(|entry| entry.token.name == new.name) {
                return Err(Refusal::AlreadyExists(format!("token `{}` exists", new.name)));
            }
            let secret = generate();
            let token = tokens.store(new, &secret).await?;
            Ok(IssuedToken { name: token.name, role: token.role, created_at: token.created_at, token: secret })
        })
        .await
    }

    /// Makes `secret` the token `admin`, whatever it was before.
    pub(crate) async fn set_admin(&self, secret: &str) -> Result<(), StoreError> {
        let _writer = self.writer.lock().await;
        let name = ADMIN.parse().expect("a name");
        self.store(NewToken { name, role: Role::Admin }, secret).await?;
        Ok(())
    }

    async fn store(&self, new: NewToken, secret: &str) -> Result<Token, StoreError> {
        // As precise as the store keeps it, so that the answer now and one after a restart are the same.
        let now = Timestamp::now();
        let created_at = Timestamp::from_millis(now.as_millis()).unwrap_or(now);
        let token = Token { name: new.name, role: new.role, created_at };
        let hash = digest(secret);
        let role = match token.role {
            Role::Admin => "admin",
            Role::Viewer => "viewer",
        };
        self.store
            .put_token(&TokenRow {
                name: token.name.to_string(),
                role: role.to_owned(),
                hash: STANDARD.encode(hash),
                created_at: token.created_at.as_millis(),
            })
            .await?;
        let mut entries = Vec::clone(&self.entries());
        entries.retain(|entry| entry.token.name != token.name);
        entries.push(Entry { token: token.clone(), hash });
        entries.sort_by(|a, b| a.token.name.cmp(&b.token.name));
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
        Ok(token)
    }

    /// Revokes a token; the last admin token stays, or nobody could issue another.
    pub(crate) async fn revoke(self: &Arc<Self>, name: String) -> Result<(), Refusal> {
        let tokens = self.clone();
        detached(async move {
            let _writer = tokens.writer.lock().await;
            let mut entries = Vec::clone(&tokens.entries());
            let Some(position) = entries.iter().position(|entry| entry.token.name.as_str() == name) else {
                return Err(Refusal::NotFound(format!("there is no token `{name}`")));
            };
            let revoked = entries.remove(position);
            let admins = entries.iter().filter(|entry| entry.token.role == Role::Admin).count();
            if revoked.token.role == Role::Admin && admins == 0 {
                return Err(Refusal::Conflict(format!(
                    "token `{name}` is the last one with the role admin: issue another one first"
                )));
            }
            tokens.store.delete_token(&name).await?;
            *tokens.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
            Ok(())
        })
        .await
    }
}

fn entry(row: TokenRow) -> Result<Entry, StoreError> {
    let bad = |what: &str| StoreError::Content(format!("the stored token {} has no readable {what}", row.name));
    let role = match row.role.as_str() {
        "admin" => Role::Admin,
        "viewer" => Role::Viewer,
        _ => return Err(bad("role")),
    };
    let hash = STANDARD.decode(&row.hash).ok().and_then(|hash| hash.try_into().ok()).ok_or_else(|| bad("hash"))?;
    let name = row.name.parse().map_err(|_| bad("name"))?;
    let created_at = Timestamp::from_millis(row.created_at).ok_or_else(|| bad("time"))?;
    Ok(Entry { token: Token { name, role, created_at }, hash })
}

/// Plain SHA-256 is enough for 256 random bits: there is nothing to guess that a slow hash would protect.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use shared::{
    protocol::{Material, Snapshot},
    seal::SealKey,
};

use crate::store::{Store, StoreError};

/// The material that goes with a snapshot: the secrets that its configuration names.
pub(crate) async fn of(store: &Store, key: &SealKey, snapshot: &Snapshot) -> Result<Material, StoreError> {
    let mut material = Material { store: snapshot.store, ..Material::default() };
    for id in named_secrets(snapshot.body.get()) {
        match store.secret(key, &id).await? {
            Some(plain) => drop(material.secrets.insert(id, STANDARD.encode(plain))),
            // Validation refuses it where it is written; here only a damaged database comes by.
            None => tracing::error!(secret = %id, "the configuration names a secret that the store does not hold"),
        }
    }
    Ok(material)
}

/// The ids in all objects of the form `{"secret": "id"}`.
fn named_secrets(body: &str) -> Vec<String> {
    let mut ids = Vec::new();
    // Most configurations name none; then a large one is not parsed once more on each write.
    if body.contains(r#""secret":"#)
        && let Ok(value) = serde_json::from_str(body)
    {
        collect(&value, &mut ids);
    }
    ids
}

fn collect(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(members) => match (members.len(), members.get("secret")) {
            (1, Some(Value::String(id))) => ids.push(id.clone()),
            _ => members.values().for_each(|member| collect(member, ids)),
        },
        Value::Array(items) => items.iter().for_each(|item| collect(item, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_of_the_exact_form_name_a_secret() {
        let body = r#"{"a":[{"secret":"1"},{"secret":"2","x":1},{"secret":3}],"b":{"c":{"secret":"4"}},"secret":"5"}"#;
        assert_eq!(named_secrets(body), ["1", "4"]);
        assert!(named_secrets("{}").is_empty());
    }

    #[tokio::test]
    async fn material_holds_the_named_secrets_only() {
        let (directory, store) = crate::store::tests::fresh().await;
        let key = SealKey::load_or_create(&directory.path().join("key")).unwrap();
        store.put_secret(&key, "s1", b"one").await.unwrap();
        store.put_secret(&key, "s2", b"two").await.unwrap();
        let id = store.id().await.unwrap();
        let mut snapshot = Snapshot::new(id, shared::protocol::Revision(1), &shared::config::Config::default());
        snapshot.body = serde_json::value::RawValue::from_string(r#"{"key":{"secret":"s1"}}"#.to_owned()).unwrap();
        let material = of(&store, &key, &snapshot).await.unwrap();
        assert_eq!(material.store, id);
        assert_eq!(material.secrets.into_iter().collect::<Vec<_>>(), [("s1".to_owned(), STANDARD.encode("one"))]);
    }
}

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use utoipa::PartialSchema;
use uuid::Uuid;

use shared::{
    config::SCHEMA,
    protocol::{self, Hello, InstanceId},
};

use super::super::{DataPlane, DataPlaneState, EventLog, registry::Registry};

fn hello(instance: u128) -> Hello {
    Hello {
        protocol: protocol::VERSION,
        schema: SCHEMA,
        version: "x".repeat(1000),
        instance: InstanceId(Uuid::from_u128(instance)),
        applied: None,
        persisted: None,
    }
}

#[test]
fn the_longest_gone_are_forgotten_first_and_the_connected_never() {
    let registry = Arc::new(Registry::new(3, Arc::new(EventLog::new())));
    let stays = registry.join(&hello(1), None);
    for instance in 2..=5 {
        drop(registry.join(&hello(instance), None));
    }
    let shown = registry.data_planes();
    let ids: Vec<_> = shown.iter().map(|shown| shown.id.0.as_u128()).collect();
    assert_eq!(ids, [1, 4, 5]);
    assert_eq!((shown[0].state, shown[1].state), (DataPlaneState::Connected, DataPlaneState::Disconnected));
    assert_eq!(shown[0].version.len(), 64);
    drop(stays);
    assert_eq!(registry.connected(), []);
}

#[test]
fn askers_that_gave_up_leave_nothing_behind() {
    let registry = Arc::new(Registry::new(3, Arc::new(EventLog::new())));
    let (member, mut inbox) = registry.join(&hello(1), None);
    for id in 0..100 {
        // The answer's receiver is dropped at once.
        assert_eq!(registry.ask(id, &Bytes::new()).len(), 1);
        inbox.checks.try_recv().unwrap();
    }
    assert_eq!(member.with(|entry| entry.link.as_ref().map(|link| link.asked.len())), Some(Some(1)));
}

#[test]
fn what_is_not_known_is_left_out() {
    let registry = Arc::new(Registry::new(3, Arc::new(EventLog::new())));
    let _member = registry.join(&hello(1), None);
    let shown = serde_json::to_value(registry.data_planes()).unwrap();
    let fields: BTreeSet<_> = shown[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "id version schema protocol state foreign listeners connected_since last_seen dropped_reports \
                    lost_events";
    assert_eq!(fields, expected.split(' ').collect());
    assert_eq!(shown[0]["state"], "connected");
}

#[test]
fn every_field_of_the_schema_is_described() {
    let schema = serde_json::to_value(DataPlane::schema()).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 20);
    for (name, property) in properties {
        // An optional field of a named type is a choice between that type, described, and null.
        let described = [&property["description"], &property["oneOf"][0]["description"]];
        assert!(described.into_iter().any(Value::is_string), "{name}: {property}");
    }
}

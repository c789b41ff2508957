//! A configuration document: JSON or YAML.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::{
    Origin,
    document::{read_config, to_yaml},
};

fuzz_target!(|text: &str| {
    let Ok(config) = read_config(text) else { return };
    for origin in [Origin::File, Origin::Store] {
        let _ = shared::validate(&config, origin);
    }
    let json = serde_json::to_string(&config).expect("a configuration can be written");
    assert_eq!(read_config(&json).as_ref(), Ok(&config), "as JSON: {json}");
    let yaml = to_yaml(&config).expect("a configuration can be written");
    assert_eq!(read_config(&yaml).as_ref(), Ok(&config), "as YAML: {yaml}");
});

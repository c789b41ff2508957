//! A request path, and an authority.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::{
    config::{EncodedSlashes, PathStyle},
    routing::{host, path},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(canonical) = path::canonicalize(bytes) {
        assert!(canonical.starts_with('/') && canonical.is_ascii(), "{canonical:?}");
        let segments = canonical.split('/');
        assert!(!canonical.contains("//") && !segments.clone().any(|s| s == "." || s == ".."), "{canonical:?}");
        let again = path::canonicalize(canonical.as_bytes());
        assert_eq!(again.as_deref(), Ok(&*canonical), "the canonical form is canonical");
    }
    for encoded_slashes in [EncodedSlashes::Keep, EncodedSlashes::Decode, EncodedSlashes::Refuse] {
        let style = PathStyle { merge_slashes: false, encoded_slashes };
        let Ok(canonical) = path::canonicalize_in(bytes, style) else { continue };
        assert!(!canonical.split('/').any(|s| s == "." || s == ".."), "{canonical:?}");
        let again = path::canonicalize_in(canonical.as_bytes(), style);
        assert_eq!(again.as_deref(), Ok(&*canonical), "the canonical form is canonical");
    }
    if let Ok(authority) = host::parse(bytes) {
        let again = host::parse(authority.host.as_bytes()).expect("a parsed host parses");
        assert_eq!((&again.host, again.port), (&authority.host, None), "a host is in its one form");
        assert!(!authority.host.ends_with('.') && !authority.host.bytes().any(|b| b.is_ascii_uppercase()));
    }
});

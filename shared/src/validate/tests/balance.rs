use super::*;

fn balance(balance: Value) -> Value {
    sound_but(
        json!({"upstreams": [{"name": "u", "backends": [{"name": "a", "address": "unix:/a"}], "balance": balance}]}),
    )
}

fn hash(hash: Value) -> Value {
    balance(json!({"policy": "consistent_hash", "hash": hash}))
}

#[test]
fn balancing_has_ranges() {
    let (slow_start, load) = ("/upstreams/0/balance/slow_start", "/upstreams/0/balance/hash/max_load_percent");
    expect(&[
        (balance(json!({"policy": "peak_ewma", "slow_start": "1h"})), &[]),
        (balance(json!({"slow_start": "0s"})), &[(Error, slow_start, "longer than 0")]),
        (balance(json!({"slow_start": "61m"})), &[(Error, slow_start, "at most 1h")]),
        (hash(json!({"max_load_percent": 101})), &[]),
        (hash(json!({"max_load_percent": 100})), &[(Error, load, "write 101 to 10000")]),
        (hash(json!({"max_load_percent": 10_001})), &[(Error, load, "out of range")]),
        (balance(json!({"hash": {"key": "path"}})), &[(Warning, "/upstreams/0/balance/hash", "consistent_hash")]),
    ]);
}

#[test]
fn hash_keys_have_names_that_can_be_sent() {
    expect(&[
        (hash(json!({"key": {"cookie": "id"}, "fallback": "random"})), &[]),
        (hash(json!({"key": {"cookie": "a b"}})), &[(Error, "/upstreams/0/balance/hash/key/cookie", "not the name")]),
        (hash(json!({"key": {"query": ""}})), &[(Error, "/upstreams/0/balance/hash/key/query", "has 1 to")]),
    ]);
}

#[test]
fn states_of_backends_that_leave_nothing_to_choose_are_reported() {
    let (all, until) = ("/upstreams/0/backends", "/upstreams/0/backends/0/drain_until");
    let one = |more: Value| {
        let mut backend = json!({"name": "a", "address": "127.0.0.1:1"});
        backend.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        backends(json!([backend]))
    };
    expect(&[
        (one(json!({"state": "draining"})), &[(Warning, all, "drain, are disabled")]),
        (one(json!({"state": "disabled"})), &[(Warning, all, "drain, are disabled")]),
        (one(json!({"backup": true})), &[(Warning, all, "are backups")]),
        (one(json!({"drain_until": "2027-01-01T00:00:00Z"})), &[(Warning, until, "state: draining")]),
    ]);
}

#[test]
fn cookies_of_sessions_are_such_that_browsers_take_them() {
    let sticky = |sticky: Value| {
        let mut config = backends(json!([{"name": "a", "address": "127.0.0.1:1"}]));
        config["upstreams"][0]["sticky"] = sticky;
        config
    };
    let at = "/upstreams/0/sticky";
    expect(&[
        (sticky(json!({})), &[]),
        (sticky(json!({"cookie": "__Host-s", "secure": "always", "max_age": "400d", "same_site": "none"})), &[]),
        (sticky(json!({"cookie": "a b"})), &[(Error, &format!("{at}/cookie"), "not the name")]),
        (sticky(json!({"path": "/a;Domain=x"})), &[(Error, &format!("{at}/path"), "';'")]),
        (sticky(json!({"max_age": "999ms"})), &[(Error, &format!("{at}/max_age"), "out of range")]),
        (sticky(json!({"max_age": "401d"})), &[(Error, &format!("{at}/max_age"), "out of range")]),
        (
            sticky(json!({"same_site": "none", "secure": "never"})),
            &[(Warning, &format!("{at}/same_site"), "not secure")],
        ),
        (sticky(json!({"cookie": "__Secure-s"})), &[(Warning, &format!("{at}/cookie"), "secure: always")]),
    ]);
}

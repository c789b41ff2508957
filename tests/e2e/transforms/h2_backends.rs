use harness::h2::H2Origin;
use serde_json::json;

use crate::{both::ask, h2_pairs::site};

#[test]
fn rules_act_with_http_2_backends_alike() {
    let origin = H2Origin::start(&[], |request, stream| {
        let got = ["x-env", "x-debug", "x_env", ":path"].map(|name| request.field(name)).join("|");
        let fields = [(":status", "201"), ("server", "origin"), ("x-a", "1"), ("set-cookie", "a=1"), ("x-got", &got)];
        stream.answer(&fields, b"body", &[("x-trailer", "1")])
    });
    let site = site(
        origin.address(),
        "h2c",
        json!({
            "rewrite": { "path": { "strip_prefix": "/api" }, "query": { "set": { "v": "2" } } },
            "request_headers": { "set": { "x-env": "{upstream}" }, "remove": ["x-debug"] },
            "response_headers": {
                "remove": ["server"],
                "set": { "x-status": "{status} {path}" },
                "default": { "x-a": "2", "x-b": "3" },
                "add": { "set-cookie": "b=2" },
            },
        }),
    );
    for told in ask(&site, "GET", "/api/x?a", &[("x-env", "mine"), ("x_env", "mine"), ("x-debug", "1")]) {
        assert_eq!((told.status, told.body.as_str()), (201, "body"), "{told:?}");
        assert_eq!(told.field("x-got"), Some("up|||/x?a&v=2"), "{told:?}");
        assert_eq!((told.field("server"), told.field("x-status")), (None, Some("201 /api/x")), "{told:?}");
        assert_eq!((told.all("x-a"), told.field("x-b")), (vec!["1"], Some("3")), "{told:?}");
        assert_eq!(told.all("set-cookie"), ["a=1", "b=2"], "{told:?}");
    }
}

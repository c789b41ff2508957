use serde_json::{Value, json};

use super::{ask, route, start, start_with};

#[test]
fn accept_chooses_the_form() {
    let down = json!({ "action": { "forward": { "upstream": "down" } } });
    let (_nginx, site) = start(json!([route("down", down)]));
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    for (target, status, reason, error) in
        [("/none", 404, "no_route", "destination_not_found"), ("/down", 502, "connect_failed", "connection_refused")]
    {
        let url = format!("http://shop.example{target}");
        // curl itself says `Accept: */*`.
        for (accept, kind) in [
            (&[][..], "text/plain; charset=utf-8"),
            (&["-H", "Accept:"], "text/plain; charset=utf-8"),
            (&["-H", browser], "text/html; charset=utf-8"),
            (&["-H", "Accept: application/json"], "application/json"),
            (&["-H", "Accept: application/problem+json"], "application/problem+json"),
            (&["-H", "Accept: text/html;q=0.5, application/problem+json"], "application/problem+json"),
        ] {
            for told in ask(&site, accept, &url) {
                assert_eq!((told.status, told.field("content-type")), (status, Some(kind)), "{accept:?}: {told:?}");
                let said = told.field("proxy-status").unwrap();
                assert!(said.starts_with(&format!("tidegate; error={error}")), "{told:?}");
                assert!(said.ends_with(&format!("details=\"{reason}\"")), "{told:?}");
                let id = told.field("x-request-id").unwrap();
                assert!(told.body.contains(id) && told.body.contains(reason), "{told:?}");
                match kind {
                    "application/json" | "application/problem+json" => {
                        let body: Value = serde_json::from_str(&told.body).unwrap();
                        assert_eq!((&body["status"], &body["reason"]), (&json!(status), &json!(reason)), "{body}");
                        assert_eq!(body["request_id"], id, "{body}");
                        assert_eq!(body["title"].is_string(), kind.contains("problem"), "{body}");
                    }
                    "text/html; charset=utf-8" => assert!(told.body.starts_with("<!"), "{told:?}"),
                    _ => assert!(told.body.starts_with(&format!("{status} {reason}\n")), "{told:?}"),
                }
            }
        }
    }
}

#[test]
fn bodies_of_ones_own_are_sent() {
    let settings = json!({ "errors": {
        "default_format": "html",
        "pages": {
            "500-599": { "html": "<p>{status} {reason} {request_id}</p>", "json": "{\"code\":{status}}" },
            "no_route": { "html": "<h1>Nothing here</h1>" },
        },
    } });
    let down = |errors: Value| json!({ "action": { "forward": { "upstream": "down" } }, "errors": errors });
    let own = json!({ "pages": { "connect_failed": { "html": "<h1>Back at noon</h1>" } } });
    let (_nginx, site) = start_with(settings, json!([route("down", down(json!({}))), route("own", down(own))]));
    for (target, accept, status, body) in [
        ("/none", "*/*", 404, "<h1>Nothing here</h1>"),
        ("/own", "text/html", 502, "<h1>Back at noon</h1>"),
        ("/down", "application/json", 502, "{\"code\":502}"),
        ("/down", "*/*", 502, "<p>502 connect_failed ID</p>"),
    ] {
        let field = format!("Accept: {accept}");
        for told in ask(&site, &["-H", &field], &format!("http://shop.example{target}")) {
            let body = body.replace("ID", told.field("x-request-id").unwrap());
            assert_eq!((told.status, told.body.as_str()), (status, body.as_str()), "{target} {accept}: {told:?}");
        }
    }
}

#[test]
fn what_nginx_fails_with_is_replaced_where_the_route_says_so() {
    let rewrite = json!({ "path": { "to": "/fails" } });
    let (_nginx, site) = start(json!([
        route("kept", json!({ "rewrite": rewrite })),
        route("replaced", json!({ "rewrite": rewrite, "errors": { "replace_backend": true } })),
    ]));
    for told in ask(&site, &[], "http://shop.example/kept") {
        assert_eq!((told.status, told.body.as_str()), (500, "stack trace"), "{told:?}");
        assert_eq!((told.field("x-secret"), told.field("proxy-status")), (Some("10.1.2.3"), None), "{told:?}");
    }
    for (accept, kind) in
        [("application/problem+json", "application/problem+json"), ("*/*", "text/plain; charset=utf-8")]
    {
        let field = format!("Accept: {accept}");
        for told in ask(&site, &["-H", &field], "http://shop.example/replaced") {
            assert_eq!((told.status, told.field("content-type")), (500, Some(kind)), "{told:?}");
            assert!(told.body.contains("backend_error") && !told.body.contains("stack"), "{told:?}");
            assert_eq!((told.field("x-secret"), told.field("server")), (None, None), "{told:?}");
            let said = "tidegate; received-status=500; details=\"backend_error\"";
            assert_eq!(told.field("proxy-status"), Some(said), "{told:?}");
        }
    }
}

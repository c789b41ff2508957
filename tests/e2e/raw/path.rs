//! The canonical path, which the backend gets.

use super::{
    case::{Case, forwarded},
    table,
};

#[test]
fn the_backend_gets_the_canonical_path() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    let passed = PASSED.iter().map(|(source, what, target, seen)| {
        Case::passed(source, *what, request(target), forwarded(format!("GET {seen} HTTP/1.1")))
    });
    let refused =
        REFUSED.iter().map(|(source, what, target, detail)| Case::refused(source, *what, request(target), 400, detail));
    passed.chain(refused).collect()
}

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

const PASSED: &[(&str, &str, &str, &str)] = &[
    ("RFC 3986 §6.2", "a path that is canonical", "/a/b.c/..d/%2F", "/a/b.c/..d/%2F"),
    ("RFC 3986 §5.2.4", "a dot segment", "/a/./b", "/a/b"),
    ("CVE-2019-9901 Envoy", "two dots", "/a/../b", "/b"),
    ("RFC 3986 §5.2.4", "a dot at the end", "/a/.", "/a/"),
    ("RFC 3986 §5.2.4", "two dots at the end", "/a/b/..", "/a/"),
    ("RFC 3986 §5.2.4", "never above the root", "/../../etc/passwd", "/etc/passwd"),
    ("CVE-2021-41773 Apache", "an encoded dot", "/a/.%2e/.%2e/b", "/b"),
    ("CVE-2021-41773 Apache", "encoded dots", "/a/%2E%2e/b", "/b"),
    ("CVE-2021-42013 Apache", "an encoded percent stays", "/a/%252e%252e/b", "/a/%252e%252e/b"),
    ("CVE-2021-29492 Envoy", "an encoded slash is none", "/a%2f..%2fb", "/a%2F..%2Fb"),
    ("CVE-2021-29492 Envoy", "an encoded backslash is none", "/a%5c..%5cb", "/a%5C..%5Cb"),
    ("RFC 3986 §6.2.2.1", "escapes in upper case", "/%c3%a9%3a", "/%C3%A9%3A"),
    ("RFC 3986 §6.2.2.2", "escapes of unreserved bytes", "/%61%7E%2d%5F", "/a~-_"),
    ("CVE-2025-47952 Traefik", "a path that is hidden by escapes", "/%61dmin/%2e%2e/%61dmin", "/admin"),
    ("path confusion", "two slashes", "//a///b//", "/a/b/"),
    ("path confusion", "slashes that look like an authority", "//other.example/a", "/other.example/a"),
    ("path confusion", "dots between slashes", "/a//../b", "/b"),
    ("path confusion", "dots behind a parameter, which Tomcat drops", "/a/..;/b", "/a/..;/b"),
    ("path confusion", "a parameter behind a segment", "/a;x=1/b", "/a;x=1/b"),
    ("path confusion", "three dots", "/a/.../b", "/a/.../b"),
    ("path confusion", "an encoded question mark", "/a%3fb", "/a%3Fb"),
    ("path confusion", "an encoded line break", "/a%0d%0aX:%201", "/a%0D%0AX:%201"),
    ("path confusion", "bytes that may not stand raw", "/\"<>[]^`{|}", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
    ("RFC 3986 §3.3", "bytes that may", "/:@!$&'()*+,;=-._~", "/:@!$&'()*+,;=-._~"),
    ("RFC 3986 §3.4", "the query is as it came", "/a/../b?%7e=%2e&c=/../d//e?f", "/b?%7e=%2e&c=/../d//e?f"),
    ("RFC 3986 §3.4", "an empty query", "/?", "/?"),
    ("RFC 3986 §3.4", "bad escapes in a query", "/?%zz%", "/?%zz%"),
    ("RFC 9112 §3.2.2", "an absolute target", "http://h/a/./%2e%2e//b?c", "/b?c"),
];

const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("CVE-2021-42013 Apache", "an escape within an escape", "/%%32%65", "path_bad_escape"),
    ("RFC 3986 §2.1", "an escape of one digit", "/a%4", "path_bad_escape"),
    ("RFC 3986 §2.1", "a percent sign at the end", "/a%", "path_bad_escape"),
    ("RFC 3986 §2.1", "an escape that is no number", "/%zz", "path_bad_escape"),
    ("path confusion", "an escape as IIS takes it", "/%u002e%u002e/a", "path_bad_escape"),
    ("path confusion", "an encoded NUL", "/a%00.png", "path_encoded_nul"),
    ("path confusion", "a backslash", "/a\\..\\b", "path_forbidden_byte"),
    ("path confusion", "a backslash behind the first slash", "/\\evil", "path_forbidden_byte"),
];

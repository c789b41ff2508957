//! Fields that are meant for one connection only.

use crate::head::Fields;

/// Fields that an intermediary never passes on (RFC 9110 §7.6.1, and the older ones still sent).
///
/// `Expect` is among them because this proxy answers it itself.
const ALWAYS: [&[u8]; 9] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"expect",
    b"proxy-authenticate",
    b"proxy-authorization",
];

/// Fields that `Connection` cannot remove: without them the message would mean something else.
const KEPT: [&[u8]; 2] = [b"host", b"content-length"];

/// Removes the hop-by-hop fields of a request. `TE: trailers` is written anew when the client takes trailers, since gRPC
/// servers ask for it (RFC 9110 §10.1.4).
pub(crate) fn remove_from_request(fields: &mut Fields) {
    let takes_trailers =
        fields.all(b"te").any(|value| list(value).any(|member| member.eq_ignore_ascii_case(b"trailers")));
    remove(fields);
    if takes_trailers {
        fields.push(b"TE", b"trailers");
    }
}

/// Removes hop-by-hop fields: the fixed list and every field that `Connection` names (RFC 9110 §7.6.1).
pub(crate) fn remove(fields: &mut Fields) {
    let named: Vec<Vec<u8>> = fields
        .all(b"connection")
        .flat_map(list)
        .filter(|name| !is_one_of(name, &KEPT) && !is_one_of(name, &ALWAYS))
        .map(<[u8]>::to_vec)
        .collect();
    fields.retain(|name, _| !is_one_of(name, &ALWAYS) && !named.iter().any(|gone| gone.eq_ignore_ascii_case(name)));
}

/// The members of a comma-separated list (RFC 9110 §5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_names_go_but_never_host_or_length() {
        let mut fields = Fields::default();
        for (name, value) in [
            ("Host", "h"),
            ("Connection", "close, X-Gone , host,content-length"),
            ("Keep-Alive", "5"),
            ("X-Gone", "1"),
            ("Content-Length", "3"),
            ("TE", "gzip, Trailers"),
            ("Upgrade", "h2c"),
            ("X-Kept", "1"),
            ("Transfer-Encoding", "chunked"),
        ] {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        remove_from_request(&mut fields);
        let names: Vec<_> = fields.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(names, ["Host", "Content-Length", "X-Kept", "TE"]);
    }
}

//! A response's head from HTTP/1.1 as `h2` sends it.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http1::{Field, Fields, ResponseHead};

use super::arena::Arena;
use crate::{clock::Clock, error::Reason};

/// The head that was parsed from `bytes`, without what is of one connection only. A final one gets a `Date` if it has none.
///
/// # Errors
/// It has what cannot stand in HTTP/2.
pub(super) fn of(head: &ResponseHead, bytes: &[u8], arena: &Arena, clock: &Clock) -> Result<Response<()>, Reason> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).map_err(|_| Reason::BadResponse)?;
    append(response.headers_mut(), &head.fields, bytes, arena)?;
    if !head.fields.has(Field::Date) && !head.is_interim() {
        // A recipient with a clock adds what the origin left out (RFC 9110 §6.6.1).
        let date = HeaderValue::from_maybe_shared(arena.copy(&clock.date())).map_err(|_| Reason::BadResponse)?;
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

/// Appends the lines of `fields`, which are places in `bytes`, that are not removed.
///
/// # Errors
/// A line cannot stand in HTTP/2.
pub(super) fn append(map: &mut HeaderMap, fields: &Fields, bytes: &[u8], arena: &Arena) -> Result<(), Reason> {
    let lines = fields.lines();
    let Some(last) = lines.last() else { return Ok(()) };
    map.reserve(lines.len());
    // One copy for all values.
    let bytes = arena.copy(&bytes[..last.value.end as usize]);
    for line in lines.iter().filter(|line| !line.removed) {
        let name = HeaderName::from_bytes(line.name.of(&bytes)).map_err(|_| Reason::BadResponse)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice(line.value.range())).map_err(|_| Reason::BadResponse)?;
        map.append(name, value);
    }
    Ok(())
}

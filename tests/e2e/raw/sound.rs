//! What holds for every head that the proxy sends, whatever the case.

use anyhow::{Context, Result, ensure};

type Line = (String, String);

/// The fields of a request's head that goes to a backend.
pub(super) fn request(head: &[u8]) -> Result<Vec<Line>> {
    let (first, lines) = lines(head)?;
    let words: Vec<&str> = first.split(' ').collect();
    ensure!(words.len() == 3 && words[2] == "HTTP/1.1", "the request line {first:?}");
    // What a case smuggles asks for this.
    ensure!(!words[1].contains("evil"), "smuggled");
    ensure!(count(&lines, "host") == 1, "not one Host");
    ensure!(count(&lines, "content-length") + count(&lines, "transfer-encoding") <= 1, "two framings");
    ensure!(count(&lines, "via") >= 1, "no Via");
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-request-id"] {
        ensure!(count(&lines, name) == 1, "not one {name}");
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings", "proxy-authorization"] {
        ensure!(count(&lines, name) == 0, "a field {name}");
    }
    Ok(lines)
}

/// Checks the head of a response that goes to a client.
pub(super) fn response(head: &[u8], status: u16) -> Result<()> {
    let (_, lines) = lines(head)?;
    let framings = count(&lines, "content-length") + count(&lines, "transfer-encoding");
    ensure!(framings <= 1, "two framings");
    ensure!(framings == 0 || !matches!(status, 100..200 | 204), "a framing");
    ensure!(matches!(status, 100..200) || count(&lines, "date") == 1, "not one Date");
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate"] {
        ensure!(count(&lines, name) == 0, "a field {name}");
    }
    Ok(())
}

/// Whether `head` has exactly this line.
pub(super) fn has_line(head: &[u8], line: &str) -> bool {
    let line = format!("\r\n{line}\r\n");
    head.windows(line.len()).any(|window| window == line.as_bytes())
}

fn count(lines: &[Line], name: &str) -> usize {
    lines.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).count()
}

/// The first line, and name and value of the others.
fn lines(head: &[u8]) -> Result<(String, Vec<Line>)> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let text = text.strip_suffix("\r\n\r\n").context("a head without its end")?;
    let mut all = text.split("\r\n");
    ensure!(all.clone().all(|line| !line.contains(['\r', '\n', '\0'])), "a bare CR or LF, or a NUL");
    let first = all.next().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for line in all {
        let (name, value) = line.split_once(':').with_context(|| format!("no field: {line:?}"))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        ensure!(!name.is_empty() && name.bytes().all(is_token), "no field: {line:?}");
        lines.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok((first, lines))
}

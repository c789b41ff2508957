//! §8: responses as clients see them, whatever HTTP/1.1 backends send.

use anyhow::{Context, Result, ensure};
use harness::h2::{H2Client, H2Response, code::*, flag};

use super::{
    case::{
        Case,
        Outcome::{Answered, Reset, Told},
        case,
    },
    message::{get, headers, last_data, post, pseudo},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "§8.1.1",
            "the length of a response to HEAD, without a body",
            &[headers(1, &pseudo("HEAD", "/head"), flag::END_STREAM)],
            Told(|client| empty(client, 200, Some("1000"))),
        ),
        case("§8.1.1", "204", &[get(1, "/204")], Told(|client| empty(client, 204, None))),
        case(
            "§8.1.1",
            "304 with the length of what it does not send",
            &[get(1, "/304")],
            Told(|client| empty(client, 304, Some("10"))),
        ),
        case("§8.1", "an interim response comes first", &[get(1, "/hints")], Told(interim)),
        case("§8.1", "33 interim responses, of which 32 are allowed", &[get(1, "/too-many-hints")], Answered(502)),
        case("§8.1", "trailers end the stream", &[get(1, "/trailers")], Told(trailers)),
        case("§8.2.2", "no field of the connection, and names in lower case", &[get(1, "/hop")], Told(without_hops)),
        case("§8.1", "a response that was cut off is reset", &[get(1, "/cut")], Reset(&[INTERNAL_ERROR])),
        case("§8.2.1", "a response with a control character", &[get(1, "/bad-value")], Answered(502)),
        case("§8.3.2", "the status stands first and alone", &[get(1, "/fine")], Told(status_first)),
        case(
            "§8.1",
            "Expect: 100-continue gets its interim response",
            &[post(1, "/fine", &[("expect", "100-continue")])],
            Told(continues),
        ),
        case(
            "§8.1.1",
            "the responses of streams at the same time are theirs",
            &[get(1, "/fine"), post(3, "/fine", &[]), get(5, "/204"), last_data(3, "abc")],
            Told(each_its_own),
        ),
    ]
}

fn empty(client: &mut H2Client, status: u16, length: Option<&str>) -> Result<()> {
    let response = client.response(1)?;
    ensure!(response.status() == status && response.is_ended && response.body.is_empty(), "{response:?}");
    ensure!(response.field("content-length") == length, "{response:?}");
    Ok(())
}

fn interim(client: &mut H2Client) -> Result<()> {
    let response = client.response(1)?;
    let hints = response.interim.first().context("no interim response")?;
    ensure!(hints[0] == (":status".into(), "103".into()) && hints[1] == ("link".into(), "</a>".into()), "{hints:?}");
    ensure!((response.status(), response.text().as_str()) == (200, "ok"), "{response:?}");
    Ok(())
}

fn trailers(client: &mut H2Client) -> Result<()> {
    let response = client.response(1)?;
    ensure!(response.text() == "ok" && response.trailers == [("x-sum".to_owned(), "7".to_owned())], "{response:?}");
    Ok(())
}

fn without_hops(client: &mut H2Client) -> Result<()> {
    let response = client.response(1)?;
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "x-hop"] {
        ensure!(response.field(name).is_none(), "{name}: {response:?}");
    }
    ensure!(response.field("x-upper") == Some("1"), "{response:?}");
    lower(&response)
}

fn lower(response: &H2Response) -> Result<()> {
    let is_lower = response.fields.iter().all(|(name, _)| !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    ensure!(is_lower, "{response:?}");
    Ok(())
}

fn status_first(client: &mut H2Client) -> Result<()> {
    let response = client.response(1)?;
    ensure!(response.fields[0].0 == ":status", "{response:?}");
    ensure!(response.fields.iter().filter(|(name, _)| name.starts_with(':')).count() == 1, "{response:?}");
    lower(&response)
}

fn continues(client: &mut H2Client) -> Result<()> {
    client.read_until(1, |response| !response.interim.is_empty())?;
    client.send_frame(&last_data(1, "abc"))?;
    let response = client.response(1)?;
    ensure!(response.interim[0][0].1 == "100" && response.text() == "POST 3", "{response:?}");
    Ok(())
}

fn each_its_own(client: &mut H2Client) -> Result<()> {
    let told = [1, 3, 5].map(|stream| client.response(stream).map(|response| (response.status(), response.text())));
    let told: Vec<_> = told.into_iter().collect::<Result<_, _>>()?;
    ensure!(told == [(200, "GET 0".into()), (200, "POST 3".into()), (204, String::new())], "{told:?}");
    Ok(())
}

#[test]
fn responses() {
    table::run(&cases());
}

//! §4.2, §5.2 and §6.9: what the proxy sends fits the windows and the frames that the client allows.

use anyhow::{Context, Result, ensure};
use harness::h2::{Frame, H2Client, code::*, flag, kind};

use super::{
    case::{Case, Outcome::Told, case},
    message::{get, ping},
    table,
};

const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const WINDOW: usize = 65_535;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("§6.9.2", "no window: only the head, then byte by byte", &[get(1, "/abc")], Told(byte_by_byte))
            .settings(&[(INITIAL_WINDOW_SIZE, 0)])
            .unprobed(),
        case("§6.9.2", "a window that becomes negative", &[get(1, "/big")], Told(negative)).unprobed(),
        case("§6.9.2", "a window that grows by SETTINGS", &[get(1, "/abc")], Told(grown))
            .settings(&[(INITIAL_WINDOW_SIZE, 0)]),
        case(
            "§5.2.1",
            "the window of the connection, with large ones of the streams",
            &[get(1, "/big"), get(3, "/big")],
            Told(connection_window),
        )
        .settings(&[(INITIAL_WINDOW_SIZE, 1 << 30)])
        .unprobed(),
        case(
            "§6.9",
            "a stream that was reset gives back what it had of the connection",
            &[get(1, "/big")],
            Told(given_back),
        )
        .unprobed(),
        case(
            "§4.2",
            "frames of the size that each client takes",
            &[get(1, "/big")],
            Told(|client| frames_of(client, 16_384)),
        ),
        case(
            "§6.5.2",
            "frames of the size that this client takes",
            &[get(1, "/big")],
            Told(|client| frames_of(client, 20_000)),
        )
        .settings(&[(MAX_FRAME_SIZE, 20_000)]),
        case("§6.10", "a head that is larger than a frame", &[get(1, "/large-head")], Told(large_head)),
    ]
}

/// The next frame. Heads are decoded: the table is that of the connection.
fn next(client: &mut H2Client) -> Result<Frame> {
    let frame = client.read_frame()?.context("the connection ends")?;
    if frame.kind == kind::HEADERS {
        client.fields(&frame)?;
    }
    Ok(frame)
}

/// Reads on until a PING comes back: the bytes of DATA until then.
fn sent_by_now(client: &mut H2Client) -> Result<usize> {
    client.opens_windows = false;
    let mut bytes = 0;
    // Once for what is on its way from the backend, once for what is on its way to us.
    for _ in 0..2 {
        client.send_frame(&ping())?;
        loop {
            let frame = next(client)?;
            match frame.kind {
                kind::PING if frame.has(flag::ACK) => break,
                kind::DATA => bytes += frame.payload.len(),
                kind::RST_STREAM | kind::GOAWAY => anyhow::bail!("{frame:?}"),
                _ => {}
            }
        }
    }
    Ok(bytes)
}

/// Reads until `count` bytes of DATA came, and says how many come beyond them.
fn read_data(client: &mut H2Client, count: usize) -> Result<()> {
    client.opens_windows = false;
    let mut bytes = 0;
    while bytes < count {
        let frame = next(client)?;
        bytes += if frame.kind == kind::DATA { frame.payload.len() } else { 0 };
    }
    let beyond = bytes - count + sent_by_now(client)?;
    ensure!(beyond == 0, "{beyond} bytes beyond the window");
    Ok(())
}

fn byte_by_byte(client: &mut H2Client) -> Result<()> {
    while next(client)?.kind != kind::HEADERS {}
    ensure!(sent_by_now(client)? == 0, "DATA without a window");
    for _ in 0..26 {
        client.send_frame(&Frame::window_update(1, 1))?;
        let frame = loop {
            let frame = next(client)?;
            if frame.kind == kind::DATA {
                break frame;
            }
        };
        ensure!(frame.payload.len() == 1, "{} bytes", frame.payload.len());
    }
    Ok(())
}

fn negative(client: &mut H2Client) -> Result<()> {
    client.send_frame(&Frame::window_update(0, 1 << 20))?;
    read_data(client, WINDOW)?;
    client.send_frame(&Frame::settings(&[(INITIAL_WINDOW_SIZE, 10)]))?;
    // Now at 10 - 65,535.
    client.send_frame(&Frame::window_update(1, WINDOW as u32 - 10))?;
    ensure!(sent_by_now(client)? == 0, "DATA in a window of 0");
    client.send_frame(&Frame::window_update(1, 5))?;
    read_data(client, 5)?;
    client.send_frame(&Frame::settings(&[(INITIAL_WINDOW_SIZE, 110)]))?;
    read_data(client, 100)
}

fn grown(client: &mut H2Client) -> Result<()> {
    while next(client)?.kind != kind::HEADERS {}
    client.send_frame(&Frame::settings(&[(INITIAL_WINDOW_SIZE, 3)]))?;
    read_data(client, 3)?;
    client.send_frame(&Frame::settings(&[(INITIAL_WINDOW_SIZE, 65_535)]))?;
    read_data(client, 23)?;
    client.opens_windows = true;
    Ok(())
}

fn connection_window(client: &mut H2Client) -> Result<()> {
    read_data(client, WINDOW)?;
    client.send_frame(&Frame::window_update(0, 100_000))?;
    read_data(client, 100_000)
}

fn given_back(client: &mut H2Client) -> Result<()> {
    client.opens_windows = false;
    read_data(client, WINDOW)?;
    client.send_frame(&Frame::reset(1, CANCEL))?;
    client.send_frame(&get(3, "/abc"))?;
    client.send_frame(&Frame::window_update(0, 26))?;
    read_data(client, 26)
}

fn frames_of(client: &mut H2Client, most: usize) -> Result<()> {
    let mut bytes = 0;
    loop {
        let frame = next(client)?;
        ensure!(frame.payload.len() <= most, "{} bytes in a frame", frame.payload.len());
        if frame.kind == kind::DATA {
            bytes += frame.payload.len();
            if frame.has(flag::END_STREAM) {
                ensure!(bytes == 1 << 20, "{bytes} bytes");
                return Ok(());
            }
        }
    }
}

fn large_head(client: &mut H2Client) -> Result<()> {
    let head = loop {
        let frame = client.read_frame()?.context("the connection ends")?;
        if frame.kind == kind::HEADERS {
            break frame;
        }
    };
    ensure!(head.payload.len() <= 16_384 && !head.has(flag::END_HEADERS), "{} bytes", head.payload.len());
    let mut frames = vec![head];
    while !frames.last().is_some_and(|frame| frame.has(flag::END_HEADERS)) {
        let frame = client.read_frame()?.context("the connection ends")?;
        ensure!(frame.kind == kind::CONTINUATION && frame.stream == 1, "{} within a head", frame.kind);
        ensure!(frame.payload.len() <= 16_384, "{} bytes", frame.payload.len());
        frames.push(Frame { flags: if frame.has(flag::END_HEADERS) { flag::END_HEADERS } else { 0 }, ..frame });
    }
    let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
    let fields = client.fields(&Frame::new(kind::HEADERS, flag::END_HEADERS, 1, payload))?;
    ensure!(fields.iter().any(|(name, value)| name == "x-large" && value.len() == 40_000), "another head");
    Ok(())
}

#[test]
fn flow_of_responses() {
    table::run(&cases());
}

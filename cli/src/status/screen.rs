//! A terminal on which one text is drawn over the other.

use std::io::{self, Write};

use rustix::termios::tcgetwinsize;

/// The terminal.
#[derive(Default)]
pub(super) struct Screen {
    is_drawn: bool,
}

impl Screen {
    /// Draws `text` from the upper left corner; what does not fit is left out, and said so.
    pub(super) fn draw(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let size = tcgetwinsize(&out).ok().map(|size| (usize::from(size.ws_row), usize::from(size.ws_col)));
        // What was there before stays above, where one can scroll to it.
        let begin = if self.is_drawn { "\x1b[H" } else { "\x1b[2J\x1b[H" };
        self.is_drawn = true;
        out.write_all(format!("{begin}{}\x1b[J", frame(text, size)).as_bytes())?;
        out.flush()
    }
}

/// The lines of `text` as they fit into (rows, columns), each cleared to its end.
fn frame(text: &str, size: Option<(usize, usize)>) -> String {
    // Some terminals say that they have none.
    let (rows, columns) = size.filter(|(rows, columns)| *rows > 2 && *columns > 0).unwrap_or((usize::MAX, usize::MAX));
    let mut lines: Vec<String> = text.lines().map(|line| line.chars().take(columns).collect()).collect();
    // The cursor stands in the last row.
    if lines.len() > rows - 1 {
        let left_out = lines.len() - (rows - 2);
        lines.truncate(rows - 2);
        lines.push(format!("… {left_out} lines more than fit here").chars().take(columns).collect());
    }
    lines.iter().map(|line| format!("{line}\x1b[K\r\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_its_terminal() {
        let plain = |text: &str, size| frame(text, size).replace("\x1b[K\r\n", "|");
        assert_eq!(plain("abc\nd\n", None), "abc|d|");
        assert_eq!(plain("abc\nd\n", Some((3, 2))), "ab|d|");
        assert_eq!(plain("a\nb\nc\nd\n", Some((4, 80))), "a|b|… 2 lines more than fit here|");
        assert_eq!(plain("a\nb\nc\nd\n", Some((0, 0))), "a|b|c|d|");
    }
}

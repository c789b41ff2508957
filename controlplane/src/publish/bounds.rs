//! What data planes say is kept, shown and logged, so it is cut to size where it comes in.

use shared::{Findings, protocol::ListenerFault};

/// Most bytes of a version.
pub(super) const VERSION: usize = 64;

/// Most bytes of a message.
pub(super) const MESSAGE: usize = 1000;

/// Most listener faults that are kept.
const LISTENERS: usize = 256;

/// At most `most` bytes of `text`, without control characters: it may end in a terminal.
pub(super) fn text(text: &str, most: usize) -> String {
    let end = text.floor_char_boundary(most);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most [`Findings::MAX`] of `findings`, each at most 1000 bytes a text.
pub(super) fn findings(findings: Findings) -> Findings {
    let mut kept = Findings::new();
    kept.extend(findings.into_iter().map(|mut finding| {
        finding.pointer = text(&finding.pointer, MESSAGE);
        finding.message = text(&finding.message, MESSAGE);
        finding
    }));
    kept
}

/// At most 256 of `faults`, each at most 1000 bytes a text.
pub(super) fn listeners(mut faults: Vec<ListenerFault>) -> Vec<ListenerFault> {
    faults.truncate(LISTENERS);
    for fault in &mut faults {
        fault.error = text(&fault.error, MESSAGE);
    }
    // The vector may have come with room for millions.
    faults.shrink_to_fit();
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_lose_control_characters() {
        for (given, most, kept) in [("abc", 2, "ab"), ("aé", 2, "a"), ("a\x1b[2J\nb", 64, "a [2J b"), ("", 0, "")] {
            assert_eq!(text(given, most), kept, "{given:?}");
        }
    }

    #[test]
    fn lists_are_cut() {
        let fault = ListenerFault {
            name: "web".parse().unwrap(),
            address: "127.0.0.1:1".parse().unwrap(),
            error: "x".repeat(5000),
        };
        let faults = listeners(vec![fault; 1000]);
        assert_eq!((faults.len(), faults[0].error.len()), (256, 1000));

        let many: Vec<_> = (0..1000).flat_map(|_| Findings::of_error("/a", "b".repeat(5000))).collect();
        let many: Findings = serde_json::from_value(serde_json::to_value(many).unwrap()).unwrap();
        assert_eq!(many.iter().count(), 1000);
        let kept = findings(many);
        assert_eq!((kept.iter().count(), kept.iter().next().unwrap().message.len()), (Findings::MAX, 1000));
    }
}

//! What data planes say is kept, shown and logged, so it is cut to size where it comes in.

use shared::{
    Findings,
    protocol::ListenerFault,
    status::{EndpointStatus, Event, Transition},
};

/// Most bytes of a version.
pub(super) const VERSION: usize = 64;

/// Most bytes of a message.
pub(super) const MESSAGE: usize = 1000;

/// Most bytes of an endpoint's address: the path of a Unix socket has at most 107.
const ADDRESS: usize = 128;

/// Most bytes of a word, such as a state or a reason.
const WORD: usize = 64;

/// Most bytes of what a health check saw.
const DETAIL: usize = 200;

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

/// An endpoint with its texts cut, and with as many transitions as are shown.
pub(super) fn endpoint(mut status: EndpointStatus) -> EndpointStatus {
    status.address = text(&status.address, ADDRESS);
    for reason in [&mut status.reason, &mut status.health.reason, &mut status.breaker.reason] {
        *reason = text(reason, WORD);
    }
    if let Some(forced) = &mut status.breaker.forced {
        *forced = text(forced, WORD);
    }
    if let Some(check) = &mut status.health.last_check {
        check.detail = text(&check.detail, DETAIL);
    }
    status.transitions.truncate(EndpointStatus::TRANSITIONS);
    status.transitions = status.transitions.into_iter().map(transition).collect();
    status
}

/// An event with its texts cut.
pub(super) fn event(mut event: Event) -> Event {
    event.address = text(&event.address, ADDRESS);
    event.transition = transition(event.transition);
    event
}

fn transition(mut transition: Transition) -> Transition {
    for word in [&mut transition.from, &mut transition.to, &mut transition.reason] {
        *word = text(word, WORD);
    }
    transition
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
    fn texts_of_endpoints_and_events_are_cut() {
        let (at, long) = ("2027-01-01T00:00:00Z", "x".repeat(5000));
        let transition =
            serde_json::json!({ "at": at, "input": "health", "from": long, "to": long, "reason": long.clone() });
        let endpoint = super::endpoint(
            serde_json::from_value(serde_json::json!({
                "backend": "b", "address": long, "weight": 1.0, "backup": false, "state": "serving", "reason": long,
                "since": at, "admin": "active",
                "health": {
                    "state": "healthy", "since": at, "reason": long,
                    "last_check": { "at": at, "passed": true, "detail": long, "duration_us": 1 },
                },
                "breaker": {
                    "state": "open", "since": at, "reason": long, "calls": 0, "failed": 0, "slow": 0, "permits": 0,
                    "consecutive_openings": 0, "forced": long,
                },
                "load": {}, "transitions": vec![transition.clone(); 100],
            }))
            .unwrap(),
        );
        assert_eq!((endpoint.address.len(), endpoint.reason.len(), endpoint.transitions.len()), (128, 64, 8));
        assert_eq!((endpoint.health.reason.len(), endpoint.breaker.reason.len()), (64, 64));
        assert_eq!(endpoint.health.last_check.unwrap().detail.len(), 200);
        assert_eq!((endpoint.breaker.forced.unwrap().len(), endpoint.transitions[7].from.len()), (64, 64));
        let mut event = transition;
        event["upstream"] = "u".into();
        event["backend"] = "b".into();
        event["address"] = long.clone().into();
        let event = super::event(serde_json::from_value(event).unwrap());
        assert_eq!((event.address.len(), event.transition.to.len()), (128, 64));
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

use shared::protocol::Revision;

use super::Refusal;

/// The entity tags of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    /// Strong tags without their quotes; weak and foreign ones are kept out, they match nothing of ours.
    List(Vec<String>),
}

impl Tags {
    /// Whether a resource whose last change is `revision` is meant; none: it does not exist.
    pub(crate) fn holds(&self, revision: Option<Revision>) -> bool {
        match (self, revision) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::List(tags), Some(revision)) => tags.contains(&revision.to_string()),
        }
    }
}

/// What must hold for a write to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
}

impl Condition {
    /// Checks against the resource's last change; none: it does not exist.
    pub(crate) fn check(&self, revision: Option<Revision>) -> Result<(), Refusal> {
        let state =
            || revision.map_or("it does not exist".to_owned(), |revision| format!("its ETag is \"{revision}\""));
        if self.if_match.as_ref().is_some_and(|tags| !tags.holds(revision)) {
            return Err(Refusal::PreconditionFailed(format!("If-Match does not hold: {}", state())));
        }
        if self.if_none_match.as_ref().is_some_and(|tags| tags.holds(revision)) {
            return Err(Refusal::PreconditionFailed(format!("If-None-Match does not hold: {}", state())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_http_says() {
        let list = |tags: &[&str]| Some(Tags::List(tags.iter().map(|tag| (*tag).to_owned()).collect()));
        let seven = Some(Revision(7));
        for (if_match, if_none_match, revision, ok) in [
            (None, None, None, true),
            (list(&["7"]), None, seven, true),
            (list(&["6", "7"]), None, seven, true),
            (list(&["6"]), None, seven, false),
            (list(&[]), None, seven, false),
            (Some(Tags::Any), None, seven, true),
            (Some(Tags::Any), None, None, false),
            (None, Some(Tags::Any), None, true),
            (None, Some(Tags::Any), seven, false),
            (None, list(&["7"]), seven, false),
            (None, list(&["6"]), seven, true),
        ] {
            let condition = Condition { if_match, if_none_match };
            assert_eq!(condition.check(revision).is_ok(), ok, "{condition:?} of {revision:?}");
        }
    }
}

//! Rules about header fields.

use std::collections::BTreeMap;

use super::{
    super::{at_most, limits},
    fields::{self, Message},
    template::{self, Groups, Place},
};
use crate::{
    Findings,
    config::{HeaderRules, Route},
    document::escape,
    value::{FieldName, Template},
};

pub(super) fn check(route: &Route, pointer: &str, findings: &mut Findings) {
    let groups = Groups::of_match(&route.matches);
    let rules = &route.request_headers;
    check_rules(rules, Message::Request, &groups, &format!("{pointer}/request_headers"), findings);
    let pointer = format!("{pointer}/response_headers");
    check_rules(&route.response_headers.rules(), Message::Response, &groups, &pointer, findings);
    let allow = route.response_headers.allow.as_deref().unwrap_or_default();
    at_most(limits::HEADER_RULES, allow.len(), format_args!("{pointer}/allow"), findings);
}

fn check_rules(rules: &HeaderRules, message: Message, groups: &Groups<'_>, pointer: &str, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let HeaderRules { remove, set, default, add } = rules;
    at_most(limits::HEADER_RULES, remove.len(), format_args!("{pointer}/remove"), findings);
    for (index, name) in remove.iter().enumerate() {
        fields::check_name(name, message, &format!("{pointer}/remove/{index}"), findings);
    }
    for (kind, values) in [("set", set), ("default", default), ("add", add)] {
        check_values(values, message, groups, &format!("{pointer}/{kind}"), findings);
    }
    for name in default.keys().filter(|name| set.contains_key(*name)) {
        findings.warning(
            format!("{pointer}/default/{}", escape(name.as_str())),
            "never acts: `set` gives the field a value, whatever came",
        );
    }
}

fn check_values(
    values: &BTreeMap<FieldName, Template>,
    message: Message,
    groups: &Groups<'_>,
    pointer: &str,
    findings: &mut Findings,
) {
    at_most(limits::HEADER_RULES, values.len(), pointer, findings);
    let place = match message {
        Message::Request => Place::Request,
        Message::Response => Place::Response,
    };
    for (name, value) in values {
        let pointer = format!("{pointer}/{}", escape(name.as_str()));
        fields::check_name(name, message, &pointer, findings);
        fields::check_value(value, &pointer, findings);
        template::check(value, place, groups, &pointer, findings);
    }
}

use std::path::{Component, Path};

use super::{
    Origin, dns, errors, limits,
    routes::fields::{Message, check_name},
};
use crate::{
    Findings,
    config::{RequestId, Settings},
    value::FieldName,
};

pub(super) fn check(settings: &Settings, origin: Origin, findings: &mut Findings) {
    if let Some(file) = &settings.access_log.file
        && let Err(fault) = check_file(file, origin)
    {
        findings.error("/settings/access_log/file", fault);
    }
    dns::check(&settings.dns, "/settings/dns", findings);
    errors::check(&settings.errors.pages, "/settings/errors/pages", findings);
    check_request_id_header(&settings.request_id.header, findings);
}

/// Names that mean something else to who reads the message.
const TAKEN: [&str; 16] = [
    "accept",
    "age",
    "allow",
    "authorization",
    "content-encoding",
    "content-range",
    "content-type",
    "cookie",
    "etag",
    "forwarded",
    "location",
    "server",
    "set-cookie",
    "vary",
    "x-forwarded-port",
    "x-real-ip",
];

fn check_request_id_header(name: &FieldName, findings: &mut Findings) {
    let pointer = "/settings/request_id/header";
    if name.as_str() == RequestId::HEADER {
        return;
    }
    if TAKEN.contains(&name.as_str()) {
        findings.error(
            pointer,
            format!("the header field \"{name}\" means something else: choose another, e.g. x-trace-id"),
        );
    }
    check_name(name, Message::Request, pointer, findings);
}

fn check_file(file: &str, origin: Origin) -> Result<(), String> {
    if file.is_empty() {
        return Err("the file name is empty: leave it out to log to standard output".to_owned());
    }
    if file.len() > limits::FILE_BYTES || file.chars().any(char::is_control) {
        return Err(format!("a file name has at most {} bytes and no control characters", limits::FILE_BYTES));
    }
    let path = Path::new(file);
    if path.components().any(|component| component == Component::ParentDir) {
        return Err("a file name must not leave its folder: write it without \"..\"".to_owned());
    }
    if file.ends_with('/') || path.file_name().is_none() {
        return Err("the name is that of a folder: add the name of a file".to_owned());
    }
    if origin == Origin::Store && path.is_absolute() {
        return Err("an absolute path is taken only from a file given with --config: write it relative to the data \
                    plane's --log-dir"
            .to_owned());
    }
    Ok(())
}

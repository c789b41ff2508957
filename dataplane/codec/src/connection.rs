//! What `Connection` and `Upgrade` say.

use crate::{
    caseless,
    fault::Fault,
    field::Field,
    fields::Fields,
    grammar,
    limits::MAX_CONNECTION_OPTIONS,
    message::{Upgrade, Version},
};

/// The connection options of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    /// Whether fields are named, too.
    pub(crate) names_fields: bool,
}

impl Options {
    /// Reads all `Connection` lines and marks the lines that they name as removed.
    #[inline]
    pub(crate) fn read(fields: &mut Fields, buffer: &[u8]) -> Result<Self, Fault> {
        let Some(value) = fields.value(Field::Connection, buffer) else { return Ok(Self::default()) };
        // What almost all say.
        if !fields.is_repeated(Field::Connection) {
            if caseless::is(value, b"keep-alive") {
                return Ok(Self { keep_alive: true, ..Self::default() });
            }
            if caseless::is(value, b"close") {
                return Ok(Self { close: true, ..Self::default() });
            }
        }
        Self::read_lines(fields, buffer)
    }

    fn read_lines(fields: &mut Fields, buffer: &[u8]) -> Result<Self, Fault> {
        let mut options = Self::default();
        for (count, member) in fields.members(Field::Connection, buffer).enumerate() {
            if count == MAX_CONNECTION_OPTIONS || !grammar::is_token(member) {
                return Err(Fault::BadConnection);
            }
            if caseless::is(member, b"keep-alive") {
                options.keep_alive = true;
            } else if caseless::is(member, b"close") {
                options.close = true;
            } else if caseless::is(member, b"upgrade") {
                options.upgrade = true;
            } else {
                options.names_fields = true;
            }
        }
        if options.names_fields {
            for index in 0..fields.lines().len() {
                let line = fields.lines()[index];
                if line.field == Field::Connection {
                    grammar::list(line.value.of(buffer)).for_each(|name| fields.remove_named(name, buffer));
                }
            }
        }
        Ok(options)
    }

    /// Whether the sender would keep the connection open (RFC 9112 §9.3).
    #[inline]
    pub(crate) fn keeps_alive(self, version: Version) -> bool {
        !self.close && (self.keep_alive || version == Version::Http11)
    }

    /// Whether an upgrade is asked for or made.
    #[inline]
    pub(crate) fn upgrade(self, version: Version, fields: &Fields, buffer: &[u8]) -> Result<Upgrade, Fault> {
        if fields.has(Field::Upgrade) { self.read_upgrade(version, fields, buffer) } else { Ok(Upgrade::None) }
    }

    fn read_upgrade(self, version: Version, fields: &Fields, buffer: &[u8]) -> Result<Upgrade, Fault> {
        let Some(line) = fields.first(Field::Upgrade) else { return Ok(Upgrade::None) };
        if fields.is_repeated(Field::Upgrade) {
            return Err(Fault::BadUpgrade);
        }
        let mut is_passed_on = self.upgrade && version == Version::Http11;
        let mut protocols = 0;
        for protocol in grammar::list(line.value.of(buffer)) {
            // `name/version`
            if !protocol.splitn(2, |byte| *byte == b'/').all(grammar::is_token) {
                return Err(Fault::BadUpgrade);
            }
            is_passed_on &= !caseless::is(protocol, b"h2c");
            protocols += 1;
        }
        if protocols == 0 {
            return Err(Fault::BadUpgrade);
        }
        Ok(if is_passed_on { Upgrade::To(line.value) } else { Upgrade::Ignored })
    }
}

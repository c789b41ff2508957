//! Where an encoder finds the fields of its dynamic table.

use super::{
    key::{Name, Value},
    table::Table,
};

/// How many fields a table of 4096 bytes has at most.
pub(super) const FIELDS: usize = 128;

const NAMES: usize = 64;

/// How many fields with the same slot are looked at. There are as many only if somebody chose them so; then one is put into
/// the table again.
const CHAIN: usize = 8;

/// By the hash of a field, or of its name, the number of the newest one that has it. Numbers count the fields ever put in, and wrap:
/// one that names no field of the table, or by now another one, is noticed when the bytes are compared.
pub(super) struct Slots {
    pairs: [u16; FIELDS],
    names: [u16; NAMES],
    /// By the low bits of a field's number, that of the next older one with the same slot in `pairs`.
    older: [u16; FIELDS],
    /// The number of the newest field.
    newest: u16,
}

impl Slots {
    /// Those of an empty table.
    pub(super) const fn new() -> Self {
        Self { pairs: [0; FIELDS], names: [0; NAMES], older: [0; FIELDS], newest: 0 }
    }

    /// The age in `table` of the field with this name and value.
    #[inline]
    pub(super) fn find(&self, name: &Name<'_>, value: &Value<'_>, table: &Table) -> Option<usize> {
        let mut number = self.pairs[pair_slot(name, value)];
        for _ in 0..CHAIN {
            let age = self.age(number);
            let (known_name, known_value) = table.get(age)?;
            if value.is(known_value) && name.is(known_name) {
                return Some(age);
            }
            number = self.older[usize::from(number) % FIELDS];
            if self.age(number) <= age {
                break;
            }
        }
        None
    }

    /// The age in `table` of a field with this name.
    pub(super) fn find_name(&self, name: &Name<'_>, table: &Table) -> Option<usize> {
        let age = self.age(self.names[name_slot(name)]);
        let (known, _) = table.get(age)?;
        name.is(known).then_some(age)
    }

    /// Notes a field that was put into the table.
    pub(super) fn note(&mut self, name: &Name<'_>, value: &Value<'_>) {
        self.newest = self.newest.wrapping_add(1);
        self.names[name_slot(name)] = self.newest;
        let pair = &mut self.pairs[pair_slot(name, value)];
        self.older[usize::from(self.newest) % FIELDS] = *pair;
        *pair = self.newest;
    }

    #[inline]
    const fn age(&self, number: u16) -> usize {
        self.newest.wrapping_sub(number) as usize
    }
}

#[inline]
const fn pair_slot(name: &Name<'_>, value: &Value<'_>) -> usize {
    (value.hash_with(name) >> (64 - FIELDS.ilog2())) as usize
}

#[inline]
const fn name_slot(name: &Name<'_>) -> usize {
    (name.hash() >> (64 - NAMES.ilog2())) as usize
}

//! Where an encoder finds the fields of its dynamic table.

use std::mem::replace;

use super::{
    key::{Digest, Name, Pair},
    table::Table,
};

/// How many fields a table of 4096 bytes has at most.
pub(super) const FIELDS: usize = 128;

const NAMES: usize = 64;

/// How many fields with the same slot are looked at. There are as many only if somebody chose them so; then one is put
/// into the table again.
const CHAIN: usize = 8;

/// By the hash of a field, or of its name, the newest one that has it. One that is not in the table any more, or is by now
/// another one, is noticed when the bytes are compared.
pub(super) struct Slots {
    pairs: [Slot; FIELDS],
    names: [Number; NAMES],
    /// By a field's number, that of the next older one with the same slot in `pairs`.
    older: [Number; FIELDS],
}

/// The low bits of the number of a field in the table.
type Number = u16;

#[derive(Clone, Copy)]
struct Slot {
    digest: Digest,
    number: Number,
}

impl Slots {
    /// Those of an empty table. Not inlined: they are made on the stack, which would cost every call of the caller.
    #[inline(never)]
    pub(super) fn boxed() -> Box<Self> {
        let nobody = Slot { digest: Digest::NONE, number: 0 };
        Box::new(Self { pairs: [nobody; FIELDS], names: [0; NAMES], older: [0; FIELDS] })
    }

    /// The age in `table` of the field `pair`, if that is the newest one with its slot. As a rule it is.
    #[inline]
    pub(super) fn find_newest(&self, pair: &Pair<'_>, table: &Table) -> Option<usize> {
        let slot = &self.pairs[pair_slot(pair)];
        let age = age(slot.number, table);
        (age < table.len() && slot.digest.is_of(pair, || table.get(age))).then_some(age)
    }

    /// The age in `table` of the field `pair`.
    pub(super) fn find(&self, pair: &Pair<'_>, table: &Table) -> Option<usize> {
        let mut number = self.pairs[pair_slot(pair)].number;
        let mut age = age(number, table);
        for _ in 0..CHAIN {
            if pair.is(table.get(age)?) {
                return Some(age);
            }
            number = self.older[usize::from(number) % FIELDS];
            let younger = replace(&mut age, self::age(number, table));
            if age <= younger {
                break;
            }
        }
        None
    }

    /// The age in `table` of a field with this name.
    pub(super) fn find_name(&self, name: &Name<'_>, table: &Table) -> Option<usize> {
        let age = age(self.names[name_slot(name)], table);
        let (known, _) = table.get(age)?;
        name.is(known).then_some(age)
    }

    /// Notes that the newest field of `table` is `pair`.
    pub(super) fn note(&mut self, pair: &Pair<'_>, table: &Table) {
        let number = table.newest() as Number;
        self.names[name_slot(&pair.name)] = number;
        let slot = &mut self.pairs[pair_slot(pair)];
        self.older[usize::from(number) % FIELDS] = slot.number;
        *slot = Slot { digest: Digest::of(pair), number };
    }
}

#[inline]
const fn age(number: Number, table: &Table) -> usize {
    (table.newest() as Number).wrapping_sub(number) as usize
}

#[inline]
const fn pair_slot(pair: &Pair<'_>) -> usize {
    (pair.hash() >> (u64::BITS - FIELDS.ilog2())) as usize
}

#[inline]
const fn name_slot(name: &Name<'_>) -> usize {
    (name.hash() >> (u64::BITS - NAMES.ilog2())) as usize
}

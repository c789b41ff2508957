//! HTTP/2 clients that mean harm: what is known under a CVE, and its kin.
//!
//! Whatever comes, the data plane takes less than 64 MiB, the backend gets no more of the attacker's requests than is said here,
//! and others are served meanwhile. [`attack`] says what an attack is and runs it.

pub(crate) mod attack;
mod guard;
mod reset;
mod stall;
mod work;

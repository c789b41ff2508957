//! Tidegate's control plane.

pub mod publish;

//! Tidegate's data plane.

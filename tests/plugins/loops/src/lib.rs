//! Never returns.

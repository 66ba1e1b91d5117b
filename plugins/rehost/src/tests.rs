//! The loop on a host that tells what runs left.

//! The file of a component, before it is compiled.

/// Look into it as admission does.
pub fn body(data: &[u8]) {
    rookery_runtime::look_into_component(data);
}

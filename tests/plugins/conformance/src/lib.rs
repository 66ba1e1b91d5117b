//! The tools that MCP's conformance suite expects of a server under test, as far as the contract
//! has what they need.

mod content;
mod schema;

use rookery_plugin::plugin;

use content::{
    test_audio_content, test_embedded_resource, test_error_handling, test_image_content,
    test_multiple_content_types, test_simple_text, test_tool_with_logging, test_tool_with_progress,
};
use schema::json_schema_2020_12_tool;

plugin!(
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_tool_with_progress,
    test_tool_with_logging,
    json_schema_2020_12_tool
);

//! Content of every kind, errors, progress and logging.

use std::time::Duration;

use rookery_plugin::args::NoArguments;
use rookery_plugin::{Content, Level, Log, Result, tool};

/// A PNG of one red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A WAV without samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const PAUSE: Duration = Duration::from_millis(50);

/// Answer with text, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_simple_text(_arguments: NoArguments) -> Result<Content> {
    Ok(Content::new().text("This is a simple text response for testing."))
}

/// Answer with an image, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_image_content(_arguments: NoArguments) -> Result<Content> {
    Ok(Content::new().image(PNG, "image/png"))
}

/// Answer with a sound, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_audio_content(_arguments: NoArguments) -> Result<Content> {
    Ok(Content::new().audio(WAV, "audio/wav"))
}

/// Answer with a resource, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_embedded_resource(_arguments: NoArguments) -> Result<Content> {
    Ok(Content::new().resource(
        "test://embedded-resource",
        "text/plain",
        "This is an embedded resource content.",
    ))
}

/// Answer with several kinds of content, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_multiple_content_types(_arguments: NoArguments) -> Result<Content> {
    let content = Content::new()
        .text("Multiple content types test:")
        .image(PNG, "image/png");
    Ok(content.resource(
        "test://mixed-content-resource",
        "application/json",
        r#"{"test":"data","value":123}"#,
    ))
}

/// Answer with an error, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_error_handling(_arguments: NoArguments) -> Result<Content> {
    Ok(Content::new()
        .text("This tool intentionally returns an error for testing")
        .failed())
}

/// Report progress three times, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_tool_with_progress(host: &impl Log, _arguments: NoArguments) -> Result<Content> {
    host.progress(0.0, "started");
    std::thread::sleep(PAUSE);
    host.progress(0.5, "half way");
    std::thread::sleep(PAUSE);
    host.progress(1.0, "done");
    Ok(Content::new().text("Progress was reported three times."))
}

/// Log three lines, for the conformance suite.
#[tool(read_only, idempotent)]
pub fn test_tool_with_logging(host: &impl Log, _arguments: NoArguments) -> Result<Content> {
    host.log(Level::Info, "Tool execution started");
    std::thread::sleep(PAUSE);
    host.log(Level::Info, "Tool processing data");
    std::thread::sleep(PAUSE);
    host.log(Level::Info, "Tool execution completed");
    Ok(Content::new().text("Three lines were logged."))
}

//! MCP side.

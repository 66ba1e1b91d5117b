//! MCP content that a tool wrote itself, checked before a client gets it.
//!
//! A client acts on content: it shows images, follows links, obeys annotations and `_meta`. So only
//! what is named here is passed on: a member that is not known is refused with the whole answer,
//! and the tool's author reads where it stands.

use serde_json::{Map, Value};

use crate::escape::excerpt;
use crate::resources;

/// Blocks of one answer.
const BLOCKS: usize = 64;
const URI_CHARS: usize = 1000;
const NAME_CHARS: usize = 200;
const DESCRIPTION_CHARS: usize = 1000;
/// What model APIs take; an image of another kind makes some refuse the whole conversation.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// Schemes of embedded resources. They name a thing that comes with the answer; none is one that a
/// client would fetch.
const SCHEMES: [&str; 3] = ["plugin:", "urn:", "test:"];

type Checked = Result<(), String>;

/// Whether `result` may be passed on as a `CallToolResult`; if not, a JSON pointer to what may not,
/// and why.
pub(crate) fn check(result: &Value) -> Checked {
    let result = object(result, "", &["content", "isError"])?;
    if result
        .get("isError")
        .is_some_and(|value| !value.is_boolean())
    {
        return Err("`/isError` is neither true nor false".to_owned());
    }
    let blocks = result
        .get("content")
        .and_then(Value::as_array)
        .ok_or("`/content` is not a list of blocks")?;
    if blocks.len() > BLOCKS {
        return Err(format!(
            "`/content` has {} blocks, and at most {BLOCKS} are allowed",
            blocks.len()
        ));
    }
    blocks
        .iter()
        .enumerate()
        .try_for_each(|(n, block)| self::block(block, &format!("/content/{n}")))
}

fn block(block: &Value, at: &str) -> Checked {
    let kind = block["type"].as_str().unwrap_or_default();
    let members: &[&str] = match kind {
        "text" => &["type", "text", "annotations"],
        "image" | "audio" => &["type", "data", "mimeType", "annotations"],
        "resource" => &["type", "resource", "annotations"],
        "resource_link" => &[
            "type",
            "uri",
            "name",
            "title",
            "description",
            "mimeType",
            "size",
            "annotations",
        ],
        _ => {
            return Err(format!(
                "`{at}/type` is {}, and must be text, image, audio, resource or resource_link",
                excerpt(&block["type"].to_string(), 40)
            ));
        }
    };
    let members = object(block, at, members)?;
    if let Some(annotations) = members.get("annotations") {
        self::annotations(annotations, &format!("{at}/annotations"))?;
    }
    match kind {
        "text" => text(members, at, "text", usize::MAX).map(drop),
        "image" => {
            base64(members, at, "data")?;
            mime_type(
                members,
                at,
                |kind| IMAGES.contains(&kind),
                &IMAGES.join(", "),
            )
        }
        "audio" => {
            base64(members, at, "data")?;
            mime_type(
                members,
                at,
                |kind| is_kind(kind) && kind.starts_with("audio/"),
                "audio/…",
            )
        }
        "resource" => embedded(&block["resource"], &format!("{at}/resource")),
        _ => link(members, at),
    }
}

/// A resource that comes with the answer.
fn embedded(resource: &Value, at: &str) -> Checked {
    let members = object(resource, at, &["uri", "mimeType", "text", "blob"])?;
    let uri = text(members, at, "uri", URI_CHARS)?;
    let named = |scheme: &&str| {
        uri.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if !SCHEMES.iter().any(named) {
        return Err(format!(
            "`{at}/uri` is {:?}; an embedded resource is named by {}…, which nothing fetches",
            excerpt(uri, 80),
            SCHEMES.join("…, ")
        ));
    }
    if members.contains_key("mimeType") {
        mime_type(members, at, is_kind, "a media type")?;
    }
    match (members.get("text"), members.get("blob")) {
        (Some(_), None) => text(members, at, "text", usize::MAX).map(drop),
        (None, Some(_)) => base64(members, at, "blob"),
        _ => Err(format!("`{at}` must have either `text` or `blob`")),
    }
}

/// A link: a client follows it, so it leads to a document of this server and nowhere else.
fn link(members: &Map<String, Value>, at: &str) -> Checked {
    let uri = text(members, at, "uri", URI_CHARS)?;
    if resources::read(uri).is_none() {
        return Err(format!(
            "`{at}/uri` is {:?}; a link may lead only to a document that resources/list names",
            excerpt(uri, 80)
        ));
    }
    text(members, at, "name", NAME_CHARS)?;
    for (name, max) in [("title", NAME_CHARS), ("description", DESCRIPTION_CHARS)] {
        if members.contains_key(name) {
            text(members, at, name, max)?;
        }
    }
    if members.contains_key("mimeType") {
        mime_type(members, at, is_kind, "a media type")?;
    }
    match members.get("size") {
        Some(size) if !size.is_u64() => Err(format!("`{at}/size` is not a number of bytes")),
        _ => Ok(()),
    }
}

fn annotations(annotations: &Value, at: &str) -> Checked {
    let members = object(annotations, at, &["audience", "priority", "lastModified"])?;
    let is_audience = |audience: &Value| {
        audience.as_array().is_some_and(|who| {
            who.len() <= 2 && who.iter().all(|one| one == "user" || one == "assistant")
        })
    };
    let is_priority = |priority: &Value| {
        priority
            .as_f64()
            .is_some_and(|priority| (0.0..=1.0).contains(&priority))
    };
    for (name, value) in members {
        let (fits, wanted) = match name.as_str() {
            "audience" => (is_audience(value), "a list of user and assistant"),
            "priority" => (is_priority(value), "a number from 0 to 1"),
            _ => (
                value
                    .as_str()
                    .is_some_and(|time| time.len() <= 40 && !time.contains(' ')),
                "a time such as 2025-01-12T15:00:58Z",
            ),
        };
        if !fits {
            return Err(format!("`{at}/{name}` is not {wanted}"));
        }
    }
    Ok(())
}

/// The members of an object that has no others than `allowed`.
fn object<'a>(
    value: &'a Value,
    at: &str,
    allowed: &[&str],
) -> Result<&'a Map<String, Value>, String> {
    let members = value
        .as_object()
        .ok_or_else(|| format!("`{at}` is not an object"))?;
    match members
        .keys()
        .find(|name| !allowed.contains(&name.as_str()))
    {
        None => Ok(members),
        Some(name) => Err(format!(
            "`{at}/{}` is not passed on; allowed there: {}",
            excerpt(name, 40),
            allowed.join(", ")
        )),
    }
}

fn text<'a>(
    members: &'a Map<String, Value>,
    at: &str,
    name: &str,
    max: usize,
) -> Result<&'a str, String> {
    let text = members
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("`{at}/{name}` is not a string"))?;
    if text.chars().count() > max {
        return Err(format!("`{at}/{name}` has more than {max} characters"));
    }
    Ok(text)
}

/// Standard base64, padded.
fn base64(members: &Map<String, Value>, at: &str, name: &str) -> Checked {
    let data = text(members, at, name, usize::MAX)?;
    let body = data
        .strip_suffix("==")
        .or_else(|| data.strip_suffix('='))
        .unwrap_or(data);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if !data.is_empty() && data.len().is_multiple_of(4) && body.bytes().all(is_digit) {
        return Ok(());
    }
    Err(format!("`{at}/{name}` is not base64 with padding"))
}

fn mime_type(
    members: &Map<String, Value>,
    at: &str,
    fits: impl Fn(&str) -> bool,
    wanted: &str,
) -> Checked {
    let kind = text(members, at, "mimeType", NAME_CHARS)?;
    if fits(kind) {
        return Ok(());
    }
    Err(format!(
        "`{at}/mimeType` is {:?}, and must be {wanted}",
        excerpt(kind, 80)
    ))
}

/// `type/subtype`, with parameters or without.
fn is_kind(kind: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_word(kind) && is_word(subtype))
        && parameters
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(block: &Value) -> Checked {
        check(&json!({ "content": [block] }))
    }

    #[test]
    fn plain_content_of_every_kind_is_passed_on() {
        for block in [
            json!({"type": "text", "text": "hello"}),
            json!({
                "type": "text",
                "text": "",
                "annotations": {
                    "audience": ["user"],
                    "priority": 0.5,
                    "lastModified": "2025-01-12T15:00:58Z"
                }
            }),
            json!({"type": "image", "data": "AAAA", "mimeType": "image/png"}),
            json!({"type": "audio", "data": "AAA=", "mimeType": "audio/wav"}),
            json!({
                "type": "resource",
                "resource": {
                    "uri": "plugin:mine/report",
                    "mimeType": "text/plain; charset=utf-8",
                    "text": "x"
                }
            }),
            json!({"type": "resource", "resource": {"uri": "urn:uuid:1", "blob": "AA=="}}),
            json!({
                "type": "resource_link",
                "uri": "rookery://docs/workflow",
                "name": "workflow",
                "size": 12
            }),
        ] {
            assert_eq!(one(&block), Ok(()), "{block}");
        }
        assert_eq!(check(&json!({"content": [], "isError": true})), Ok(()));
    }

    #[expect(clippy::too_many_lines, reason = "it is a table")]
    #[test]
    fn what_a_client_would_act_on_is_refused_by_its_place() {
        for (block, place) in [
            (
                json!({"type": "resource_link", "uri": "https://example.com/x", "name": "x"}),
                "/content/0/uri",
            ),
            (
                json!({"type": "resource_link", "uri": "file:///etc/passwd", "name": "x"}),
                "/content/0/uri",
            ),
            (
                json!({"type": "resource_link", "uri": "rookery://docs/none", "name": "x"}),
                "/content/0/uri",
            ),
            (
                json!({
                    "type": "resource_link",
                    "uri": "rookery://docs/workflow",
                    "name": "x",
                    "icons": []
                }),
                "/content/0/icons",
            ),
            (
                json!({"type": "resource", "resource": {"uri": "http://localhost/", "text": "x"}}),
                "/content/0/resource/uri",
            ),
            (
                json!({
                    "type": "resource",
                    "resource": {"uri": "rookery://docs/workflow", "text": "lies"}
                }),
                "/content/0/resource/uri",
            ),
            (
                json!({"type": "resource", "resource": {"uri": "data:text/html,x", "text": "x"}}),
                "/content/0/resource/uri",
            ),
            (
                json!({
                    "type": "resource",
                    "resource": {"uri": "plugin:x", "text": "x", "_meta": {}}
                }),
                "/content/0/resource/_meta",
            ),
            (
                json!({"type": "resource", "resource": {"uri": "plugin:x"}}),
                "/content/0/resource",
            ),
            (
                json!({"type": "resource", "resource": "x"}),
                "/content/0/resource",
            ),
            (
                json!({"type": "text", "text": "x", "_meta": {"anthropic/alwaysLoad": true}}),
                "/content/0/_meta",
            ),
            (json!({"type": "text", "text": 5}), "/content/0/text"),
            (
                json!({"type": "text", "text": "x", "annotations": {"priority": 9}}),
                "/content/0/annotations/priority",
            ),
            (
                json!({"type": "text", "text": "x", "annotations": {"audience": ["system"]}}),
                "/content/0/annotations/audience",
            ),
            (
                json!({"type": "text", "text": "x", "annotations": {"title": "x"}}),
                "/content/0/annotations/title",
            ),
            (
                json!({"type": "image", "data": "AAAA", "mimeType": "image/svg+xml"}),
                "/content/0/mimeType",
            ),
            (
                json!({"type": "image", "data": "A", "mimeType": "image/png"}),
                "/content/0/data",
            ),
            (
                json!({"type": "image", "data": "https://example.com", "mimeType": "image/png"}),
                "/content/0/data",
            ),
            (
                json!({"type": "audio", "data": "AAAA", "mimeType": "text/html"}),
                "/content/0/mimeType",
            ),
            (
                json!({"type": "tool_use", "name": "run"}),
                "/content/0/type",
            ),
            (json!("text"), "/content/0/type"),
        ] {
            let refused = one(&block).unwrap_err();
            assert!(
                refused.starts_with(&format!("`{place}`")),
                "{block}: {refused}"
            );
        }
        for (result, place) in [
            (
                json!({"content": [], "_meta": {"rookery/usage": {}}}),
                "/_meta",
            ),
            (
                json!({"content": [], "structuredContent": {}}),
                "/structuredContent",
            ),
            (json!({"content": [], "resultType": "task"}), "/resultType"),
            (json!({"content": [], "isError": "no"}), "/isError"),
            (
                json!({"content": vec![json!({"type": "text", "text": ""}); 65]}),
                "/content",
            ),
            (json!({}), "/content"),
        ] {
            let refused = check(&result).unwrap_err();
            assert!(refused.starts_with(&format!("`{place}`")), "{refused}");
        }
    }
}

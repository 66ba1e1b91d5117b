//! One path of `pseudofiles_failures.yaml`.

use rookery_plugin::change::can_be_modelled;
use rookery_plugin::guest::interface_of;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Callers shown of one path.
const CALLERS: usize = 5;
/// Ioctl commands shown of one path.
const COMMANDS: usize = 12;
/// Uses that are shown of one path.
const SENT: usize = 3;
/// Hexadecimal digits of a write that are shown.
const PAYLOAD: usize = 64;

/// A path that programs missed.
#[derive(Serialize, JsonSchema)]
pub struct Failure {
    pub path: String,
    pub hits: u64,
    /// Programs that crashed after using it.
    #[serde(skip_serializing_if = "is_zero")]
    pub crashing_callers: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<String>,
    /// Kind of use to how often; ioctl by command.
    pub events: Map<String, Value>,
    /// What programs sent, the first of it: text or hexadecimal bytes of a write, number and
    /// argument of an ioctl.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<String>,
    /// It is there once this network interface is: `add_netdev`, not a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Arguments for `add_pseudofile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggest: Option<Map<String, Value>>,
    /// Crashing callers before the number of callers before hits, as Penguin ranks.
    #[serde(skip)]
    pub impact: [u64; 4],
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Failure {
    /// Read an entry of today's layout, or of the one before, where the events stood in the place
    /// of the entry.
    pub fn read(path: &str, entry: &Value, project: Option<&str>) -> Self {
        let recorded = entry
            .get("events")
            .or_else(|| entry.get("impact").is_none().then_some(entry));
        let mut events = Map::new();
        let mut sent = Vec::new();
        let mut counted = 0;
        for (kind, event) in recorded
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(_, event)| event.is_object() || event.is_u64())
        {
            let (shown, count) = if kind == "ioctl" && event.is_object() {
                ioctl(event)
            } else {
                (json!(count(event)), count(event))
            };
            events.insert(kind.clone(), shown);
            let details = event.get("details").and_then(Value::as_array);
            sent.extend(details.into_iter().flatten().filter_map(detail));
            counted = u64::saturating_add(counted, count);
        }
        let impact = |name: &str| {
            entry
                .get("impact")
                .and_then(|impact| impact.get(name))
                .and_then(Value::as_u64)
        };
        let hits = impact("hits").unwrap_or(counted);
        let of = |name: &str| impact(name).unwrap_or(0);
        Self {
            path: path.to_owned(),
            hits,
            crashing_callers: of("crashing_callers").max(of("crashing_callers_by_name")),
            callers: entry
                .get("callers")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .take(CALLERS)
                .map(str::to_owned)
                .collect(),
            events,
            sent: {
                sent.truncate(SENT);
                sent
            },
            interface: interface_of(path).map(str::to_owned),
            suggest: suggestion(path, entry.get("suggest"), project),
            impact: [
                of("crashing_callers"),
                of("crashing_callers_by_name"),
                of("distinct_callers"),
                hits,
            ],
        }
    }
}

impl Failure {
    /// Whether nobody but `sysctl` tried it.
    pub fn only_sysctl(&self) -> bool {
        let is = |caller: &String| caller.split(':').next() == Some("sysctl");
        !self.callers.is_empty() && self.callers.iter().all(is)
    }
}

/// One use in detail, as Penguin notes it.
fn detail(detail: &Value) -> Option<String> {
    if let Some(payload) = detail.get("payload").and_then(Value::as_str) {
        return Some(payload_text(payload));
    }
    let number = |name: &str| detail.get(name)?.as_u64();
    let argument = number("arg")
        .map(|arg| format!(" {arg:#x}"))
        .unwrap_or_default();
    number("cmd").map(|command| format!("ioctl {command:#x}{argument}"))
}

/// Bytes in hexadecimal as text, where they are plain.
fn payload_text(hexadecimal: &str) -> String {
    let shown = &hexadecimal[..hexadecimal.floor_char_boundary(PAYLOAD)];
    let bytes: Option<Vec<u8>> = shown
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let plain = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n');
    match bytes.filter(|bytes| !bytes.is_empty() && bytes.iter().all(plain)) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => shown.to_owned(),
    }
}

/// How often it happened, which older runs noted as a plain number.
fn count(event: &Value) -> u64 {
    event.get("count").unwrap_or(event).as_u64().unwrap_or(0)
}

/// Counts by command, as C programmers write commands, the most frequent first.
fn ioctl(event: &Value) -> (Value, u64) {
    let mut commands: Vec<(&String, u64)> = event
        .as_object()
        .into_iter()
        .flatten()
        .map(|(command, event)| (command, count(event)))
        .collect();
    commands.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total = commands
        .iter()
        .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let hexadecimal = |command: &String| {
        command
            .parse::<u32>()
            .map_or_else(|_| command.clone(), |number| format!("{number:#x}"))
    };
    let shown: Map<String, Value> = commands
        .into_iter()
        .take(COMMANDS)
        .map(|(command, count)| (hexadecimal(command), json!(count)))
        .collect();
    (Value::Object(shown), total)
}

/// Arguments for `add_pseudofile`; none where it would refuse the path, where another tool makes
/// the file, and where a guess would be taken for the device's settings and overwrite them.
fn suggestion(
    path: &str,
    models: Option<&Value>,
    project: Option<&str>,
) -> Option<Map<String, Value>> {
    if !can_be_modelled(path) || interface_of(path).is_some() || path.contains("nvram") {
        return None;
    }
    let mut arguments = Map::new();
    arguments.extend(project.map(|project| ("project_dir".to_owned(), json!(project))));
    arguments.insert("path".to_owned(), json!(path));
    let known = models
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(operation, _)| matches!(operation.as_str(), "read" | "write" | "ioctl"));
    arguments.extend(known.map(|(operation, model)| (operation.clone(), model.clone())));
    Some(arguments)
}

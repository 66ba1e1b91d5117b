//! What a run tells of a program: its events, as the sources name them, and its packets.

use rookery_records::event::{Argument, Event, NvramOrigin, Operation, What};

/// Read a record of packets as its readers do (`pcap-savefile(5)`, with `LINUX_SLL2`): what was
/// sent by an interface is there, by its number, and what the guest sent itself has come in only.
pub fn is_recorded(file: &[u8]) {
    const OUTGOING: u8 = 4;
    let long = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((long(file, 0), long(file, 20)), (0xA1B2_C3D4, 276));
    let (mut rest, mut seen) = (&file[24..], std::collections::HashMap::new());
    while !rest.is_empty() {
        let (held, length) = (long(rest, 8) as usize, long(rest, 12) as usize);
        assert!(held <= length);
        let (packet, others) = rest[16..].split_at(held);
        for text in ["to-myself", "to-everybody"] {
            if packet.ends_with(text.as_bytes()) {
                let interface = u32::from_be_bytes(packet[4..8].try_into().unwrap());
                let direction = packet[10];
                assert_eq!(packet[..2], [8, 0], "it is of IPv4");
                *seen.entry((text, interface, direction)).or_insert(0) += 1;
            }
        }
        rest = others;
    }
    assert!(seen.contains_key(&("to-myself", 1, 0)), "{seen:?}");
    assert!(!seen.contains_key(&("to-myself", 1, OUTGOING)), "{seen:?}");
    let out = |(text, interface, direction): &(&str, u32, u8)| {
        *text == "to-everybody" && *interface > 1 && *direction == OUTGOING
    };
    assert!(seen.keys().any(out), "{seen:?}");
}

/// An event as the sources name it: which call, what about, with what result.
pub fn describe(event: &Event) -> Option<String> {
    let result = |result: Option<i32>| result.map_or("?".to_owned(), |value| value.to_string());
    match &event.what {
        What::Path {
            syscall,
            path,
            result: value,
            ..
        } => Some(format!("{syscall} {path} {}", result(*value))),
        What::Call {
            syscall,
            arguments,
            result: value,
        } => {
            let argument = |(_, argument): &(_, Argument)| match argument {
                Argument::Text(text) => text.clone(),
                Argument::Number(number) => number.to_string(),
            };
            let texts = arguments
                .iter()
                .any(|(_, argument)| matches!(argument, Argument::Text(_)));
            let shown = arguments
                .iter()
                .filter(|(_, argument)| !texts || matches!(argument, Argument::Text(_)));
            let arguments: Vec<_> = shown.map(argument).collect();
            Some(format!(
                "{syscall} {} {}",
                arguments.join(","),
                result(*value)
            ))
        }
        What::Answered {
            port,
            at_end,
            answer,
            ..
        } => {
            let when = if *at_end { "end" } else { "start" };
            let status = answer.status.map(|status| status.to_string());
            let text = answer.title.as_ref().or(answer.banner.as_ref());
            Some(format!(
                "answered {port} {when} {} {} {}",
                answer.kind,
                status.as_deref().unwrap_or("-"),
                text.map_or("-", String::as_str)
            ))
        }
        What::Nvram {
            operation,
            key,
            value,
            origin,
        } => {
            let origin = origin.as_ref().map_or("", NvramOrigin::name);
            let told = format!("nvram {operation:?} {key} {value}").to_lowercase();
            let told = format!("{} {origin}", told.trim_end());
            Some(told.trim_end().to_owned())
        }
        What::Unmodelled {
            path,
            operation: Operation::Write(written),
        } => Some(format!(
            "written {path} {:?} {}",
            String::from_utf8_lossy(&written.payload),
            written.bytes
        )),
        What::InterfaceMissing { name, result, .. } => Some(format!("interface {name} {result}")),
        What::BindFailed {
            ip, port, result, ..
        } => Some(format!("bind {ip}:{port} {result}")),
        What::Crash { signal, last, .. } => {
            let last = last.last().map_or("", |call| &call.about);
            Some(format!("crash {last} {signal}"))
        }
        _ => None,
    }
}

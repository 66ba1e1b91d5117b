//! The guest's services: who opened which port, when, and what it said when it was asked.

use std::collections::BTreeMap;

use rookery_contract::options::CsvOptions;
use rookery_contract::shapes::{AskedServices, SERVICE_ANSWERS, ServiceAnswer};
use rookery_project::{Cancel, Results};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::scale::time;

/// Services that are shown.
const SHOWN: usize = 40;

/// The services of a run, in the order of their ports.
#[derive(Default, Serialize)]
pub struct Services {
    pub shown: Vec<Service>,
    pub total: usize,
    /// How many of them were asked, and how many answered when they were last asked.
    pub asked: usize,
    pub answering: usize,
}

#[derive(Clone, Default, Serialize)]
pub struct Service {
    pub program: String,
    pub proto: String,
    pub address: String,
    pub port: u16,
    /// The port of the host that led to it.
    pub host_port: Option<u16>,
    /// In words: when it was opened, and when it was closed.
    pub opened: Option<String>,
    pub closed: Option<String>,
    /// None where it was not asked.
    pub answer: Option<Answer>,
    #[serde(skip)]
    pub opened_ms: Option<i64>,
    #[serde(skip)]
    pub pid: Option<i64>,
}

/// What a service said, in words; the texts are the guest's.
#[derive(Clone, Serialize)]
pub struct Answer {
    pub good: bool,
    pub said: String,
    pub texts: Vec<String>,
    #[serde(skip)]
    pub asked_ms: i64,
}

impl Services {
    /// What the result files say.
    pub fn read(results: &Results) -> Self {
        let mut services: BTreeMap<(u16, String, String), Service> = BTreeMap::new();
        for row in rows(results, "netbinds.csv") {
            let opened = opened(&row);
            let key = (opened.port, opened.proto.clone(), opened.address.clone());
            services.entry(key).or_insert(opened);
        }
        for row in rows(results, "vpn_bridges.csv") {
            let bridge = opened(&row);
            let key = (bridge.port, bridge.proto, bridge.address);
            if let Some(service) = services.get_mut(&key) {
                // One that came back may have another port than before.
                service.host_port = number(&row, "host_port");
            }
        }
        for asked in answers(results).services {
            let key = (asked.guest_port, asked.proto, asked.guest_ip);
            let service = services.entry(key.clone()).or_insert_with(|| Service {
                program: asked.procname,
                port: key.0,
                proto: key.1,
                address: key.2,
                ..Service::default()
            });
            service.answer = asked.answers.last().map(Answer::of);
        }
        let all: Vec<Service> = services.into_values().collect();
        let said = || all.iter().filter_map(|service| service.answer.as_ref());
        Self {
            total: all.len(),
            asked: said().count(),
            answering: said().filter(|answer| answer.good).count(),
            shown: all.iter().take(SHOWN).cloned().collect(),
        }
    }

    /// The first that answered, HTTP before all others.
    pub fn best(&self) -> Option<(&Service, &Answer)> {
        let answered = self.shown.iter().filter_map(|service| {
            let answer = service.answer.as_ref().filter(|answer| answer.good)?;
            Some((service, answer))
        });
        answered.max_by_key(|(service, answer)| {
            (
                answer.said.starts_with("HTTP 2"),
                answer.said.starts_with("HTTP"),
                std::cmp::Reverse(service.port),
            )
        })
    }
}

impl Answer {
    fn of(answer: &ServiceAnswer) -> Self {
        let said = match answer.status {
            Some(status) => format!("HTTP {status}"),
            None => match answer.kind.to_string().as_str() {
                "http" => "HTTP".to_owned(),
                "tls" => "TLS".to_owned(),
                kind => kind.to_owned(),
            },
        };
        let quoted = |text: &Option<String>| text.as_ref().map(|text| format!("“{text}”"));
        let leads = answer.redirect.as_ref();
        let texts = [
            quoted(&answer.title),
            quoted(&answer.banner),
            leads.map(|to| format!("leads to {to}")),
            answer.server.clone(),
        ];
        Self {
            good: answer.is_answer(),
            said,
            texts: texts.into_iter().flatten().collect(),
            asked_ms: i64::try_from(answer.asked_ms).unwrap_or(i64::MAX),
        }
    }
}

fn opened(row: &Map<String, Value>) -> Service {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let opened_ms = milliseconds(text("time"));
    let closed_ms = milliseconds(text("closed_time"));
    Service {
        program: text("procname").to_owned(),
        proto: text("domain").to_owned(),
        // The answers have it without the brackets of IPv6.
        address: text("guest_ip").trim_matches(['[', ']']).to_owned(),
        port: number(row, "guest_port").unwrap_or(0),
        opened: opened_ms.map(time),
        closed: closed_ms.filter(|_| text("state") != "listening").map(time),
        opened_ms,
        pid: number(row, "pid"),
        ..Service::default()
    }
}

fn number<T: std::str::FromStr>(row: &Map<String, Value>, name: &str) -> Option<T> {
    row.get(name)?.as_str()?.parse().ok()
}

fn milliseconds(seconds: &str) -> Option<i64> {
    let seconds: f64 = seconds.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number out of range saturates"
    )]
    Some((seconds * 1000.0) as i64)
}

fn rows(results: &Results, file: &str) -> Vec<Map<String, Value>> {
    let read = results.read_csv(file, &CsvOptions::default(), &Cancel::default());
    read.map(|table| table.rows).unwrap_or_default()
}

fn answers(results: &Results) -> AskedServices {
    let read = results.read_yaml(SERVICE_ANSWERS).ok();
    read.and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default()
}

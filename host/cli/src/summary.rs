//! What came of a run, for people: the services that answer, and what went wrong next.

use rookery_contract::options::CsvOptions;
use rookery_contract::shapes::{Endpoint, RunStatus, ServiceAnswer, ServiceAnswers};
use rookery_project::{Cancel, Results, Roots};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::advice;
use crate::show::text;

/// Lines of each kind; the rest is counted.
const SHOWN: usize = 5;
/// Guest ports whose services speak HTTP, and with which scheme.
const WEB_PORTS: &[(u16, &str)] = &[
    (80, "http"),
    (8080, "http"),
    (8000, "http"),
    (443, "https"),
    (8443, "https"),
];

/// What the run's result files say. What a file does not say is left out.
#[derive(Default, Serialize)]
pub struct Findings {
    /// As `summary.json` has them (`proc`, `proto`, `ip`, `port`), with the `host_port` that led
    /// there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<Value>,
    /// The run got to its end, so that what is not among them did not listen.
    services_known: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pseudofiles: Vec<Pseudofile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_env: Vec<Value>,
    /// As `crashes.yaml` has them: `proc`, `signame`, `count`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    crashes: Vec<Value>,
}

/// A device file that failed.
#[derive(Serialize)]
struct Pseudofile {
    path: String,
    hits: Value,
    callers: Value,
}

/// What the result files of a run say of it.
pub fn findings(roots: &Roots, status: &RunStatus) -> Findings {
    let Some(results) = status
        .results_dir
        .as_deref()
        .and_then(|dir| roots.results(None, Some(dir)).ok())
    else {
        return Findings::default();
    };
    let list = |file: &str, key: Option<&str>| {
        let mut value = read(&results, file).unwrap_or_default();
        let value = match key {
            Some(key) => value.get_mut(key).map(Value::take).unwrap_or_default(),
            None => value,
        };
        match value {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    };
    let summary = read(&results, "summary.json");
    let services = match &summary {
        Some(_) => list("summary.json", Some("binds")),
        None => announced(&results),
    };
    Findings {
        services: reached(services, &results),
        services_known: summary.is_some(),
        pseudofiles: read(&results, "pseudofiles_failures.yaml")
            .map(|file| pseudofiles(&file))
            .unwrap_or_default(),
        missing_env: list("env_missing.yaml", None),
        crashes: list("crashes.yaml", Some("crashes")),
    }
}

fn read(results: &Results, file: &str) -> Option<Value> {
    results
        .read_yaml(file)
        .inspect_err(|error| tracing::debug!(file, %error, "not in the summary"))
        .ok()
}

/// What a run that did not get to its end had announced, as `summary.json` would have it.
fn announced(results: &Results) -> Vec<Value> {
    let rows = results.read_csv("netbinds.csv", &CsvOptions::default(), &Cancel::default());
    let service = |row: &Map<String, Value>| {
        let port: u16 = row.get("guest_port")?.as_str()?.parse().ok()?;
        Some(json!({
            "proc": row.get("procname")?, "proto": row.get("domain")?, "ip": row.get("guest_ip")?,
            "port": port
        }))
    };
    let rows = rows.map(|table| table.rows).unwrap_or_default();
    rows.iter().filter_map(service).collect()
}

/// Each service with the port of the host that led to it, where there was one.
fn reached(mut services: Vec<Value>, results: &Results) -> Vec<Value> {
    let bridges = results
        .read_csv(
            "vpn_bridges.csv",
            &CsvOptions::default(),
            &Cancel::default(),
        )
        .unwrap_or_default();
    for service in &mut services {
        let leads_there = |bridge: &&Map<String, Value>| {
            bridge["domain"] == service["proto"]
                && bridge["guest_ip"] == service["ip"]
                && bridge["guest_port"] == *service["port"].to_string()
        };
        // A service that came back may have another port than before.
        let mut rows = bridges.rows.iter().rev();
        let host_port = rows
            .find(leads_there)
            .and_then(|bridge| bridge["host_port"].as_str()?.parse::<u16>().ok());
        if let Some(host_port) = host_port {
            service["host_port"] = host_port.into();
        }
    }
    services
}

/// The file is a map by path, worst first.
fn pseudofiles(file: &Value) -> Vec<Pseudofile> {
    let failures = file.as_object().into_iter().flatten();
    failures
        .map(|(path, failure)| Pseudofile {
            path: path.clone(),
            hits: failure["impact"]["hits"].clone(),
            callers: failure["callers"].clone(),
        })
        .collect()
}

/// The services that can be reached, as URLs where they speak HTTP, with their ports in the guest.
pub fn services(status: &RunStatus) -> Vec<String> {
    status.endpoints.iter().map(address).collect()
}

fn address(endpoint: &Endpoint) -> String {
    let Endpoint {
        proto,
        guest_port,
        host,
        host_port,
        ..
    } = endpoint;
    let web = WEB_PORTS
        .iter()
        .find(|(port, _)| port == guest_port && proto == "tcp");
    let url = match web {
        Some((_, scheme)) => format!("{scheme}://{host}:{host_port}/"),
        None => format!("{proto}://{host}:{host_port}"),
    };
    let said = endpoint
        .answers
        .last()
        .map(|answer| format!(": {}", said(answer)));
    format!(
        "{url} (guest {proto} {guest_port}){}",
        said.unwrap_or_default()
    )
}

/// What a service said, in short. The text is the guest's, and escaped.
fn said(answer: &ServiceAnswer) -> String {
    let mut words = vec![match answer.status {
        Some(status) => status.to_string(),
        None => answer.kind.to_string(),
    }];
    let texts = [&answer.title, &answer.banner];
    words.extend(texts.into_iter().flatten().map(|text| format!("{text:?}")));
    words.extend(answer.redirect.iter().map(|to| format!("leads to {to:?}")));
    words.join(" ")
}

/// Lines for a person.
pub fn describe(status: &RunStatus, findings: &Findings) -> Vec<String> {
    let reason = status
        .reason
        .as_deref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    let elapsed = status
        .elapsed_s
        .map(|elapsed| format!(" after {elapsed:.1} s"))
        .unwrap_or_default();
    let mut lines = vec![format!(
        "run {} {}{elapsed}{reason}",
        status.run_id, status.status
    )];

    let title = if findings.services_known {
        "services that listened"
    } else {
        "services that had begun to listen before the run broke off"
    };
    section(&mut lines, title, &findings.services, service);
    if findings.services.is_empty() {
        let nothing = if findings.services_known {
            "no service listened"
        } else {
            "the run broke off, and left no word of its services"
        };
        lines.push(nothing.to_owned());
    }
    section(
        &mut lines,
        "device files that failed, worst first",
        &findings.pseudofiles,
        pseudofile,
    );
    section(
        &mut lines,
        "boot arguments and variables that were not found",
        &findings.missing_env,
        |name| {
            name.as_str()
                .map_or_else(|| name.to_string(), str::to_owned)
        },
    );
    section(&mut lines, "fatal signals", &findings.crashes, crash);
    section(
        &mut lines,
        "this backend did not honour",
        &status.notes,
        |note| advice::sentence(note),
    );
    lines.push(format!(
        "results in {}",
        status.results_dir.as_deref().unwrap_or("-")
    ));
    lines
}

fn service(bind: &Value) -> String {
    let (proc, proto, ip) = (text(bind, "proc"), text(bind, "proto"), text(bind, "ip"));
    let reached = bind["host_port"]
        .as_u64()
        .map(|port| format!(", reached at the host's port {port}"))
        .unwrap_or_default();
    let answers: Option<ServiceAnswers> = serde_json::from_value(bind["answers"].clone()).ok();
    let answer = answers.as_ref().and_then(ServiceAnswers::last);
    let answer = answer.map(|answer| format!(", {}", said(answer)));
    format!(
        "{proc}  {proto} {ip}:{}{reached}{}",
        bind["port"],
        answer.unwrap_or_default()
    )
}

fn pseudofile(failure: &Pseudofile) -> String {
    let callers = failure.callers.as_array().into_iter().flatten();
    let callers: Vec<_> = callers.filter_map(Value::as_str).take(3).collect();
    let (path, hits) = (&failure.path, &failure.hits);
    let times = if *hits == 1 {
        "once".to_owned()
    } else {
        format!("{hits} times")
    };
    format!("{path}  {times}, by {}", callers.join(", "))
}

fn crash(crash: &Value) -> String {
    let (proc, signal) = (text(crash, "proc"), text(crash, "signame"));
    format!("{proc}  {signal}, {} times", crash["count"])
}

fn section<T>(lines: &mut Vec<String>, title: &str, items: &[T], show: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    lines.push(format!("{title}:"));
    lines.extend(
        items
            .iter()
            .take(SHOWN)
            .map(|item| format!("  {}", show(item).replace('\n', " "))),
    );
    if items.len() > SHOWN {
        lines.push(format!("  and {} more", items.len() - SHOWN));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(value: Value) -> RunStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_summary_names_services_by_url_and_what_went_wrong_next() {
        let status = status(json!({
            "run_id": "r1",
            "status": "finished",
            "reason": "the deadline passed",
            "elapsed_s": 60.02,
            "results_dir": "/p/results/0",
            "endpoints": [
                {
                    "procname": "httpd",
                    "proto": "tcp",
                    "guest_ip": "0.0.0.0",
                    "guest_port": 80,
                    "host": "127.0.0.1",
                    "host_port": 40080,
                    "answers": {"at_start": {"kind": "http", "status": 200, "title": "A \"b\""}}
                },
                {
                    "procname": "telnetd",
                    "proto": "tcp",
                    "guest_ip": "0.0.0.0",
                    "guest_port": 23,
                    "host": "127.0.0.1",
                    "host_port": 40023
                }
            ]
        }));
        let file = json!({"/dev/dsa": {"impact": {"hits": 12}, "callers": ["dsad:412"]}});
        let findings = Findings {
            pseudofiles: pseudofiles(&file),
            missing_env: ["a", "b", "c", "d", "e", "f"].map(Value::from).into(),
            services_known: true,
            services: vec![
                json!({
                    "proc": "httpd", "proto": "tcp", "ip": "0.0.0.0", "port": 80,
                    "host_port": 40080,
                    "answers": {"at_end": {"kind": "http", "status": 302, "redirect": "/cgi"}}
                }),
                json!({"proc": "snmpd", "proto": "udp", "ip": "0.0.0.0", "port": 161}),
            ],
            ..Findings::default()
        };
        assert_eq!(
            describe(&status, &findings).join("\n"),
            "run r1 finished after 60.0 s: the deadline passed\n\
             services that listened:\n  httpd  tcp 0.0.0.0:80, reached at the host's port 40080, \
             302 leads to \"/cgi\"\n  snmpd  udp 0.0.0.0:161\n\
             device files that failed, worst first:\n  /dev/dsa  12 times, by dsad:412\n\
             boot arguments and variables that were not found:\n  a\n  b\n  c\n  d\n  e\n  and 1 \
             more\nresults in /p/results/0"
        );
        assert_eq!(
            services(&status),
            [
                "http://127.0.0.1:40080/ (guest tcp 80): 200 \"A \\\"b\\\"\"",
                "tcp://127.0.0.1:40023 (guest tcp 23)"
            ]
        );
    }

    #[test]
    fn a_run_without_results_still_has_a_summary() {
        let lines = describe(
            &status(json!({"run_id": "r1", "status": "failed"})),
            &Findings::default(),
        );
        assert_eq!(
            lines,
            [
                "run r1 failed",
                "the run broke off, and left no word of its services",
                "results in -"
            ]
        );
    }

    #[test]
    fn a_run_that_died_is_not_said_to_have_had_no_service() {
        let root = tempfile::tempdir().unwrap();
        let results = root.path().join("fw/results/0");
        std::fs::create_dir_all(&results).unwrap();
        std::fs::write(root.path().join("fw/config.yaml"), "core: {version: 2}\n").unwrap();
        let binds = "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n\
                     httpd,4,tcp,0.0.0.0,80,7,2.0,listening,\n";
        let bridges = "procname,ipvn,domain,guest_ip,guest_port,host_port\n\
                       httpd,ipv4,tcp,0.0.0.0,80,1080\n";
        std::fs::write(results.join("netbinds.csv"), binds).unwrap();
        std::fs::write(results.join("vpn_bridges.csv"), bridges).unwrap();
        let roots = Roots::new([root.path().to_owned()]).unwrap();
        let status = status(json!({
            "run_id": "r1", "status": "failed", "results_dir": results.to_str()
        }));
        let lines = describe(&status, &findings(&roots, &status));
        assert_eq!(
            &lines[1..3],
            [
                "services that had begun to listen before the run broke off:",
                "  httpd  tcp 0.0.0.0:80, reached at the host's port 1080"
            ]
        );
    }

    #[test]
    fn a_run_without_services_says_so() {
        let findings = Findings {
            services_known: true,
            ..Findings::default()
        };
        let status = status(json!({"run_id": "r1", "status": "finished"}));
        assert_eq!(describe(&status, &findings)[1], "no service listened");
    }
}

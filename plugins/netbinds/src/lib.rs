//! `netbinds`

mod answers;
mod bridges;
mod row;
mod socket;

use std::collections::BTreeMap;

use rookery_plugin::answer::{USUAL_BYTES, fitting};
use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::{ResultsState, ResultsStatus};
use rookery_plugin::{
    Answer, CsvOptions, Next, Result, Results, RunResults, optional, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::answers::Answers;
use crate::bridges::Bridges;
use crate::socket::{Context, Lifecycle, Socket, State};

/// Sockets read at most; the host counts the others.
const SOCKETS: u32 = 1000;
/// Rows read at most of what became of them.
const LIFECYCLES: u32 = 10_000;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
    /// Only sockets in this state
    state: Option<Wanted>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Listening,
    Pending,
    Transient,
    Closed,
}

impl Wanted {
    const ALL: [Self; 4] = [
        Self::Listening,
        Self::Pending,
        Self::Transient,
        Self::Closed,
    ];

    fn state(self) -> State {
        match self {
            Self::Listening => State::Listening,
            Self::Pending => State::Pending,
            Self::Transient => State::Transient,
            Self::Closed => State::Closed,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct Sockets {
    /// How many sockets are in each state.
    states: BTreeMap<String, u64>,
    netbinds: Vec<Socket>,
    /// Of the state asked for.
    total: u64,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// List the sockets that services bound. Gives each with its `port` in the guest, its `state`, the
/// `host_port` that leads there during the run, and the `answer` of a TCP service: open is not
/// answering.
#[tool(
    read_only,
    idempotent,
    title = "Bound sockets",
    example(project_dir = "fw", state = "listening")
)]
fn netbinds(host: &impl Results, args: Args) -> Result<Answer<Sockets>> {
    Answer::from_result(read(host, &args))
}

fn read(host: &impl Results, args: &Args) -> Result<Sockets> {
    let run = host.open_results(&args.run)?;
    let table = run.read_csv("netbinds.csv", &options(None, SOCKETS))?;
    let has = |name: &str| table.columns.iter().any(|column| column == name);
    let lifecycle = optional(run.read_csv("netbinds_lifecycle.csv", &options(None, LIFECYCLES)))?;
    let context = Context {
        lifecycle: Lifecycle::new(lifecycle, has("pid")),
        bridges: Bridges::read(&run)?,
        answers: Answers::read(&run)?,
        stateless: !has("state"),
    };
    let ended = run.status()?;

    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows = table.rows;
    let many = table.truncated && has("state");
    if many {
        // More than are read: the host counts each state, and those asked for are read.
        rows.clear();
        for wanted in Wanted::ALL {
            let found = run.read_csv("netbinds.csv", &options(Some(wanted), SOCKETS))?;
            if found.total > 0 {
                states.insert(wanted.state().to_string(), found.total);
            }
            if args.state.is_none_or(|asked| asked == wanted) {
                rows.extend(found.rows);
            }
        }
        let other = table.total.saturating_sub(states.values().sum());
        if other > 0 {
            states.insert(State::Unknown.to_string(), other);
        }
    }
    let mut sockets: Vec<Socket> = rows.iter().map(|row| Socket::read(row, &context)).collect();
    if !many {
        for socket in &sockets {
            *states.entry(socket.state.to_string()).or_insert(0) += 1;
        }
        // The rows that were not read have no state, and listen as the others do.
        let unread = table.total.saturating_sub(sockets.len() as u64);
        if unread > 0 {
            *states.entry(State::Listening.to_string()).or_insert(0) += unread;
        }
    }
    sockets.retain(|socket| {
        args.state
            .is_none_or(|wanted| socket.state == wanted.state())
    });
    sockets.sort_by(|a, b| a.order().cmp(&b.order()));
    let total = match args.state {
        Some(wanted) => states
            .get(&wanted.state().to_string())
            .copied()
            .unwrap_or(0),
        None => states.values().sum(),
    };
    let kept = fitting(&sockets, USUAL_BYTES);
    sockets.truncate(kept);
    let older = "The netbinds.csv of this run has no states: every socket counts as listening.";
    let notes = [
        caveat(&ended).map(str::to_owned),
        (context.stateless && total > 0).then(|| older.to_owned()),
        ended.note.clone(),
    ];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    Ok(Sockets {
        next: (!states.contains_key(&State::Listening.to_string()))
            .then(|| Next::call("pseudofile_failures", json!(args.run))),
        states,
        truncated: (kept as u64) < total,
        netbinds: sockets,
        total,
        note: (!notes.is_empty()).then(|| notes.join(" ")),
        file: ended.path_of("netbinds.csv"),
    })
}

fn options(wanted: Option<Wanted>, limit: u32) -> CsvOptions {
    let only = wanted.map(|wanted| ("state".to_owned(), json!([wanted.state()])));
    CsvOptions {
        only: Map::from_iter(only),
        limit: Some(limit),
        ..CsvOptions::default()
    }
}

/// What the states of a run's sockets are worth: they are only made final at its end.
fn caveat(run: &ResultsStatus) -> Option<&'static str> {
    match run.state {
        ResultsState::Died if run.perhaps_running => Some(
            "The run died, or is still running without output: sockets that were closed since then \
             still count as listening.",
        ),
        ResultsState::Running => Some(
            "The run has not ended: sockets that were closed since then still count as listening.",
        ),
        ResultsState::Died => Some(
            "The run died: sockets that were closed before still count as listening. Nothing \
             answers any more.",
        ),
        ResultsState::Completed => Some("The run has ended: nothing answers any more."),
        ResultsState::NeverRan | ResultsState::Other(_) => None,
    }
}

plugin!(netbinds);

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    const BINDS: &str = "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n\
        inetd,4,tcp,0.0.0.0,23,420,23.059,listening,\n\
        inetd,4,udp,0.0.0.0,7,420,23.059,closed,50.000\n\
        lighttpd,6,tcp,[::],80,440,41.000,listening,\n\
        lighttpd,4,tcp,0.0.0.0,8081,440,26.086,transient,27.000\n\
        inetd,4,tcp,0.0.0.0,9999,420,58.003,pending,\n";
    const LIFECYCLE: &str = "procname,ipvn,domain,guest_ip,guest_port,pid,state,transient,open_count,close_count,flap_count,first_open,last_close,total_uptime\n\
        inetd,4,tcp,0.0.0.0,23,420,listening,False,2,0,1,20.068,,41.932\n";
    const BRIDGES: &str = "procname,ipvn,domain,guest_ip,guest_port,host_port\n\
        inetd,ipv4,tcp,0.0.0.0,23,1023\n\
        lighttpd,ipv6,tcp,[::],80,80\n";

    fn host() -> FakeHost {
        FakeHost::new()
            .text("netbinds.csv", BINDS)
            .text("netbinds_lifecycle.csv", LIFECYCLE)
            .text("vpn_bridges.csv", BRIDGES)
            .text("guest_ip", "192.168.0.2\n")
    }

    #[test]
    fn its_definition_is_sound() {
        check::<netbinds>();
    }

    #[test]
    fn listening_sockets_come_first_with_the_host_s_port() {
        let answer = call::<netbinds>(&host(), json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            answer["states"],
            json!({ "closed": 1, "listening": 2, "pending": 1, "transient": 1 })
        );
        let first = json!({
            "procname": "inetd",
            "proto": "tcp",
            "ip": "0.0.0.0",
            "port": 23,
            "state": "listening",
            "host": "192.168.0.2",
            "host_port": 1023,
            "opened": 2,
            "uptime_s": 41.932
        });
        assert_eq!(answer["netbinds"][0], first);
        assert_eq!(answer["netbinds"][1]["host_port"], 80);
        assert_eq!(
            (&answer["total"], answer.get("next")),
            (&json!(5), None),
            "the header is no socket"
        );
    }

    #[test]
    fn a_socket_has_the_newest_answer_of_its_service() {
        let early = json!({ "asked_ms": 1000, "kind": "silent" });
        let late = json!({ "asked_ms": 56_000, "kind": "http", "status": 200, "title": "LuCI" });
        let web = json!({
            "procname": "lighttpd", "proto": "tcp", "guest_ip": "::", "guest_port": 80,
            "answers": { "at_start": early, "at_end": late },
        });
        let host = host().yaml("service_answers.yaml", json!({ "services": [web] }));
        let answer = call::<netbinds>(&host, json!({ "project_dir": "p" })).unwrap();
        let answers = [0, 1].map(|at| answer["netbinds"][at]["answer"]["title"].clone());
        assert_eq!(answers, [json!(null), json!("LuCI")]);
    }

    #[test]
    fn one_state_can_be_asked_for() {
        let answer =
            call::<netbinds>(&host(), json!({ "project_dir": "p", "state": "closed" })).unwrap();
        assert_eq!(
            (&answer["total"], &answer["netbinds"][0]["port"]),
            (&json!(1), &json!(7))
        );
        assert_eq!(answer["states"]["listening"], 2, "the counts are of all");
    }

    #[test]
    fn the_states_of_an_unfinished_run_carry_a_caveat() {
        for (state, word) in [
            (ResultsState::Running, "has not ended"),
            (ResultsState::Died, "died"),
            (ResultsState::Completed, "ended"),
        ] {
            let answer =
                call::<netbinds>(&host().state(state, ""), json!({ "project_dir": "p" })).unwrap();
            assert!(answer["note"].as_str().unwrap().contains(word), "{answer}");
        }
    }

    #[test]
    fn results_of_an_older_layout_are_read() {
        let host = FakeHost::new()
            .text(
                "netbinds.csv",
                "procname,ipvn,domain,guest_ip,guest_port,time\nhttpd,4,tcp,0.0.0.0,80,3.5\n",
            )
            .text(
                "endpoints.txt",
                "tcp 127.0.0.1:40080 -> 0.0.0.0:80 (httpd)\nnonsense\n",
            );
        let answer = call::<netbinds>(&host, json!({ "project_dir": "p" })).unwrap();
        let socket = json!({
            "procname": "httpd",
            "proto": "tcp",
            "ip": "0.0.0.0",
            "port": 80,
            "state": "listening",
            "host": "127.0.0.1",
            "host_port": 40080
        });
        assert_eq!(answer["netbinds"], json!([socket]));
        assert!(answer["note"].as_str().unwrap().contains("no states"));
        let listening =
            call::<netbinds>(&host, json!({ "project_dir": "p", "state": "listening" })).unwrap();
        assert_eq!(listening["total"], 1);
    }

    #[test]
    fn all_of_thousands_of_sockets_are_counted() {
        let mut table = BINDS.lines().next().unwrap().to_owned();
        for port in 1..=3000 {
            let state = if port % 3 == 0 { "closed" } else { "listening" };
            write!(table, "\ninetd,4,tcp,0.0.0.0,{port},420,23.059,{state},").unwrap();
        }
        let host = FakeHost::new().text("netbinds.csv", &table);
        let all = call::<netbinds>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            (&all["states"], &all["total"], &all["truncated"]),
            (
                &json!({ "closed": 1000, "listening": 2000 }),
                &json!(3000),
                &json!(true)
            )
        );
        assert_eq!(all["netbinds"][0]["state"], "listening");
        let closed =
            call::<netbinds>(&host, json!({ "project_dir": "p", "state": "closed" })).unwrap();
        assert_eq!(
            (&closed["total"], &closed["netbinds"][0]["port"]),
            (&json!(1000), &json!(3))
        );
    }

    #[test]
    fn processes_of_one_name_keep_their_own_lifecycles() {
        let host = FakeHost::new()
            .text(
                "netbinds.csv",
                "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n\
                httpd,4,tcp,0.0.0.0,80,1,1.0,listening,\nhttpd,4,tcp,0.0.0.0,80,2,1.0,listening,\n",
            )
            .text(
                "netbinds_lifecycle.csv",
                "procname,domain,guest_ip,guest_port,pid,state,open_count,total_uptime\n\
                httpd,tcp,0.0.0.0,80,1,listening,1,10.0\nhttpd,tcp,0.0.0.0,80,2,listening,1,20.0\n",
            );
        let answer = call::<netbinds>(&host, json!({ "project_dir": "p" })).unwrap();
        let uptimes: Vec<_> = (0..2)
            .map(|n| answer["netbinds"][n]["uptime_s"].clone())
            .collect();
        assert_eq!(uptimes, [json!(10.0), json!(20.0)]);
    }

    #[test]
    fn the_endpoints_count_where_the_table_of_bridges_is_empty() {
        let host = host()
            .text("vpn_bridges.csv", BRIDGES.lines().next().unwrap())
            .text(
                "endpoints.txt",
                "tcp 127.0.0.1:40023 -> 0.0.0.0:23 (inetd)\n",
            );
        let answer = call::<netbinds>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(answer["netbinds"][0]["host_port"], 40023);
    }

    #[test]
    fn a_newer_run_is_told_of() {
        let host = host().note("run 3 is newer and died");
        let answer = call::<netbinds>(&host, json!({ "project_dir": "p" })).unwrap();
        assert!(
            answer["note"]
                .as_str()
                .unwrap()
                .ends_with("run 3 is newer and died")
        );
    }

    #[test]
    fn no_listening_socket_leads_to_the_devices() {
        let host = FakeHost::new().text(
            "netbinds.csv",
            "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n",
        );
        let answer = call::<netbinds>(&host, json!({ "results_dir": "r" })).unwrap();
        assert_eq!(
            (&answer["total"], &answer["next"]["tool"]),
            (&json!(0), &json!("pseudofile_failures"))
        );
    }

    #[test]
    fn rows_that_make_no_sense_are_kept_as_far_as_they_do() {
        let host = FakeHost::new().text(
            "netbinds.csv",
            "procname,domain,guest_ip,guest_port,state\nx,tcp,0.0.0.0,99999,listening\ny\n",
        );
        let answer = call::<netbinds>(&host, json!({ "results_dir": "r" })).unwrap();
        assert_eq!(
            (&answer["total"], &answer["netbinds"][0]["port"]),
            (&json!(2), &json!(0))
        );
    }

    #[test]
    fn a_run_that_recorded_none_says_how_to() {
        assert_eq!(
            call::<netbinds>(&FakeHost::new(), json!({ "project_dir": "p" })).unwrap()["available"],
            false
        );
    }
}

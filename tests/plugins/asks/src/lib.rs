//! Asks a web service of a guest, and hands on all that the host says.

use rookery_plugin::shapes::HttpAnswer;
use rookery_plugin::{Http, HttpOptions, Result, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// The run
    run_id: String,
    /// What to ask for, at an address of the guest's
    url: String,
}

/// Ask a web service of a running guest, and give its answer.
#[tool(read_only, example(run_id = "run-x", url = "https://127.0.0.1/"))]
fn asks(host: &impl Http, args: Args) -> Result<HttpAnswer> {
    host.http(&args.run_id, &HttpOptions::get(&args.url))
}

plugin!(asks);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_service_answers_is_handed_on() {
        check::<asks>();
        let answer = json!({ "url": "http://127.0.0.1/", "status": 401 });
        let host = FakeHost::new().answer("http.request", answer);
        let arguments = json!({ "run_id": "run-x", "url": "http://127.0.0.1/" });
        let answer = call::<asks>(&host, arguments).unwrap();
        assert_eq!(answer["status"], 401);
        let asked = &host.calls("http.request")[0];
        assert_eq!(asked["request"], json!({ "url": "http://127.0.0.1/" }));
    }
}

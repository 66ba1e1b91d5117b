//! `http`: ask the web services of a running guest.

use rookery_contract::options;

use super::stand_in::stand_in;
use super::{HostResult, State};
use crate::host::bindings::http;

impl http::Host for State {
    async fn request(&mut self, run: String, request: String) -> HostResult<String> {
        stand_in!(self, "http.request", run, request);
        self.json_of_guest("http.request", move |host, cancel| {
            let request = options::parse("request", &request)?;
            host.runs.http(&run, &request, cancel)
        })
        .await
    }
}

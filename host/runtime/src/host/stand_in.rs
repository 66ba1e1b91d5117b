//! How an instance is given answers in the place of `emulation`, `live`, `http` and
//! `toolbox`.

use serde_json::{Map, Value};

use super::{HostError, HostResult, State};

/// Parameters that hold JSON.
const JSON: [&str; 4] = ["arguments", "condition", "options", "request"];

impl State {
    /// What stands in for a function gives, if anything stands in. Counts as its call does.
    pub(super) fn stand_in(
        &self,
        function: &str,
        arguments: impl FnOnce() -> Map<String, Value>,
    ) -> Option<HostResult<String>> {
        let stand_in = self.services.stand_in.as_ref()?;
        if let Err(spent) = self.count_host_call() {
            return Some(Err(HostError::Trap(spent)));
        }
        let arguments = arguments().into_iter().map(|(name, value)| {
            let text = value.as_str().filter(|_| JSON.contains(&&*name));
            let read = text.and_then(|text| serde_json::from_str(text).ok());
            (name, read.unwrap_or(value))
        });
        let answer = stand_in.answer(function, Value::Object(arguments.collect()));
        Some(match answer {
            Ok(Value::String(text)) => Ok(text),
            Ok(value) => Ok(value.to_string()),
            Err(error) => Err(error.into()),
        })
    }
}

/// Give what stands in for a function, if anything does: its name, and its parameters by theirs.
macro_rules! stand_in {
    ($state:ident, $function:literal, $($parameter:ident),+) => {
        let arguments = || {
            let named = [$((
                stringify!($parameter).to_owned(),
                serde_json::json!($parameter),
            )),+];
            named.into_iter().collect()
        };
        if let Some(answer) = $state.stand_in($function, arguments) {
            return answer;
        }
    };
}
pub(super) use stand_in;

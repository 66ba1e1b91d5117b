//! The options that functions of the host take, with their defaults and their limits.
//!
//! A number above its limit is read as the limit. An unknown option is refused, so that a caller
//! who misspells one is told. The host decides what a missing option means, so most options are not
//! written where they are not set.

mod binaries;
mod config;
mod firmware;
mod http;
mod live;
mod notes;
mod number;
mod results;
mod running;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::binaries::{StringOptions, SymbolOptions, WhichSymbols};
pub use self::config::{ApplyOptions, InitOptions, Maker, RemoveOptions, ResetOptions, SetOptions};
pub use self::firmware::{FindOptions, ListOptions, Place};
pub use self::http::HttpOptions;
pub use self::live::{
    HookOptions, HookOutputOptions, PluginOp, PluginOptions, SnapshotAction, SnapshotOptions,
    UnhookOptions,
};
pub use self::notes::NoteOptions;
pub use self::results::{CsvOptions, QueryOptions, RunListOptions, SearchOptions};
pub use self::running::{CommandOptions, Payload, ReachOptions, StartOptions, WaitOptions};
use crate::{Error, Result};

/// The options in `text`, a JSON object that a caller gave as `what`.
pub fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    let json: Value = serde_json::from_str(text).map_err(|error| {
        Error::InvalidArgument(format!(
            "{what} is not JSON ({error}); give JSON text, for example {{}}"
        ))
    })?;
    if !json.is_object() {
        return Err(Error::InvalidArgument(format!(
            "{what} is not a JSON object; give {{}} for the defaults"
        )));
    }
    T::deserialize(json).map_err(|error| Error::InvalidArgument(format!("bad {what}: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal<T: DeserializeOwned>(text: &str) -> String {
        match parse::<T>("options", text) {
            Err(Error::InvalidArgument(why)) => why,
            Err(other) => panic!("{text}: {other:?}"),
            Ok(_) => panic!("{text} is taken"),
        }
    }

    #[test]
    fn nothing_takes_every_default() {
        assert_eq!(
            parse::<StartOptions>("options", "{}").unwrap().backend,
            "auto"
        );
        let search: SearchOptions = parse("options", "{}").unwrap();
        assert_eq!(search, SearchOptions::default());
        let list: ListOptions = parse("options", "{}").unwrap();
        assert_eq!((list.limit, list.offset), (1000, 0));
    }

    #[test]
    fn an_unknown_option_is_refused_with_those_that_there_are() {
        let why = refusal::<StartOptions>(r#"{"timeout": 5}"#);
        assert!(
            why.contains("`timeout`") && why.contains("`timeout_s`"),
            "{why}"
        );
        let why = refusal::<ReachOptions>(r#"{"sned": "x"}"#);
        assert!(why.contains("`sned`") && why.contains("`send`"), "{why}");
        let why = refusal::<RemoveOptions>(r#"{"replace": []}"#);
        assert!(why.contains("`replace`"), "{why}");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert!(refusal::<CsvOptions>("[]").contains("not a JSON object"));
        assert!(refusal::<CsvOptions>("{").contains("not JSON"));
        assert!(refusal::<CsvOptions>(r#"{"limit": "5"}"#).contains("bad options"));
        assert!(refusal::<CsvOptions>(r#"{"limit": -1}"#).contains("0 or more"));
        assert!(refusal::<ReachOptions>(r#"{"send": 5}"#).contains("base64"));
    }

    #[test]
    fn a_number_beyond_what_its_type_holds_is_the_most_that_it_holds() {
        let query: QueryOptions = parse("options", r#"{"limit": 99999999999}"#).unwrap();
        assert_eq!(query.limit, u32::MAX);
        let csv: CsvOptions = parse("options", r#"{"offset": 99999999999}"#).unwrap();
        assert_eq!(csv.offset, Some(u32::MAX));
    }

    #[test]
    fn options_have_the_contract_s_names_and_leave_defaults_to_the_host() {
        assert_eq!(json!(CsvOptions::default()), json!({}));
        let rows = CsvOptions {
            limit: Some(10),
            offset: Some(20),
            ..CsvOptions::default()
        };
        assert_eq!(json!(rows), json!({ "limit": 10, "offset": 20 }));
        let newest = json!({ "limit": 3, "from_end": true, "max_line_bytes": 500 });
        assert_eq!(json!(SearchOptions::newest(3)), newest);
        let search = SearchOptions {
            case_insensitive: true,
            context: Some(2),
            ..SearchOptions::newest(3)
        };
        assert_eq!(json!(search)["case_insensitive"], true);
        assert_eq!(json!(search)["context"], 2);
    }
}

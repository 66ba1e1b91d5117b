//! A patch, or any other file of a configuration.

use rookery_project::yaml;

/// Read it as a configuration and as a result file; what is read can be written and is then the
/// same.
pub fn body(data: &[u8]) {
    let Ok(text) = yaml::decode(data) else { return };
    let _ = yaml::parse_result(&text);
    if let Ok(value) = yaml::parse(&text) {
        let written = yaml::write(&value);
        match yaml::parse(&written) {
            Ok(again) => assert_eq!(again.to_json(), value.to_json(), "{written}"),
            Err(error) => panic!("what was written cannot be read: {error:?}\n{written}"),
        }
    }
}

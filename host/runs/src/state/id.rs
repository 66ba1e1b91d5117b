//! Run ids: `run-PROJECT-RANDOM`, readable, and hard to guess.

use std::path::Path;

use data_encoding::{Encoding, Specification};
use rookery_project::{Error, Result};
use rustix::rand::GetRandomFlags;

/// Characters of the random part: 64 bits in base32.
const RANDOM: usize = 13;
const MAX_SLUG: usize = 24;
const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// A new id for a run of `project_dir`.
pub(crate) fn new(project_dir: &Path) -> Result<String> {
    let mut random = [0; 8];
    let filled = rustix::rand::getrandom(&mut random, GetRandomFlags::empty());
    if filled != Ok(random.len()) {
        return Err(Error::Internal(
            "the machine gives no random numbers".into(),
        ));
    }
    Ok(format!(
        "run-{}-{}",
        slug(project_dir),
        base32()?.encode(&random)
    ))
}

/// Whether `id` can be one of ours. What passes is safe as a file name.
pub(crate) fn is_valid(id: &str) -> bool {
    let Some((slug, random)) = id
        .strip_prefix("run-")
        .and_then(|rest| rest.rsplit_once('-'))
    else {
        return false;
    };
    random.len() == RANDOM
        && random.chars().all(|character| ALPHABET.contains(character))
        && (1..=MAX_SLUG).contains(&slug.len())
        && slug.chars().all(is_slug)
}

/// `NotFound` unless [`is_valid`].
pub(crate) fn check(id: &str) -> Result<()> {
    if is_valid(id) {
        Ok(())
    } else {
        let shown: String = id.chars().take(80).collect();
        Err(Error::NotFound(format!(
            "{shown:?} is not a run id; use the run_id that run returned, such as \
             run-router-0123456789abc"
        )))
    }
}

fn slug(project_dir: &Path) -> String {
    let name = project_dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let slug: String = name
        .chars()
        .map(|character| if is_slug(character) { character } else { '-' })
        .take(MAX_SLUG)
        .collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() {
        "project".to_owned()
    } else {
        slug.to_owned()
    }
}

fn is_slug(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
}

fn base32() -> Result<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    specification
        .encoding()
        .map_err(|error| Error::Internal(format!("base32: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_valid_readable_and_distinct() {
        for project in [
            "/p/router",
            "/p/My Router (v2)",
            "/",
            "/p/…",
            "/p/a-very-long-project-name-indeed-really",
        ] {
            let id = new(Path::new(project)).unwrap();
            assert!(is_valid(&id), "{id}");
            assert_ne!(id, new(Path::new(project)).unwrap());
        }
        assert!(
            new(Path::new("/p/My Router (v2)"))
                .unwrap()
                .starts_with("run-my-router--v2-")
        );
    }

    #[test]
    fn what_could_leave_the_state_directory_is_no_id() {
        for id in [
            "",
            "run-",
            "run-x",
            "../run-a-0123456789abc",
            "run-../../x-0123456789abc",
            "run-a/b-0123456789abc",
            "run-a-0123456789ab",
            "run-a-0123456789abC",
            "run-a-0123456789abc\n",
            "run--\u{0}-0123456789abc",
        ] {
            assert!(!is_valid(id), "{id:?}");
            assert!(matches!(check(id), Err(Error::NotFound(_))));
        }
    }
}

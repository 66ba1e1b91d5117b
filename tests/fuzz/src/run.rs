//! The bounded run of a body.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::mutate::{self, Random};

/// The longest input that is tried.
const LONGEST: usize = 64 << 10;
/// What one input may take of the processor. A busy machine takes longer, but for no more work.
const SLOWEST: Duration = Duration::from_secs(2);
/// What one input may take while it waits.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Call `body` with the seeds of `edge`, and then with changes of them, for `ROOKERY_FUZZ_SECONDS`
/// or a short time; `ROOKERY_FUZZ_SEED` makes other changes. With `ROOKERY_FUZZ_INPUT`, call it
/// with that file only.
///
/// # Panics
///
/// Where `body` panics or takes long: the message names the file that has the input.
pub fn bounded(edge: &str, body: fn(&[u8])) {
    if let Some(file) = env::var_os("ROOKERY_FUZZ_INPUT") {
        return body(&fs::read(file).expect("ROOKERY_FUZZ_INPUT can be read"));
    }
    let number = |name: &str, otherwise| {
        env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let end = Instant::now() + Duration::from_secs(number("ROOKERY_FUZZ_SECONDS", 2));
    let mut random = Random(number("ROOKERY_FUZZ_SEED", 1));
    let seeds = seeds(edge);
    for seed in &seeds {
        attempt(edge, body, seed);
    }
    let mut tried = 0_u64;
    while Instant::now() < end {
        attempt(edge, body, &mutate::input(&mut random, &seeds, LONGEST));
        tried += 1;
    }
    println!("{edge}: {} seeds and {tried} changes of them", seeds.len());
}

fn attempt(edge: &str, body: fn(&[u8]), input: &[u8]) {
    // An end of the whole process, as a stack that overflows is, leaves the input behind.
    let trace = env::var_os("ROOKERY_FUZZ_TRACE").is_some();
    if trace {
        keep(edge, input);
    }
    let (begin, work) = (Instant::now(), worked());
    let outcome = catch_unwind(AssertUnwindSafe(|| body(input)));
    let (took, work) = (begin.elapsed(), worked().saturating_sub(work));
    let what = match outcome {
        Err(_) => "a panic".to_owned(),
        Ok(()) if work > SLOWEST || took > LONGEST_WAIT => {
            format!("{took:?}, {work:?} of them work, for one input")
        }
        Ok(()) => return,
    };
    let file = keep(edge, input);
    panic!(
        "{what}; again with ROOKERY_FUZZ_INPUT={} cargo test --release --test fuzz {edge}",
        file.display()
    );
}

/// What this thread has had of the processor.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn seeds(edge: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(edge);
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("every edge has seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    files.sort();
    let read = |file: PathBuf| fs::read(file).expect("a seed can be read");
    files.into_iter().map(read).collect()
}

fn keep(edge: &str, input: &[u8]) -> PathBuf {
    let file = env::temp_dir().join(format!("rookery-fuzz-{edge}"));
    fs::write(&file, input).expect("the input can be kept");
    file
}

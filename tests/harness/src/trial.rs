//! The test harness of programs whose tests can be skipped: the standard one cannot ignore a test
//! that has begun.

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::skip::Skip;

/// A test is a function that panics or gives an error where a promise is broken, or an `async` one.
pub trait Test<Kind>: Send + 'static {
    /// Run it to its end.
    fn result(self) -> Result<()>;
}

/// The kind of a function that gives nothing.
#[derive(Debug)]
pub struct Plain;

/// The kind of a function.
#[derive(Debug)]
pub struct Blocking;

/// The kind of an `async` function.
#[derive(Debug)]
pub struct Async<F>(F);

impl<T: FnOnce() + Send + 'static> Test<Plain> for T {
    fn result(self) -> Result<()> {
        self();
        Ok(())
    }
}

impl<T: FnOnce() -> Result<()> + Send + 'static> Test<Blocking> for T {
    fn result(self) -> Result<()> {
        self()
    }
}

impl<T, F> Test<Async<F>> for T
where
    T: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<()>>,
{
    fn result(self) -> Result<()> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self())
    }
}

/// One line of the list of tests.
pub fn test<Kind>(name: impl Into<String>, test: impl Test<Kind>) -> Trial {
    Trial::ignorable_test(name, move || {
        let no_skips = std::env::var_os("ROOKERY_NO_SKIPS").is_some();
        outcome(test.result(), no_skips)
    })
}

/// The name of a function of a test program, as the standard harness lists it: without the program.
pub fn name(module: &str, function: &str) -> String {
    match module.split_once("::") {
        Some((_, module)) => format!("{module}::{function}"),
        None => function.to_owned(),
    }
}

/// Run the tests that the command line names.
pub fn run(tests: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// The same one after the other, for tests that take much of the machine.
pub fn run_in_turn(tests: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn outcome(result: Result<()>, no_skips: bool) -> Result<Completion, Failed> {
    let Err(error) = result else {
        return Ok(Completion::Completed);
    };
    match error.downcast_ref::<Skip>() {
        Some(skip) if skip.is_allowed(no_skips) => Ok(Completion::ignored_with(skip)),
        Some(skip) => Err(format!("ROOKERY_NO_SKIPS is set, and this was skipped: {skip}").into()),
        None => Err(format!("{error:?}").into()),
    }
}

/// The list of these functions. The compiler warns of a test that is not in the list, as of any
/// function that nobody calls.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        vec![$($crate::test($crate::name(module_path!(), stringify!($test)), $test)),*]
    };
}

/// The `main` of a test program with `harness = false`: a list of all its tests.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::run($crate::trials![$($test),*])
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_is_ignored_with_its_reason() {
        let skipped = outcome(Err(Skip::missing("no emulator").into()), false);
        let Ok(Completion::Ignored { reason }) = skipped else {
            panic!("it was not ignored");
        };
        assert_eq!(reason.as_deref(), Some("no emulator"));
    }

    #[test]
    fn what_ci_has_cannot_be_skipped_in_ci() {
        assert!(outcome(Err(Skip::missing("no emulator").into()), true).is_err());
        assert!(outcome(Err(Skip::elsewhere("no image").into()), true).is_ok());
    }

    #[test]
    fn a_failure_is_no_skip() {
        assert!(outcome(Err(anyhow::anyhow!("wrong")), false).is_err());
        assert!(outcome(Ok(()), true).is_ok());
    }
}

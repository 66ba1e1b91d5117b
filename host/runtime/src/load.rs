//! Loading: which files there are, and in which order they are looked at.
//!
//! Built-in components come first, whatever their directory, so that nobody takes the name of one;
//! then what is known; then what has to be compiled and asked for its tools, which may take long
//! and holds up nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admission::{Admitted, Candidate, Gate, Look, Refused};
use crate::component_file::{self, wasm_files};
use crate::policy::cores;
use crate::runtime::Runtime;
use crate::seats::Origin;
use crate::{LoadReport, Lock, Rejected};

/// New components that are examined at the same time; most of that is waiting for a compiler or for
/// an answer.
const EXAMINED: usize = 16;

/// So long one that was examined waits for those before it.
const IN_ORDER: Duration = Duration::from_secs(1);

/// Components that are not known yet.
pub struct Pending(Vec<(PathBuf, Candidate)>);

impl Pending {
    /// Their files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(file, _)| file.as_path())
    }
}

impl Runtime {
    /// Admit every `*.wasm` file of `dirs` that is not hidden: built-in ones first, then in name
    /// order. A file that fails is reported and skipped; so is one that holds a tool whose name is
    /// taken by a file before it.
    pub fn load(&self, dirs: &[PathBuf]) -> LoadReport {
        let (mut report, pending) = self.load_known(dirs);
        let rest = Mutex::new(&mut report);
        self.load_new(pending, |one| {
            if let Ok(mut report) = rest.lock() {
                report.plugins.extend(one.plugins);
                report.rejected.extend(one.rejected);
            }
        });
        report.warnings.extend(self.misspelt_tools());
        report
    }

    /// [`Self::load`] without what has to be compiled first, but for built-in components.
    pub fn load_known(&self, dirs: &[PathBuf]) -> (LoadReport, Pending) {
        let mut report = LoadReport::default();
        let mut files = Vec::new();
        for dir in dirs {
            match wasm_files(dir) {
                Ok(found) => files.extend(found),
                Err(error) => {
                    report.rejected.push(Rejected {
                        file: dir.clone(),
                        rule: "admission".to_owned(),
                        reason: format!("the plugin directory cannot be read: {error}"),
                    });
                }
            }
        }
        let pending = self.look_at(&files, false, &mut report);
        for (name, refusal) in self.missing(&files) {
            self.refuse(
                Path::new(&format!("{name}.wasm")),
                None,
                refusal,
                &mut report,
            );
        }
        (report, pending)
    }

    /// Admit what is not known yet. `loaded` is told of each file when it is done, from several
    /// threads.
    ///
    /// A name belongs to whoever comes first in the order of the files, not to whoever is examined
    /// first; but for one that takes longer than a second nobody waits.
    pub fn load_new(&self, pending: Pending, loaded: impl Fn(LoadReport) + Sync) {
        let gate = self.gate(false);
        let left: Mutex<BTreeSet<usize>> = Mutex::new((0..pending.0.len()).collect());
        let (changed, begun) = (Condvar::new(), Instant::now());
        let numbered = pending.0.into_iter().enumerate().collect();
        on_threads(EXAMINED, numbered, |(n, (file, candidate))| {
            let found = gate.examine(candidate);
            let left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let patience = IN_ORDER.saturating_sub(begun.elapsed());
            let waited =
                changed.wait_timeout_while(left, patience, |left| left.first() != Some(&n));
            let (mut left, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let mut report = LoadReport::default();
            self.register(&file, found, &mut report);
            left.remove(&n);
            drop(left);
            changed.notify_all();
            loaded(report);
        });
    }

    /// Admit `files` as [`Self::load`] would if they lay in the last of `dirs`, and report on them
    /// only. One that has the name of a file there is taken for its new version; one that was
    /// refused before is looked at again.
    pub fn check(&self, dirs: &[PathBuf], files: &[PathBuf]) -> LoadReport {
        let given: Vec<PathBuf> = files
            .iter()
            .filter_map(|file| file.canonicalize().ok())
            .collect();
        let is_given = |file: &Path| file.canonicalize().is_ok_and(|file| given.contains(&file));
        let is_replaced = |file: &Path| {
            self.origin(file) == Origin::Added
                && files.iter().any(|new| new.file_name() == file.file_name())
        };
        let others: Vec<PathBuf> = dirs
            .iter()
            .filter_map(|dir| wasm_files(dir).ok())
            .flatten()
            .filter(|file| !is_given(file) && !is_replaced(file))
            .collect();
        let mut report = LoadReport::default();
        let names = |files: &[PathBuf]| {
            files
                .iter()
                .map(|file| component_file::name(file))
                .collect()
        };
        let (mut all_names, mut digests): (BTreeSet<String>, _) = (names(&others), BTreeSet::new());
        all_names.extend(names(files));
        let mut beside = LoadReport::default();
        let pending = self.look(&others, false, &mut digests, &mut beside);
        self.load_new(pending, |_| {});
        let pending = self.look(files, true, &mut digests, &mut report);
        let rest = Mutex::new(&mut report);
        self.load_new(pending, |one| {
            if let Ok(mut report) = rest.lock() {
                report.plugins.extend(one.plugins);
                report.rejected.extend(one.rejected);
            }
        });
        report.warnings = self.policy().unmatched(&all_names, &digests);
        report
    }

    fn look_at(&self, files: &[PathBuf], again: bool, report: &mut LoadReport) -> Pending {
        let names = files
            .iter()
            .map(|file| component_file::name(file))
            .collect();
        let mut digests = BTreeSet::new();
        let pending = self.look(files, again, &mut digests, report);
        report.warnings = self.policy().unmatched(&names, &digests);
        pending
    }

    /// Look at `files` on all cores, and register them in their order. New built-in components are
    /// examined at once.
    fn look(
        &self,
        files: &[PathBuf],
        again: bool,
        digests: &mut BTreeSet<String>,
        report: &mut LoadReport,
    ) -> Pending {
        let gate = self.gate(again);
        let (built_in, added): (Vec<_>, Vec<_>) = files
            .iter()
            .map(|file| (file.clone(), self.origin(file)))
            .partition(|(_, origin)| *origin == Origin::BuiltIn);
        let mut pending = Vec::new();
        for group in [built_in, added] {
            let looks = on_threads(cores(), group, |(file, origin)| {
                let look = match gate.look(&file, origin) {
                    Look::New(new) if origin == Origin::BuiltIn => Look::Known(gate.examine(new)),
                    look => look,
                };
                (file, look)
            });
            for (file, look) in looks {
                match look {
                    Look::Known(known) => {
                        digests.extend(match &known {
                            Ok(admitted) => Some(admitted.digest.clone()),
                            Err(refused) => refused.digest.clone(),
                        });
                        self.register(&file, known, report);
                    }
                    Look::New(candidate) => {
                        digests.insert(candidate.digest().to_owned());
                        pending.push((file, candidate));
                    }
                }
            }
        }
        self.keep_known_files();
        Pending(pending)
    }

    fn register(&self, file: &Path, found: Result<Admitted, Refused>, report: &mut LoadReport) {
        let admitted = match found {
            Ok(admitted) => admitted,
            Err(Refused { digest, refusal }) => {
                return self.refuse(file, digest.as_deref(), refusal, report);
            }
        };
        let digest = admitted.digest.clone();
        match self.add(file, admitted) {
            Ok(plugin) => report.plugins.push(plugin),
            Err(refusal) => self.refuse(file, Some(&digest), refusal, report),
        }
    }

    pub(crate) fn gate(&self, again: bool) -> Gate<'_> {
        Gate {
            again,
            ..self.parts()
        }
    }
}

impl LoadReport {
    /// The lock that serves what was admitted, and nothing else.
    pub fn lock(&self) -> Lock {
        Lock::of(self.plugins.iter().map(|plugin| {
            let name = component_file::name(&plugin.file);
            (name, plugin.digest.as_str(), plugin.built_in)
        }))
    }
}

/// Do `work` on all `items` on at most so many threads; the results in the order of the items.
/// Threads of their own also because loading may be asked for on a thread of an asynchronous
/// runtime, where waiting is not allowed.
fn on_threads<T: Send, R: Send>(
    most: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let count = items.len();
    let items: Vec<Mutex<Option<T>>> = items
        .into_iter()
        .map(|item| Mutex::new(Some(item)))
        .collect();
    let results: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..most.min(count) {
            scope.spawn(|| {
                while let Some((item, result)) = {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    items.get(n).zip(results.get(n))
                } {
                    let item = item.lock().ok().and_then(|mut item| item.take());
                    let done = item.map(&work);
                    if let Ok(mut result) = result.lock() {
                        *result = done;
                    }
                }
            });
        }
    });
    results
        .into_iter()
        .filter_map(|result| result.into_inner().ok().flatten())
        .collect()
}

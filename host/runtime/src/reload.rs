//! A plugin's new version takes the old one's place while the runtime serves.

use std::path::Path;

use crate::LoadReport;
use crate::admission::{Admitted, Look, Refused};
use crate::decision::Refusal;
use crate::runtime::Runtime;

impl Runtime {
    /// Look at `file` again. A component is admitted as at the start, and only then takes the place
    /// of what the file held before; one that is refused changes nothing. Calls that are under way
    /// end on the component that they began with.
    ///
    /// Compiles on the calling thread, which must not be one of an asynchronous runtime.
    pub fn reload(&self, file: &Path) -> LoadReport {
        let mut report = LoadReport::default();
        if !file.exists() {
            let gone = Refusal::from("its file is not there any more".to_owned());
            self.withdraw(file, gone, &mut report);
            return report;
        }
        let admitted = match self.examined(file) {
            Ok(admitted) => admitted,
            Err(Refused { digest, refusal }) => {
                self.refuse(file, digest.as_deref(), refusal, &mut report);
                return report;
            }
        };
        let digest = admitted.digest.clone();
        match self.add(file, admitted) {
            Ok(plugin) => report.plugins.push(plugin),
            Err(refusal) => self.refuse(file, Some(&digest), refusal, &mut report),
        }
        report
    }

    /// The same for the file of a tool that is being written: it stands in for what is installed
    /// under its name.
    pub fn reload_instead(&self, file: &Path) -> LoadReport {
        // That is what was asked for, and nothing to report.
        let mut unsaid = LoadReport::default();
        let installed = file.file_name().map(|name| self.added_files(name));
        for other in installed.into_iter().flatten() {
            if other != file {
                let why = format!("{} stands in for it", file.display());
                self.withdraw(&other, Refusal::from(why), &mut unsaid);
            }
        }
        self.reload(file)
    }

    fn examined(&self, file: &Path) -> Result<Admitted, Refused> {
        let gate = self.gate(true);
        let admitted = match gate.look(file, self.origin(file)) {
            Look::Known(known) => known?,
            Look::New(candidate) => gate.examine(candidate)?,
        };
        let ready = admitted.code.make_ready(self.machine());
        ready.map_err(|reason| Refused {
            digest: Some(admitted.digest.clone()),
            refusal: reason.into(),
        })?;
        Ok(admitted)
    }
}

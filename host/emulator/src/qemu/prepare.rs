//! The emulator as a plan needs it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use rookery_project::{Error, Result};
use rookery_runs::plan::{IoctlCommand, Plan};

use crate::qemu::emulator::{COMPLETE, Qemu};
use crate::qemu::kept::Changed;
use crate::qemu::{ioctl_table, requests, shared_memory, told, unaligned, unknown_ioctls};

/// What is changed about the emulator for the sake of ioctl models, and of ioctls of the network
/// that it does not know.
#[derive(Default)]
pub struct Prepared {
    /// Its file, where that was changed.
    pub file: Option<Vec<u8>>,
    /// Commands that its table was given.
    pub patched: HashSet<u32>,
    /// Where its table is.
    pub table: Option<ioctl_table::Table>,
    /// It is to log every system call before it makes it.
    pub announces_ioctls: bool,
    /// Where its `syscall` is by which it tells of its guest's calls, where it was changed so.
    pub tells: Option<u64>,
    /// It attaches shared memory wherever its guest wants it.
    pub attaches: bool,
    /// How large a program's stack is, in bytes, where that is not for the emulator to say.
    pub stack: Option<u64>,
    /// Its version.
    pub version: Option<(u32, u32)>,
    /// The processor that the plan asks for.
    pub cpu: Option<String>,
    /// What it lacks.
    pub notes: Vec<Cow<'static, str>>,
}

const NO_OLDER_THREADS: &str = "this emulator's code has an unknown layout, so threads of older C \
                                libraries (LinuxThreads) fail with EINVAL, and a reboot ends the \
                                run; Debian's qemu-user 7.2 and 10.0 are known";
const NO_MODEL_IOCTLS: &str = "this emulator's ioctl table has an unknown layout, so only ioctls \
                               that the emulator knows reach models";

fn no_cpu(qemu: &Qemu, name: &str) -> String {
    let arch = qemu.arch.qemu;
    format!(
        "core.cpu {name:?} is no processor of qemu-{arch}, so programs run on the one that it \
         chooses; `qemu-{arch}-static -cpu help` lists those that it has"
    )
}

impl Prepared {
    /// Give its file away, where it was changed, kept between runs in the directory `cache`.
    pub fn keep(&mut self, cache: &Path) -> Option<Changed> {
        let program = self.file.take()?;
        Some(Changed::keep(cache, program))
    }

    /// What `plan` needs of the first of `qemus`; `others` are commands that it is to pass on
    /// besides those of models.
    pub fn new(plan: &Plan, qemus: &[Qemu], others: impl Iterator<Item = u32>) -> Result<Self> {
        let of_interfaces = || {
            let all = plan.interface_ioctls.iter().map(|model| model.command);
            all.filter(|command| *command != IoctlCommand::Any)
        };
        let commands = || {
            plan.pseudofiles
                .iter()
                .flat_map(|(_, model)| model.ioctl.iter().map(|(command, _)| *command))
                .chain(of_interfaces())
        };
        let Some(qemu) = qemus.first() else {
            return Ok(Self::default());
        };
        let mut file =
            std::fs::read(&qemu.path).map_err(|error| Error::io("read", &qemu.path, &error))?;
        let version = qemu.version(&file);
        let any = commands().any(|command| command == IoctlCommand::Any);
        let tells = told::patch(&mut file, qemu.arch, any);
        let sends = requests::patch(&mut file, qemu.arch);
        let needs = version.is_some_and(|version| version < COMPLETE) && qemu.arch.is_32_bit();
        let remaps = needs && shared_memory::patch(&mut file);
        let attaches = !needs || remaps;
        let unaligned = qemu.arch.qemu.starts_with("mips") && unaligned::patch(&mut file);
        let changed = [
            unknown_ioctls::patch(&mut file, qemu.arch),
            tells.is_some(),
            sends,
            remaps,
            unaligned,
        ];
        let changed = changed.contains(&true);
        let mut notes = Vec::new();
        let mut cpu = plan.cpu.clone();
        if let Some(name) = cpu.take_if(|name| !Qemu::has_cpu(&file, name)) {
            notes.push(no_cpu(qemu, &name).into());
        }
        if tells.is_none() {
            notes.push(NO_OLDER_THREADS.into());
        }
        let Some(mut table) = ioctl_table::find(&file, qemu.arch) else {
            if commands().next().is_some() {
                notes.push(NO_MODEL_IOCTLS.into());
            }
            return Ok(Self {
                file: changed.then_some(file),
                tells,
                attaches,
                version,
                cpu,
                notes,
                ..Self::default()
            });
        };
        let numbers = commands().filter_map(|command| match command {
            IoctlCommand::Number(number) => Some(number),
            IoctlCommand::Any => None,
        });
        let small = ioctl_table::SMALL.into_iter().filter(|_| any);
        let patched = ioctl_table::patch(&mut file, &mut table, numbers.chain(small).chain(others));
        Ok(Self {
            file: (changed || !patched.is_empty()).then_some(file),
            tells,
            patched,
            table: Some(table),
            announces_ioctls: any,
            stack: None,
            attaches,
            version,
            cpu,
            notes,
        })
    }
}

//! The device of vendors' drivers of the NVRAM.

use rookery_runs::plan::{Ioctl, IoctlCommand, Plan, Pseudofile, Read, Write};

use crate::files::devices::{Backing, Device, Devices};

/// Where it is.
pub const PATH: &str = "/dev/nvram";
/// The numbers that Linux has for one.
const NUMBERS: (u32, u32) = (10, 144);

/// Add it, unless the plan has a model of it that answers with something. `false` where it has.
pub fn add(devices: &mut Devices, plan: &Plan) -> bool {
    let known = devices.get(PATH);
    let device = Device {
        mode: libc::S_IFCHR | 0o666,
        numbers: known.map_or(NUMBERS, |device| device.numbers),
        size: 0,
        backing: Backing::Nvram,
    };
    devices.replace(PATH, device, |known| match known.backing {
        Backing::Model(index) => {
            let model = plan.pseudofiles.get(index);
            model.is_some_and(|(_, model)| !is_dumb(model))
        }
        _ => false,
    })
}

/// Whether a model only keeps its device from being missed, as Penguin's own for known names do.
fn is_dumb(model: &Pseudofile) -> bool {
    let zero = |(command, answer): &(IoctlCommand, Ioctl)| {
        (*command, answer) == (IoctlCommand::Any, &Ioctl::Return(0))
    };
    let reads_nothing = match &model.read {
        Read::Default => true,
        Read::Bytes(bytes) => matches!(bytes.as_slice(), b"0" | b"" | b"0\n"),
        Read::Stateful(_) | Read::Cycle(_) | Read::Sequence { .. } => false,
    };
    let swallows = matches!(model.write, Write::Discard | Write::Record);
    reads_nothing && swallows && model.ioctl.iter().all(zero)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::files::devices::tests::plan;
    use crate::qemu::arch::Arch;

    fn is_added(change: impl FnOnce(&mut Pseudofile)) -> bool {
        let mut plan = plan();
        let mut model = Pseudofile::default();
        change(&mut model);
        plan.pseudofiles = vec![(PATH.into(), model)];
        let arch = Arch::by_name("mipsel").unwrap();
        let mut devices = Devices::new(&plan, &[], &BTreeSet::new(), arch);
        let added = add(&mut devices, &plan);
        assert_eq!(added, devices.get(PATH).unwrap().backing == Backing::Nvram);
        added
    }

    #[test]
    fn a_model_that_answers_with_something_stays_and_one_that_does_not_gives_way() {
        assert!(is_added(|_| ()));
        assert!(is_added(|model| {
            model.read = Read::Bytes(b"0".to_vec());
            model.ioctl = vec![(IoctlCommand::Any, Ioctl::Return(0))];
        }));
        assert!(!is_added(
            |model| model.read = Read::Bytes(b"lan=1".to_vec())
        ));
        assert!(!is_added(|model| model.write = Write::Unhandled));
        assert!(!is_added(|model| {
            model.ioctl = vec![(IoctlCommand::Number(7), Ioctl::Return(0))];
        }));
    }
}

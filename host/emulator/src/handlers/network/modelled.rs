//! What the configuration says that drivers of interfaces answer.

use rookery_runs::plan::{InterfaceIoctl, Ioctl, IoctlCommand, Plan};
use rustix::io::Errno;

use crate::guest::access::{HasPlan, HasServices};
use crate::handlers::network::argument::{Argument, NAME};
use crate::handlers::network::{Answer, code};

/// Whether a command that the emulator was taught is one of these.
pub fn is_command(plan: &Plan, command: u32) -> bool {
    let mut models = plan.interface_ioctls.iter();
    models.any(|model| model.command == IoctlCommand::Number(command))
}

/// The answer of a model to a command about the interface `name`. `None` where there is none: also
/// to a command of a bridge or a VLAN that no model names, which is none of a driver's.
pub fn answer<'a>(
    guest: &mut (impl HasPlan<'a> + HasServices),
    command: u32,
    name: &str,
    argument: &Argument,
) -> Option<Result<Answer, Errno>> {
    let model = InterfaceIoctl::of(&guest.plan().interface_ioctls, name, command)?;
    if model.command == IoctlCommand::Any && !super::is_of_drivers(command) {
        return None;
    }
    if let Some(Err(error)) = guest.services().network().map(|network| network.link(name)) {
        return Some(Err(code(&error)));
    }
    let (data, value) = match &model.answer {
        Ioctl::Return(value) => (None, *value),
        Ioctl::WriteData(data, value) => (Some(data), *value),
        Ioctl::Unhandled | Ioctl::Time | Ioctl::FlashChip(_) => {
            return Some(Err(Errno::OPNOTSUPP));
        }
    };
    let place = if model.by_pointer {
        argument.data()
    } else {
        argument.address + NAME as u64
    };
    let writes = data.map(|data| (place, data.clone()));
    Some(Ok(Answer {
        value,
        ..Answer::of(writes)
    }))
}

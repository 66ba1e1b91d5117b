//! The calls that mend a blocker. A guest chooses names, so a name enters a call only as a value
//! that was checked for its kind; no call lets the guest reach a file of the host, the network
//! outside, a plugin or a budget.

use rookery_plugin::change::can_be_modelled;
use rookery_plugin::guest::{is_interface, is_plain_path, is_setting};
use rookery_plugin::shapes::EntryKind;
use rookery_plugin::{FindOptions, Next, Place, RootFilesystem};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::blockers::cause::{Cause, State};
use crate::blockers::subject::Subject;
use crate::nvram::own_value;
use crate::timeline::base;

/// Files of the same name that are looked at.
const OTHERS: u32 = 8;
/// Bytes of a flash partition whose size is not known: an erase block or two, which is what
/// settings have.
const PARTITION: u32 = 128 << 10;
/// A shim of Penguin's that does nothing and succeeds.
pub const DOES_NOTHING: &str = "/igloo/utils/exit0.sh";

/// How likely it is that the calls mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // each would make the schema larger, which agents read
pub enum Sure {
    High,
    Medium,
    Low,
}

/// Calls in order, how sure they are, and what has to be known of them.
pub struct Fix {
    pub calls: Vec<Next>,
    pub sure: Sure,
    pub hint: &'static str,
}

impl Fix {
    fn none(hint: &'static str) -> Self {
        Self {
            calls: Vec::new(),
            sure: Sure::Low,
            hint,
        }
    }

    fn call(tool: &str, arguments: serde_json::Value, sure: Sure, hint: &'static str) -> Self {
        Self {
            calls: vec![Next::call(tool, arguments)],
            sure,
            hint,
        }
    }
}

/// What is known of the project.
pub struct Project<'a, R> {
    pub directory: Option<&'a str>,
    pub root: Option<&'a R>,
    /// Where the guest mounted a file system of its own, which hides what is added to the firmware.
    pub mounts: &'a [String],
}

/// How to mend a cause. `program` is the path of its process's program, where it is known.
pub fn fix(project: &Project<impl RootFilesystem>, cause: &Cause, program: Option<&str>) -> Fix {
    let Some(directory) = project.directory else {
        return Fix::none("The project of these results is not known, so no call can be given.");
    };
    match (&cause.subject, cause.state) {
        (_, State::Rebooted) => reboot(directory, program),
        (Some(subject), _) => of_subject(project, directory, subject, cause),
        (None, state) => of_state(directory, state, program),
    }
}

fn of_state(directory: &str, state: State, program: Option<&str>) -> Fix {
    match state {
        State::HoldsUp => match program.filter(|path| is_plain_path(path)) {
            Some(path) => Fix::call(
                "add_static_file",
                json!({
                    "project_dir": directory,
                    "path": path,
                    "spec": { "type": "shim", "target": DOES_NOTHING }
                }),
                Sure::Low,
                "The shim does nothing in its place, so that the script goes on; right if nothing \
                 else needs the program.",
            ),
            None => Fix::none("The script goes on when that program ends."),
        },
        State::Starting => Fix::call(
            "run",
            json!({ "project_dir": directory, "timeout": 180 }),
            Sure::Medium,
            "Let the run go on for longer; making keys takes a minute and more.",
        ),
        State::Killed => Fix::none(
            "Find out why the signal was sent: usually a watchdog missed something. block_signal \
             swallows a signal.",
        ),
        _ => Fix::none(
            "What it lacked is not recorded. The console may say more, and so may its other calls \
             (db_query).",
        ),
    }
}

/// Whether this, a word of the firmware's, is the plain path of a program that does nothing else.
pub fn is_reboot_program(path: &str) -> bool {
    const PROGRAMS: [&str; 4] = ["reboot", "halt", "poweroff", "shutdown"];
    is_plain_path(path) && PROGRAMS.contains(&base(path))
}

/// A shim in the place of a program that does nothing but reboot.
fn reboot(directory: &str, program: Option<&str>) -> Fix {
    match program.filter(|path| is_reboot_program(path)) {
        Some(path) => Fix::call(
            "add_static_file",
            json!({
                "project_dir": directory,
                "path": path,
                "spec": { "type": "shim", "target": DOES_NOTHING }
            }),
            Sure::Medium,
            "The shim keeps the firmware up. Usually one of its own checks failed: what it did not \
             get may matter more.",
        ),
        None => Fix::none(
            "Usually one of the firmware's own checks failed: look at what the console says before \
             each start.",
        ),
    }
}

fn of_subject(
    project: &Project<impl RootFilesystem>,
    directory: &str,
    subject: &Subject,
    cause: &Cause,
) -> Fix {
    match subject {
        Subject::Interface(name) if is_interface(name) => Fix::call(
            "add_netdev",
            json!({ "project_dir": directory, "name": name }),
            Sure::High,
            "The interface has no address then; if the firmware gives it none, the next run tells.",
        ),
        Subject::InterfaceAddress(name) if is_interface(name) => address(project, directory, name),
        Subject::Interface(_) | Subject::InterfaceAddress(_) => {
            Fix::none("The kernel takes no interface of this name.")
        }
        Subject::Device(path) => device(directory, path),
        Subject::Ioctl(text) => ioctl(directory, text),
        Subject::Directory(path) => made_directory(project, directory, path),
        Subject::File(path) | Subject::Library(path) | Subject::Program(path) => {
            file(project, directory, path, subject, cause)
        }
        Subject::Peer(_) => Fix::none(
            "The service that answers at this address does not run: look for the program that \
             makes it, and why it was not started.",
        ),
        Subject::Address(address) => own_address(directory, address),
        Subject::BootArgument(_) => Fix::none(
            "Set it with set_env (set_uboot_env for a variable of the boot loader), to the value \
             that the program's words or its strings call for.",
        ),
        Subject::NvramKey(key) => nvram(project, directory, key, cause.state),
        Subject::Call(_) => Fix::none("The emulator or the sandbox refuses this call."),
    }
}

/// A value for a key, where the firmware's own files say one.
fn nvram(project: &Project<impl RootFilesystem>, directory: &str, key: &str, state: State) -> Fix {
    let is_plain = is_setting(key);
    match project
        .root
        .filter(|_| is_plain)
        .and_then(|root| own_value(root, key))
    {
        Some(value) => Fix::call(
            "set_nvram",
            json!({ "project_dir": directory, "key": key, "value": value }),
            Sure::Medium,
            "The firmware's own files give the key this value, by a program or script that did not \
             run.",
        ),
        None if is_plain && state == State::Crashed => Fix::call(
            "set_nvram",
            json!({ "project_dir": directory, "key": key, "value": "" }),
            Sure::Medium,
            "The program takes a missing key for a text. An empty value lets it go on; replace it \
             by what the device has.",
        ),
        None => Fix::none(
            "Set it with set_nvram, to the value that the program's words or its strings call for. \
             With DYNVALDYNVALDYNVAL as its value, the next run's env_cmp.txt lists what a program \
             compares it with.",
        ),
    }
}

/// The address that a service wants to be bound to, for the interface that every guest has.
fn own_address(directory: &str, address: &str) -> Fix {
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) if address.is_ipv4() => Fix::call(
            "add_netdev",
            json!({
                "project_dir": directory,
                "name": "eth0",
                "address": format!("{}/24", address.ip())
            }),
            Sure::Medium,
            "No interface of the guest has this address. If the firmware makes one for it (br0), \
             name that instead of eth0.",
        ),
        _ => Fix::none(
            "No interface of the guest has this address: give it to one, or let the service listen \
             elsewhere.",
        ),
    }
}

/// An address for an interface, from the firmware's own defaults where they say one.
fn address(project: &Project<impl RootFilesystem>, directory: &str, name: &str) -> Fix {
    const USUAL: &str = "192.168.1.1";
    let options = FindOptions {
        r#in: Place::Content,
        limit: 1,
        ..FindOptions::default()
    };
    let known = project.root.and_then(|root| {
        let pattern = r"lan_ipaddr=[0-9]{1,3}(\.[0-9]{1,3}){3}";
        let found = root.search_files(pattern, &options).ok()?;
        let text = found.matches.into_iter().next()?.text;
        let (_, value) = text.split_once("lan_ipaddr=")?;
        let address: String = value
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        address.parse::<std::net::Ipv4Addr>().ok()
    });
    let address = known.map_or_else(|| USUAL.to_owned(), |address| address.to_string());
    let sure = if known.is_some() {
        Sure::Medium
    } else {
        Sure::Low
    };
    let address = format!("{address}/24");
    Fix::call(
        "add_netdev",
        json!({ "project_dir": directory, "name": name, "address": address }),
        sure,
        "Nothing of the firmware gives the interface an address; from the next run on it has this \
         one.",
    )
}

fn device(directory: &str, path: &str) -> Fix {
    let name = base(path);
    if name.contains("nvram") {
        return Fix::none(
            "The program asks a vendor's driver for settings (NVRAM) by a device that no known \
             driver has. set_nvram sets what programs ask of a library or of /dev/nvram.",
        );
    }
    if name.starts_with("mtd") {
        return partition(directory, path);
    }
    if !can_be_modelled(path) || !is_plain_path(path) {
        return Fix::none("This path cannot be modelled.");
    }
    let arguments = if path.starts_with("/dev/") {
        json!({
            "project_dir": directory,
            "path": path,
            "read": { "model": "empty" },
            "write": { "model": "discard" },
            "ioctl": { "*": { "model": "return_const", "val": 0 } }
        })
    } else {
        json!({ "project_dir": directory, "path": path, "read": { "model": "empty" } })
    };
    Fix::call(
        "add_pseudofile",
        arguments,
        Sure::Medium,
        "The model is there, has nothing to read, and takes what is written. If the program then \
         fails at what it reads, give it the device's own contents (const_buf).",
    )
}

/// A flash partition of which the firmware says nothing.
fn partition(directory: &str, path: &str) -> Fix {
    let digits = path.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits = digits.trim_end_matches("ro");
    match digits.parse::<u8>() {
        Ok(number) => Fix::call(
            "set_config",
            json!({
                "project_dir": directory,
                "path": format!("plugins.mtd.devices.mtd{number}"),
                "value": { "id": number, "model": "zeros", "size": PARTITION }
            }),
            Sure::Low,
            "A flash partition of zeros; with an image of the device's, put it into the project \
             and name it instead: model backing_file, backing_file FILE.",
        ),
        Err(_) => Fix::none("The program asks for a flash partition that has no number."),
    }
}

fn ioctl(directory: &str, text: &str) -> Fix {
    match text.split_once(' ') {
        Some((path, command)) if is_plain_path(path) && is_hexadecimal(command) => Fix::call(
            "add_pseudofile",
            json!({
                "project_dir": directory,
                "path": path,
                "ioctl": { command: { "model": "return_const", "val": 0 } }
            }),
            Sure::Medium,
            "The command then succeeds and writes nothing.",
        ),
        _ => Fix::none("The command was given to a file that cannot be modelled."),
    }
}

fn made_directory<R: RootFilesystem>(project: &Project<R>, directory: &str, path: &str) -> Fix {
    let below = |mount: &String| {
        path.strip_prefix(mount.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if project.mounts.iter().any(below) {
        return Fix::none(
            "The guest mounts a file system over this place, so that a directory added to the \
             firmware would be hidden: its own scripts have to make it.",
        );
    }
    if !is_plain_path(path) {
        return Fix::none("The directory's name is none that a call can hold.");
    }
    Fix::call(
        "add_static_file",
        json!({
            "project_dir": directory,
            "path": path,
            "spec": { "type": "dir", "mode": "0755" }
        }),
        Sure::High,
        "The directory is made on the device by its first boot, or by a script that did not run.",
    )
}

fn file(
    project: &Project<impl RootFilesystem>,
    directory: &str,
    path: &str,
    subject: &Subject,
    cause: &Cause,
) -> Fix {
    if !is_plain_path(path) {
        return Fix::none("The file's name is none that a call can hold.");
    }
    let add =
        |spec: serde_json::Value| json!({ "project_dir": directory, "path": path, "spec": spec });
    if let Some(other) = project.root.and_then(|root| same_name(root, path)) {
        return Fix::call(
            "add_static_file",
            add(json!({ "type": "symlink", "target": other })),
            Sure::Medium,
            "The firmware has a file of this name in another place.",
        );
    }
    match subject {
        Subject::Library(_) => Fix::none(
            "The firmware has no library of this name: it was lost in extraction, or lies in a \
             partition that was not extracted.",
        ),
        Subject::Program(_) => Fix::call(
            "add_static_file",
            add(json!({ "type": "shim", "target": DOES_NOTHING })),
            Sure::Low,
            "The firmware has no such program. The shim does nothing in its place; right if only \
             its success is wanted.",
        ),
        _ if cause.state == State::Waits => Fix::call(
            "add_static_file",
            add(json!({ "type": "inline_file", "contents": "" })),
            Sure::Medium,
            "The program waits until the file is there. On the device another program makes it: \
             better if that one is made to run.",
        ),
        _ => Fix::call(
            "add_static_file",
            add(json!({ "type": "inline_file", "contents": "" })),
            Sure::Low,
            "What belongs into the file is not known: replace the empty contents by what the \
             device has.",
        ),
    }
}

/// Another file of the firmware's with the same name.
fn same_name(root: &impl RootFilesystem, path: &str) -> Option<String> {
    let escaped: String = base(path)
        .chars()
        .flat_map(|c| {
            (!c.is_ascii_alphanumeric())
                .then_some('\\')
                .into_iter()
                .chain([c])
        })
        .collect();
    let options = FindOptions {
        r#in: Place::Path,
        limit: OTHERS,
        ..FindOptions::default()
    };
    let found = root.search_files(&format!("/{escaped}$"), &options).ok()?;
    let others = found.matches.into_iter().map(|found| found.path);
    others
        .filter(|other| other != path && is_plain_path(other))
        .find(|other| {
            root.stat(other)
                .is_ok_and(|file| file.kind == EntryKind::File)
        })
}

fn is_hexadecimal(number: &str) -> bool {
    let digits = number.strip_prefix("0x").unwrap_or_default();
    (1..=8).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flash_partition_is_made_by_its_number() {
        for (path, number) in [
            ("/dev/mtd3", 3),
            ("/dev/mtd12ro", 12),
            ("/dev/mtdblock4", 4),
            ("/dev/mtdblock/5", 5),
        ] {
            let calls = partition("/p", path).calls;
            assert_eq!(calls[0].arguments["value"]["id"], number, "{path}");
        }
        for path in ["/dev/mtd", "/dev/mtd300", "/dev/mtd-x"] {
            assert!(partition("/p", path).calls.is_empty(), "{path}");
        }
    }

    #[test]
    fn a_command_is_a_number() {
        assert!(is_hexadecimal("0x8915") && !is_hexadecimal("8915") && !is_hexadecimal("0x"));
    }
}

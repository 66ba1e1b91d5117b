//! The same root filesystem without Rookery: qemu-user in namespaces of its own, and nobody who
//! looks. Only for an image that this project made: nothing else holds a guest here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Nobody, and nobody's group.
const NOBODY: &str = "65534";
/// What `binfmt_misc` compares of a program's header: its class, its byte order and its machine.
const COMPARED: [bool; 20] = {
    let mut compared = [true; 20];
    let mut at = 7;
    while at < 18 {
        compared[at] = false;
        at += 1;
    }
    compared
};

/// In namespaces that were just made: `$1` is the root, `$2` the line that makes programs run.
const INSIDE: &str = r#"
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mkdir "$1/tmp/binfmt"
mount -t binfmt_misc binfmt_misc "$1/tmp/binfmt"
printf %s "$2" >"$1/tmp/binfmt/register"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for device in null zero; do
    touch "$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
exec chroot "$1" /bin/sh /etc/measured
"#;

/// What `script` prints in `image`, whose programs are all like its `/bin/busybox`.
pub fn run(folder: &Path, image: &Path, script: &str) -> Result<String> {
    let root = folder.join("plain");
    fs::create_dir_all(&root)?;
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(image)
        .arg("-C")
        .arg(&root)
        .status()?;
    ensure!(unpacked.success(), "tar cannot unpack {}", image.display());
    fs::write(root.join("etc/measured"), script)?;
    let header = fs::read(root.join("bin/busybox"))?;
    let header = header.get(..20).context("busybox has no header")?;
    fs::copy(emulator(header)?, root.join("emulator"))?;
    let line = registration(header, &root.join("emulator"));
    let mut command = as_nobody(folder)?;
    command
        .args(["--user", "--map-root-user", "--mount", "--net", "--pid"])
        .args(["--ipc", "--uts", "--fork", "--kill-child", "sh", "-c"])
        .args([INSIDE, "sh"])
        .arg(&root)
        .arg(line);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the plain guest: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `unshare(1)`, as a user who is not root.
fn as_nobody(folder: &Path) -> Result<Command> {
    if !rustix::process::getuid().is_root() {
        return Ok(Command::new("unshare"));
    }
    let opened = Command::new("chmod")
        .arg("a+rX")
        .arg(folder)
        .arg("-R")
        .status()?;
    ensure!(opened.success(), "chmod of {}", folder.display());
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg("unshare");
    Ok(command)
}

/// The emulator of the machine in an ELF header (`elf(5)`, `e_machine`).
fn emulator(header: &[u8]) -> Result<PathBuf> {
    let name = match (header[5], header[18].max(header[19])) {
        (1, 40) => "arm",
        (1, 8) => "mipsel",
        (2, 8) => "mips",
        (1, 183) => "aarch64",
        (order, machine) => bail!("no emulator is known for machine {machine}, order {order}"),
    };
    let mut files = ["-static", ""].map(|end| PathBuf::from(format!("/usr/bin/qemu-{name}{end}")));
    let found = files.iter_mut().find(|file| file.exists());
    Ok(std::mem::take(found.context("there is no qemu-user")?))
}

/// As `binfmt_misc(5)` has it: opened at once, with the rights of the caller, and the name that the
/// program was called by.
fn registration(header: &[u8], emulator: &Path) -> String {
    let escaped = |bytes: &mut dyn Iterator<Item = u8>| {
        let bytes: Vec<_> = bytes.map(|byte| format!("\\x{byte:02x}")).collect();
        bytes.concat()
    };
    let mask = COMPARED.map(|compared| if compared { 0xFF } else { 0 });
    let magic = header.iter().zip(mask).map(|(byte, mask)| byte & mask);
    format!(
        ":plain:M::{}:{}:{}:POCF",
        escaped(&mut magic.into_iter()),
        escaped(&mut mask.into_iter()),
        emulator.display()
    )
}

"""Run the test programs of the embedded emulator under Debian's kernels, too, and compare.

Each program of host/emulator/tests/programs says what holds, a line each. It is built for each CPU
that Debian has a kernel and a machine of qemu-system for, static and dynamic, booted there, and run
in Rookery. A line
that one has and the other has not is a fault of ours or of the program, unless DIFFERENCES has it.
"""

import fnmatch
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE.parents[1] / "host/emulator/tests/programs"
FLAGS = ["-O1", "-Wall", "-Werror"]
DYNAMIC = "-dynamic"
LIBRARIES = ("libc.so.6", "libpthread.so.0")
SKIPPED = 77
# The most that all programs may take on one machine.
SECONDS = 900

# Rookery's name of an architecture: its compiler, the machine, and that one's console.
MACHINES = {
    "mipsel": ("mipsel-linux-gnu-gcc",
               "qemu-system-mipsel -M malta -vga none -cpu 74Kf -m 512", "ttyS0"),
    "mips64el": ("mips64el-linux-gnuabi64-gcc",
                 "qemu-system-mips64el -M malta -vga none -cpu MIPS64R2-generic -m 1G", "ttyS0"),
    "armel": ("arm-linux-gnueabi-gcc", "qemu-system-arm -M virt -m 1G", "ttyAMA0"),
    "aarch64": ("aarch64-linux-gnu-gcc",
                "qemu-system-aarch64 -M virt -cpu cortex-a57 -m 1G", "ttyAMA0"),
}

# Programs that say how the sandbox itself behaves, that are about events, or about devices that a
# plan describes. Octeon and NaNs of 2008 need a processor that none of these machines has.
ONLY_OURS = {"respawns", "services", "failures", "models", "flash", "nvram", "usual_devices",
             "interfaces", "links", "options", "hotplug", "coldplug", "capture", "octeon",
             "nan2008", "computes"}

# Where Rookery answers otherwise on purpose: program, architecture, line, reason.
DIFFERENCES = [
    ("consoles", "*", r".* /dev/tty(S0|AMA0|S1)( .*)?",
     "a terminal that the firmware mentions is there, also one that this machine lacks"),
    ("images", "*", r"(yes|no ) opened again it is its file",
     "a loop device with an offset is read from the file's beginning"),
    ("images", "*", r"(yes|no ) (lzma|cpio)\.img: .*",
     "squashfs with lzma, and cpio, are mounted as a vendor's kernel does; Debian's does not"),
    ("images", "*", r"(yes|no ) but any other type seems mounted",
     "what cannot be mounted seems to be, so that a boot goes on"),
    ("ioctls", "*", r"(yes|no ) nor a disk that shows nothing",
     "the emulator answers a command that it does not know, whatever the file: ENOTTY, not EINVAL"),
    ("mounts", "*", r"(yes|no ) (a flash|is listed|mounted anew|unmounted|mounted again"
     r"|a vendor's own type)",
     "what cannot be mounted seems to be, so that a boot goes on"),
]


def main():
    rookery, kernels, wanted = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    failures, skipped = [], False
    for arch in wanted or MACHINES:
        missing = what_is_missing(arch, kernels / arch)
        if missing:
            print(f"SKIPPED: the kernel of {arch}: {missing}", flush=True)
            skipped = True
            continue
        for linked in ("", DYNAMIC):
            with tempfile.TemporaryDirectory() as scratch:
                failures += compare(arch, linked, rookery, kernels / arch, Path(scratch))
    if not wanted and not skipped:
        failures += [f"nothing differs so any more: {rule[:3]}" for rule in DIFFERENCES
                     if rule not in USED]
    for failure in failures:
        print("FAIL", failure)
    sys.exit(1 if failures else SKIPPED if skipped else 0)


def what_is_missing(arch, kernel):
    compiler, machine, _ = MACHINES[arch]
    for program in (compiler, machine.split()[0], "mksquashfs", "cpio"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return "" if kernel.is_dir() else "this machine's Debian mirror has none"


def compare(arch, linked, rookery, kernel, scratch):
    scratch.chmod(0o755)
    programs = [path for path in sorted(PROGRAMS.glob("*.c"))
                if path.stem not in ONLY_OURS and is_for(path, arch)]
    trees = {path.stem + linked: build(path, arch, scratch / (path.stem + linked))
             for path in programs}
    begin = time.monotonic()
    theirs, failures = boot(arch, trees, kernel, scratch)
    print(f"{arch}: the kernel ran {time.monotonic() - begin:.0f} s", flush=True)
    for name, tree in trees.items():
        said = said_by(theirs.get(name, []))
        ours = said_by(run(rookery, tree, scratch / f"{name}.project"))
        differing = [f"{arch} {name}: the kernel {who}: {line}"
                     for who, line in differences(said, ours) if not expected(name, arch, line)]
        print(f"{arch} {name}: the kernel said {sum(said.values())} lines,"
              f" {len(differing)} of them or of ours differ", flush=True)
        failures += differing
    return failures


def differences(kernel, ours):
    for line in kernel - ours:
        yield "alone says", line
    for line in ours - kernel:
        yield "does not say", line


USED = []


def expected(program, arch, line):
    program = program.removesuffix(DYNAMIC)
    for rule in DIFFERENCES:
        if rule[0] == program and fnmatch.fnmatch(arch, rule[1]) and re.fullmatch(rule[2], line):
            USED.append(rule)
            return True
    return False


def said_by(lines):
    """What a program said; errno of a call that did not fail is chance."""
    said = (re.sub(r" \(errno \d+\)$", "", line) for line in lines)
    return Counter(line for line in said if re.match(r"(yes|no ) |the end$|start ", line))


def is_for(source, arch):
    """A source says it where it is for some architectures only."""
    only = re.findall(r"// only: (\S+)$", source.read_text(), re.MULTILINE)
    return not only or arch in only


def build(source, arch, tree):
    """The root filesystem of a program, as host/emulator/tests/programs/main.rs makes it."""
    compiler, linking = MACHINES[arch][0], ["-static"]
    for directory in ("sbin", "etc", "proc", "sys", "dev", "tmp"):
        (tree / directory).mkdir(parents=True)
    if tree.name.endswith(DYNAMIC):
        linking = ["-Wl,--dynamic-linker=/lib/ld.so,-rpath,/lib"]
        add_libraries(compiler, tree / "lib")
    subprocess.run([compiler, *FLAGS, *linking, "-o", tree / "sbin/init", source], check=True)
    for command in re.findall("// before: (.*)", source.read_text()):
        subprocess.run(["sh", "-ec", command], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return tree


def add_libraries(compiler, where):
    asked = subprocess.run([compiler, f"-print-file-name={LIBRARIES[0]}"], check=True,
                           stdout=subprocess.PIPE, text=True)
    place = Path(asked.stdout.strip()).parent
    where.mkdir()
    for name in LIBRARIES:
        shutil.copy(place / name, where)
    # Debian has that of some architectures with 64 bits beside it.
    loaders = [*place.glob("ld*.so.*"), *(place / "../lib64").glob("ld*.so.*")]
    shutil.copy(loaders[0], where / "ld.so")


def run(rookery, tree, project):
    """What the program prints in Rookery."""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    made = subprocess.run([rookery, "init", tree, "-o", project, "--json"], **quiet)
    if made.returncode != 0:
        raise SystemExit(made.stdout.decode())
    subprocess.run([rookery, "run", project, "--timeout", "60", "--backend", "user"], **quiet)
    consoles = sorted(project.glob("results/*/console.log"))
    return consoles[-1].read_text(errors="replace").splitlines() if consoles else []


def boot(arch, trees, kernel, scratch):
    """What each program prints under Debian's kernel, and what went wrong there."""
    compiler, machine, console = MACHINES[arch]
    init, ramdisk = scratch / "init", scratch / "ramdisk"
    subprocess.run([compiler, *FLAGS, "-static", "-o", init, HERE / "init.c"], check=True)
    # A Malta has 256 MiB where its kernel puts files, and the archive is there beside them.
    ramdisk.write_bytes(gzip.compress(initramfs(init, kernel, trees), 1))
    words = f"console={console} loglevel=1 panic=-1 rdinit=/init now={int(time.time())}"
    command = [*machine.split(), "-kernel", kernel / "kernel", "-initrd", ramdisk, "-append", words,
               "-nographic", "-no-reboot", "-nic", "none", "-monitor", "none"]
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=SECONDS)
        output = ran.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
    text = output.decode(errors="replace").replace("\r", "")
    said, current = {}, None
    for line in text.splitlines():
        if line.startswith("=== "):
            current = said.setdefault(line.removeprefix("=== "), [])
        elif current is not None:
            current.append(line)
    wrong = [f"{arch}: {line}" for line in text.splitlines() if line.startswith("kernel")]
    if "over" not in said:
        wrong.append(f"{arch}: the kernel did not come to the end:\n{text[-2000:]}")
    return said, wrong


def initramfs(init, kernel, trees):
    modules = (kernel / "modules").read_text().split()
    archive = Archive()
    archive.node("dev", 0o040755)
    archive.node("dev/console", 0o020600, device=(5, 1))
    archive.node("init", 0o100755, init.read_bytes())
    archive.node("modules", 0o040755)
    for name in modules:
        archive.node(f"modules/{name}", 0o100644, (kernel / name).read_bytes())
    archive.text("modules/order", (f"/modules/{name}" for name in modules))
    archive.node("trees", 0o040755)
    archive.text("trees/list", trees)
    for name, tree in trees.items():
        archive.tree(f"trees/{name}", tree)
    return archive.end()


class Archive:
    """A cpio archive as the kernel takes it. Everything is root's."""

    def __init__(self):
        self.out = io.BytesIO()
        self.number = 0

    def node(self, name, mode, data=b"", device=(0, 0)):
        self.number += 1
        path = name.encode() + b"\0"
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
        self.out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + path)
        self.pad()
        self.out.write(data)
        self.pad()

    def text(self, name, lines):
        self.node(name, 0o100644, "".join(f"{line}\n" for line in lines).encode())

    def pad(self):
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def tree(self, name, root):
        self.node(name, 0o040755)
        for path in sorted(root.rglob("*")):
            entry = f"{name}/{path.relative_to(root)}"
            about = path.lstat()
            if path.is_symlink():
                self.node(entry, about.st_mode, os.readlink(path).encode())
            else:
                self.node(entry, about.st_mode, b"" if path.is_dir() else path.read_bytes())

    def end(self):
        self.node("TRAILER!!!", 0)
        return self.out.getvalue()


if __name__ == "__main__":
    main()

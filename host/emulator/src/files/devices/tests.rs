use super::*;

pub fn plan() -> Plan {
    Plan {
        project_dir: "/p".into(),
        archive: "/p/fs".into(),
        results_dir: "/p/r".into(),
        cache_dir: "/p/c".into(),
        cache_max: None,
        arch: "mipsel".into(),
        init: "/sbin/init".into(),
        env: vec![
            ("board".into(), "x1".into()),
            ("quiet".into(), String::new()),
        ],
        netdevs: vec![],
        addresses: vec![],
        uplink: None,
        interface_ioctls: vec![],
        capture: false,
        blocked_signals: vec![],
        pseudofiles: vec![],
        flash: vec![],
        static_files: vec![],
        nvram: vec![],
        library: rookery_runs::plan::Library::default(),
        uboot_env: vec![],
        kernel_release: None,
        cpu: None,
        kernel_cmdline_append: None,
        record_events: true,
        record_env: true,
        timeout_s: 5,
        extended_s: None,
        memory_max: rookery_runs::plan::memory_max(),
        ports: rookery_runs::ports::Ports::default(),
        notes: vec![],
    }
}

fn node(path: &str, major: u32, minor: u32) -> Node {
    Node {
        path: path.into(),
        block: false,
        major,
        minor,
        mode: 0o600,
    }
}

#[test]
fn terminals_are_the_sandboxs_own() {
    let nodes = [node("/dev/ptmx", 5, 2), node("/dev/tty", 5, 0)];
    let devices = Devices::new(
        &plan(),
        &nodes,
        &BTreeSet::new(),
        Arch::by_name("mipsel").unwrap(),
    );
    assert_eq!(devices.get("/dev/ptmx"), None);
    assert_eq!(devices.get("/dev/tty"), None);
}

#[test]
fn a_console_has_every_name_of_the_firmwares_and_its_nodes_numbers() {
    let nodes = [node("/dev/ttyPS0", 207, 16)];
    let names = ["ttyPS0", "ttyAMA0"].map(str::to_owned).into();
    let devices = Devices::new(&plan(), &nodes, &names, Arch::by_name("armel").unwrap());
    let [one, other] = ["/dev/ttyPS0", "/dev/ttyAMA0"].map(|path| devices.get(path).unwrap());
    assert_eq!((one.numbers, &one.backing), ((207, 16), &Backing::Console));
    assert_eq!((other.numbers.0, &other.backing), (4, &Backing::Console));
    assert_eq!(
        devices.get("/proc/kmsg").unwrap().backing,
        Backing::KernelLog
    );
}

#[test]
fn a_device_is_where_its_file_is() {
    let nodes = [node("/dev/gpio", 127, 3)];
    let mut devices = Devices::new(
        &plan(),
        &nodes,
        &BTreeSet::new(),
        Arch::by_name("mipsel").unwrap(),
    );
    assert!(devices.without_file("/dev/gpio").is_some());
    devices.place("/dev/gpio", (9, 1));
    assert_eq!(devices.without_file("/dev/gpio"), None);
    assert_eq!(devices.of_file((9, 1)).unwrap().0, "/dev/gpio");
    assert_eq!(devices.of_file((8, 1)), None);
    devices.forget(9);
    assert_eq!(devices.of_file((9, 1)), None);
}

#[test]
fn a_model_keeps_the_numbers_of_the_archives_node() {
    let mut plan = plan();
    plan.pseudofiles = vec![
        ("/dev/gpio".into(), Pseudofile::default()),
        ("/proc/x".into(), Pseudofile::default()),
    ];
    let arch = Arch::by_name("mipsel").unwrap();
    let mut devices = Devices::new(
        &plan,
        &[node("/dev/gpio", 127, 3), node("/dev/wd", 10, 130)],
        &BTreeSet::new(),
        arch,
    );
    let gpio = devices.get("/dev/gpio").unwrap();
    assert_eq!(
        (gpio.mode, gpio.numbers, &gpio.backing),
        (libc::S_IFCHR | 0o600, (127, 3), &Backing::Model(0))
    );
    assert_eq!(
        devices.get("/proc/x").unwrap().mode & libc::S_IFMT,
        libc::S_IFREG
    );
    assert_eq!(devices.get("/dev/wd").unwrap().backing, Backing::Nothing);
    let null = Device::node(false, (1, 3), 0o666);
    devices.make("/dev/gpio", null.clone(), (9, 1));
    devices.make("/dev/n", null, (9, 2));
    let backing = |file| devices.of_file(file).map(|(_, device)| device.backing);
    assert_eq!(backing((9, 1)), Some(Backing::Model(0)));
    assert_eq!(backing((9, 2)), Some(Backing::Host("/dev/null")));
    assert!(devices.directory("/proc").is_some() && devices.directory("/proc/y").is_none());
    assert!(
        devices
            .placeholders()
            .iter()
            .all(|(path, _)| !path.starts_with("/proc"))
    );
}

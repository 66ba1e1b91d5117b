//! What the guest's file system holds that no disk does.

pub mod console;
pub mod consoles;
pub mod devices;
pub mod drivers;
pub mod flash;
pub mod flash_chip;
pub mod image_mount;
pub mod interfaces;
pub mod loops;
pub mod machine;
pub mod mount_names;
pub mod mounting;
pub mod mounts;
pub mod nvram;
pub mod older_threads;
pub mod private;
pub mod process_file;
pub mod sys_tree;
pub mod uboot_env;

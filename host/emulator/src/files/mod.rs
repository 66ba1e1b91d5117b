//! What the guest's file system holds that no disk does.

pub mod console;
pub mod consoles;
pub mod devices;
pub mod drivers;
pub mod flash;
pub mod image_mount;
pub mod interfaces;
pub mod loops;
pub mod machine;
pub mod mount_names;
pub mod mounting;
pub mod mounts;
pub mod nvram;
pub mod private;
pub mod process_file;
pub mod sys_tree;
pub mod uboot_env;

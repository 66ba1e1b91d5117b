//! Any bytes at an edge are survived, and soon dealt with.

use std::process::ExitCode;

use rookery_fuzz::run::bounded;
use rookery_fuzz::{
    component_file, control_socket, firmware_archive, firmware_image, firmware_symbols,
    http_answer, json_rpc, netlink, patch_yaml, result_files,
};
use rookery_images::READ_IMAGE;

fn component_file_is_survived() {
    bounded("component_file", component_file::body);
}

fn control_socket_is_survived() {
    bounded("control_socket", control_socket::body);
}

fn firmware_archive_is_survived() {
    bounded("firmware_archive", firmware_archive::body);
}

fn firmware_image_is_survived() {
    bounded("firmware_image", firmware_image::body);
}

fn firmware_symbols_are_survived() {
    bounded("firmware_symbols", firmware_symbols::body);
}

fn http_answer_is_survived() {
    bounded("http_answer", http_answer::body);
}

fn json_rpc_is_survived() {
    bounded("json_rpc", json_rpc::body);
}

fn netlink_is_survived() {
    bounded("netlink", netlink::body);
}

fn patch_yaml_is_survived() {
    bounded("patch_yaml", patch_yaml::body);
}

fn result_files_are_survived() {
    bounded("result_files", result_files::body);
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // The confined process is this program, called anew.
    if arguments.next().is_some_and(|first| first == READ_IMAGE) {
        return rookery_images::read_image(arguments);
    }
    rookery_harness::run(rookery_harness::trials![
        component_file_is_survived,
        control_socket_is_survived,
        firmware_archive_is_survived,
        firmware_image_is_survived,
        firmware_symbols_are_survived,
        http_answer_is_survived,
        json_rpc_is_survived,
        netlink_is_survived,
        patch_yaml_is_survived,
        result_files_are_survived,
    ])
}

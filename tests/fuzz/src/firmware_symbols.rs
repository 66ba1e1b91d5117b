//! A program of the firmware, whose symbols are read, and the table of NVRAM values in it.

/// Read the symbols as the confined process does, and the table as whoever looks for one.
pub fn body(data: &[u8]) {
    let _ = rookery_images::write_symbols(data, std::io::sink());
    let _ = rookery_project::firmware::nvram::table("/lib/libnvram.so", data);
}

//! The values that Penguin gives to the NVRAM of every firmware, where that has none of its own.

/// As firmadyne and `FirmAE` found that firmware needs them.
const DEFAULTS: &[(&str, &str)] = &[
    ("console_loglevel", "7"),
    ("restore_defaults", "1"),
    ("sku_name", ""),
    ("wla_wlanstate", ""),
    ("lan_if", "br0"),
    ("lan_ipaddr", "192.168.0.50"),
    ("lan_bipaddr", "192.168.0.255"),
    ("lan_netmask", "255.255.255.0"),
    ("time_zone", "PST8PDT"),
    ("wan_hwaddr_def", "01:23:45:67:89:ab"),
    ("wan_ifname", "eth0"),
    ("lan_ifnames", "eth1 eth2 eth3 eth4"),
    ("ethConver", "1"),
    ("lan_proto", "dhcp"),
    ("wan_ipaddr", "0.0.0.0"),
    ("wan_netmask", "255.255.255.0"),
    ("wanif", "eth0"),
    ("time_zone_x", "0"),
    ("rip_multicast", "0"),
    ("bs_trustedip_enable", "0"),
    ("et0macaddr", "01:23:45:67:89:ab"),
    ("filter_rule_tbl", ""),
    ("pppoe2_schedule_config", "127:0:0:23:59"),
    ("schedule_config", "127:0:0:23:59"),
    ("access_control_mode", "0"),
    ("fwpt_df_count", "0"),
    ("static_if_status", "1"),
    ("www_relocation", ""),
];

/// One key for each number of a range, which takes the place of `%`.
const NUMBERED: &[(&str, &str, std::ops::RangeInclusive<u32>)] = &[
    (
        "usb_info_dev%",
        "A200396E0402FF83@1@14.4G@U@1@USB_Storage;U:;0;0@",
        0..=101,
    ),
    ("wla_ap_isolate_%", "", 1..=5),
    ("wlg_ap_isolate_%", "", 1..=5),
    ("wlg_allow_access_%", "", 1..=5),
    ("%:macaddr", "01:23:45:67:89:ab", 0..=3),
    ("lan%_ifnames", "", 1..=10),
];

/// All of them.
pub fn defaults() -> Vec<(String, String)> {
    let plain = DEFAULTS
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let numbered = NUMBERED.iter().flat_map(|(key, value, numbers)| {
        numbers
            .clone()
            .map(|number| (key.replace('%', &number.to_string()), (*value).to_owned()))
    });
    plain.chain(numbered).collect()
}

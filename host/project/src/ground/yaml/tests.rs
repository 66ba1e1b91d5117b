//! What the readers accept, and how they refuse the rest.

use super::value::{Key, Value};
use super::{decode, locate, parse, parse_result};

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_tree_is_the_same_json_written_at_once_and_made_first() {
    let scalars =
        "a: [null, true, 1, 1.5, .inf, .nan, \"é\\n\", !!binary AP8=, 99999999999999999999]";
    let keys = "1: {true: x, 1.5: y}\nk: {}\nl: []";
    for text in [scalars, keys, "x"] {
        let tree = parse(text).unwrap();
        let written = serde_json::to_string(&tree).unwrap();
        assert_eq!(written, tree.to_json().to_string(), "{text}");
    }
}

#[test]
fn what_penguins_loader_refuses_is_refused_with_its_place() {
    assert!(
        message("env:\n  A: x\n  A: y\n").starts_with("line 3, column 6: key \"A\" is given twice"),
        "{}",
        message("env:\n  A: x\n  A: y\n")
    );
    assert!(message("A: x\n---\nB: y\n").contains("second document"));
    for tabbed in [
        "env:\n\tA: x\n",
        "{\n\t\"env\": {}\n}",
        "a:\tb\n",
        "a: b\t\n",
        "a: b\tc\n",
        "a: b\n\t\nc: d\n",
        "a: b\t# c\n",
        "a: \"b\"\t\n",
        "a: 'b'\t # c\n",
        "{\"a\"\t: b}\n",
    ] {
        assert!(parse(tabbed).is_err(), "{tabbed:?}");
    }
    for tabbed in [
        "a: \"b\tc\"\n",
        "a: 'b\tc'\n",
        "a: |\n  b\tc\n  \td\nb: 1\n",
        "a: b # c\td\n",
        "#\tx\na: b\n",
        "a: >\n  x\ty\n",
    ] {
        assert!(parse(tabbed).is_ok(), "{tabbed:?} {:?}", parse(tabbed));
    }
    assert!(message("env: {A: !!python/object/apply:os.system ['id']}").contains("tag"));
    assert!(message("a: \u{7}").contains("U+0007"));
    assert!(parse("env: {a: b").is_err());
    assert!(parse("a: *nope").is_err());
    assert!(parse("? [a]\n: b").is_err());
    assert!(decode(b"a: \xff").is_err());
}

#[test]
fn what_only_the_parser_here_would_read_is_refused() {
    for text in [
        "{a: &x A, b: *x, c: &x C}",
        "a: &x 1\nb: &x [2]\n",
        "a: &x# c\n",
        "%YAML 2.0\n---\na: b\n",
        "\u{feff}a: b\n",
        "{a: :b}",
        "{a: |b}",
        "[a?b]",
        "{a: !}",
        "{\"a\"\n: b}",
        "{a\nb: c}",
        "a:\n  : b\n",
        "a: b\u{85}c",
        "a: \"b\u{2028}c\"",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    assert!(parse(&format!("{{{}: b}}", "a".repeat(1100))).is_err());
    assert!(message("a: \"\\ud83d\\ude00\"").contains("write the character itself"));
    assert!(parse("? \"d\n  e\"\n: f\ng: ! 5\n").is_ok());
}

#[test]
fn a_layout_that_only_penguins_scanner_reads_is_read_alike() {
    for (text, same) in [
        ("/x: {\n    type: dir\n}\n", "/x: {type: dir}"),
        (
            "k:\n  /x: {\n    a: [\nb,\n  c\n]\n}\nl: d\n",
            "{k: {/x: {a: [b, c]}}, l: d}",
        ),
        ("a:\n  - b: \"c\nd\n\n e\"\n", "a: [{b: \"c d\\ne\"}]"),
        ("a: 'b'# c\nd: [e,# f\ng]# h\n", "{a: b, d: [e, g]}"),
        (
            "k:\n  a: plain [ \"\n   [ more\n  b: |\n   [ \"\n    {\n  c: \"x\ny\"\n",
            "k: {a: 'plain [ \" [ more', b: \"[ \\\"\\n {\\n\", c: x y}",
        ),
        ("a: |\n  b", "a: b"),
        ("a: |+\n  b\n ", "a: \"b\\n\""),
    ] {
        assert_eq!(parse(text), parse(same), "{text:?}");
        assert!(parse(text).is_ok(), "{text:?}");
    }
}

#[test]
fn a_hostile_layout_costs_little() {
    let broken = "a: [\nb]\n";
    for hostile in [
        "- ".repeat(30) + &" ".repeat(500_000) + "a: [\n" + &"b,\n".repeat(200_000),
        broken.to_owned() + "a" + &"\n".repeat(500_000),
        broken.to_owned() + &"- ".repeat(200_000) + &"\na: |\n".repeat(50_000),
        broken.to_owned() + "{" + &"a\n".repeat(200_000),
    ] {
        let start = std::time::Instant::now();
        assert!(parse(&hostile).is_err());
        assert!(start.elapsed().as_secs() < 20, "{}", &hostile[..60]);
    }
}

#[test]
fn anchors_work_and_their_bombs_do_not() {
    let value = parse("a: &m {x: 1}\nb: *m\nc: {<<: *m}\n").unwrap();
    assert_eq!(value.get("b").unwrap().get("x"), Some(&Value::Int(1)));
    assert!(
        value.get("c").unwrap().get("<<").is_some(),
        "a merge key is a plain key in YAML 1.2"
    );
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let previous = format!("*a{}, ", level - 1).repeat(10);
        bomb.extend([format!("a{level}: &a{level} [{previous}]\n")]);
    }
    assert!(message(&bomb).contains("aliases"));
    let deep = message(&format!("{}{}", "[".repeat(1000), "]".repeat(1000)));
    assert!(
        deep.contains("deeper") || deep.contains("recursion"),
        "{deep}"
    );
}

#[test]
fn tags_of_the_core_schema_and_binary_are_understood() {
    let value = parse("a: !!str 5\nb: !!binary aGk=\nc: !!int \"7\"\n0x10: d\n").unwrap();
    assert_eq!(value.get("a"), Some(&Value::from("5")));
    assert_eq!(value.get("b"), Some(&Value::Bytes(b"hi".to_vec())));
    assert_eq!(value.get("c"), Some(&Value::Int(7)));
    assert!(value.as_map().unwrap().contains_key(&Key::Int(16)));
}

#[test]
fn the_place_of_a_path_is_found() {
    let text = "env:\n  A: x\nlist:\n  - a\n  - {b: c}\n";
    let path = |dotted: &str| dotted.split('.').map(str::to_owned).collect::<Vec<_>>();
    let places = locate(text, ["env.A", "list.1.b", "nope"].map(path).into());
    assert_eq!(places.get(&path("env.A")), Some(&(2, 6)));
    assert_eq!(places.get(&path("list.1.b")), Some(&(5, 9)));
    assert_eq!(places.get(&path("nope")), None);
}

#[test]
fn result_files_keep_ambiguous_names_as_text() {
    let names = parse_result("- 0o17\n- SX_DEBUG\n- 'yes'\n- 08\n").unwrap();
    assert_eq!(names, serde_json::json!(["0o17", "SX_DEBUG", "yes", "08"]));
    let crashes = parse_result(
        "crashes:\n- proc: dsad\n  pid: 412\n  time: 15.212\n  pc: '0x13'\n  mode: 0o644\n08: {}\n",
    )
    .unwrap();
    assert_eq!(
        crashes,
        serde_json::json!({
            "crashes": [{"proc": "dsad", "pid": 412, "time": 15.212, "pc": "0x13", "mode": 420}],
            "08": {}
        })
    );
    assert_eq!(parse_result("").unwrap(), serde_json::Value::Null);
    assert!(parse_result("a: [").is_err());
}

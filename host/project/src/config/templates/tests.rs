//! What templates see, print and may cost.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn render(text: &str) -> Result<String, TemplateError> {
    let renderer = Renderer::default();
    let file = Value::from_json(
        &json!({"core": {"arch": "intel64", "mem": "1G", "kvm": true}, "vars": {"n": 5, "m": "{{ n }}!", "d": {"z": 1, "a": 2}}}),
    );
    let context = renderer.context(&file, None).unwrap();
    renderer.string(text.to_owned(), &context)
}

#[test]
fn variables_are_those_that_penguin_has() {
    assert_eq!(
        render("{{ arch }} {{ core.arch }} {{ core.mem }} {{ core.kvm }} {{ m }}\n").unwrap(),
        "x86_64 intel64 1G True 5!\n"
    );
    assert_eq!(
        render("{% if n == 5 %}a{% else %}b{% endif %}").unwrap(),
        "a"
    );
    assert!(render("{{ nope }}").is_err());
    assert!(render("echo ${#x}").is_err());
    assert!(render("${%}").is_err());
}

#[test]
fn every_short_text_of_template_characters_renders_to_itself() {
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        texts = texts
            .iter()
            .flat_map(|text| ['{', '}', '%', '#', '\r', '\''].map(|c| format!("{text}{c}")))
            .collect();
        for text in &texts {
            let quoted = neutralise(text);
            if quoted != *text {
                assert_eq!(render(&quoted).as_ref(), Ok(text), "{quoted}");
            }
            assert_eq!(restore(&quoted), *text);
        }
    }
}

#[test]
fn neutralised_text_renders_to_itself() {
    for text in [
        "{{7*7}}",
        "${#x}",
        "{%",
        "{{{",
        "{{{%#",
        "}}{{}}",
        "{{ '{{' }}",
        "a\r\nb{#\r",
        "{{ '\\r' }}",
        "{",
        "{ {",
        "{\r{%",
        "plain\r",
    ] {
        assert_eq!(
            render(&neutralise(text)).unwrap(),
            text,
            "{}",
            neutralise(text)
        );
        assert_eq!(restore(&neutralise(text)), text);
    }
    assert_eq!(restore("{{ arch }}"), "{{ arch }}");
}

#[test]
fn what_jinja2_renders_is_rendered_alike() {
    for (template, rendered) in [
        ("{% if arch.startswith('x86') %}a{% endif %}", "a"),
        (
            "{{ arch | replace('_', '-') }} {{ 'a,b'.split(',')[1] }}",
            "x86-64 b",
        ),
        (
            "{{ [1, 2] | join(',') }} {{ 'a b' | title }} {{ '%04x' | format(n) }}",
            "1,2 A B 0005",
        ),
        (
            "{{ '{:04x}'.format(n) }} {{ ','.join(['a', 'b']) }}",
            "0005 a,b",
        ),
        (
            "{% for i in range(3) %}{{ i }}{% endfor %}{{ range(3) | list }}",
            "012[0, 1, 2]",
        ),
        (
            "{% set x = 5 %}{{ x }}{% with y = 1 %}{{ y }}{% endwith %}",
            "51",
        ),
        (
            "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}{% block b %}x{% endblock %}",
            "1x",
        ),
        (
            "{{ {'z': 1, 'a': none, 'k': (1.5, true)} }}",
            "{'z': 1, 'a': None, 'k': (1.5, True)}",
        ),
        (
            "{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}",
            "z1a2",
        ),
        (
            "{{ ['it\\'s', 1e16] | string }} {{ 'a' ~ core.kvm }}",
            "[\"it's\", 1e+16] aTrue",
        ),
        (&"{{ 'lib' ~ m }}".repeat(20), &"lib5!".repeat(20)),
    ] {
        assert_eq!(render(template).as_deref(), Ok(rendered), "{template}");
    }
    for refused in [
        "{{ 'a,b' | split(',') }}",
        "{{ n is startingwith('a') }}",
        "{{ debug() }}",
    ] {
        assert!(render(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_hostile_template_costs_little() {
    let nested = |open: &str, close: &str| open.repeat(40) + "x" + &close.repeat(40);
    for hostile in [
        nested("{% for a in m %}", "{% endfor %}"),
        nested("{% for a in range(100) %}", "{% endfor %}"),
        "{{ 'x' * 10 ** 9 }}".to_owned(),
        "{{ 'x' * 100000000 * 100000000 }}".to_owned(),
        "{% set a = 'x' * 10000000 %}{{ a | length }}".to_owned(),
        "{{ range(10 ** 9) | list }}".to_owned(),
        "{{ (range(99999) | list * 9999) | join('x' * 9999) }}".to_owned(),
        "{{ ('x' * 9999).join(range(99999)) }}".to_owned(),
        "{{ ('x' * 99999).replace('x', 'y' * 99999) }}".to_owned(),
        "{{ ('x' * 99999).strip('y' * 99999) }}".to_owned(),
        "{{ ('{0}' * 99999).format('y' * 99999) }}".to_owned(),
        "{{ '{:999999999}'.format(1) }}{{ '{:{}}'.format(1, 999999999) }}".to_owned(),
        "{{ '%999999999d' | format(1) }}".to_owned(),
        "{% set a = [1] * 99 %}{% set a = [a] * 99 %}{% set a = [a] * 99 %}{% set a = [a] * 99 %}{{ a }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
    ] {
        let start = Instant::now();
        assert!(render(&hostile).is_err(), "{hostile}");
        assert!(start.elapsed() < Duration::from_secs(20), "{hostile}");
    }
}

#[test]
fn a_value_nested_deeply_does_not_exhaust_the_stack() {
    let sets = "{% set a = [] %}".to_owned() + &"{% set a = [a] %}".repeat(3000);
    let namespace =
        "{% set n = namespace(a=[]) %}{% for i in range(1200) %}{% set n.a = [n.a] %}{% endfor %}";
    for show in [
        "",
        "{{ a }}",
        "{{ a | string }}",
        "{{ 'x' ~ a }}",
        "{{ a | tojson }}",
        "{{ [a] | join }}",
        "{{ a == [a] }}",
        "{{ a | pprint }}",
    ] {
        let templates = [
            sets.clone() + show,
            namespace.to_owned() + &show.replace('a', "n.a"),
        ];
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let thread = small.spawn(move || templates.map(|template| render(&template)));
        for nested in thread.unwrap().join().unwrap() {
            assert!(nested.is_ok() || !show.is_empty(), "{nested:?}");
        }
    }
}

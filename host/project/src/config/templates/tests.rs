//! What templates see, print and may cost.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn render(text: &str) -> Result<String, TemplateError> {
    let renderer = Renderer::default();
    let file = Value::from_json(&json!({
        "core": {"arch": "intel64", "mem": "1G", "kvm": true},
        "vars": {"n": 5, "m": "{{ n }}!", "d": {"z": 1, "a": 2}}
    }));
    let context = renderer.context(&file, None).unwrap();
    renderer.string(text.into(), &context).map(String::from)
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
        "{% set a = [1] * 99 %}{% set a = [a] * 99 %}{% set a = [a] * 99 %}{% set a = [a] * 99 \
         %}{{ a }}"
            .to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        // What the engine does not count: printing, comparing, searching, hashing and converting
        // what costs nothing to make.
        "{{ [1] * 10 ** 8 }}".to_owned(),
        "{{ 10 ** 8 * [1] }}".to_owned(),
        "{{ [1] * 10 ** 8 == [1] * 10 ** 8 }}".to_owned(),
        "{{ [[1] * 9999] * 9999 == [[1] * 9999] * 9999 }}".to_owned(),
        "{{ [1] * 10 ** 8 < [1] * 10 ** 8 }}".to_owned(),
        "{{ 5 in [1] * 10 ** 8 }}".to_owned(),
        "{{ 5 not in [[1] * 9999] * 9999 }}".to_owned(),
        "{{ 'x' ~ [1] * 10 ** 8 }}".to_owned(),
        "{{ ['x' * 99999] * 9999 ~ '' }}".to_owned(),
        "{{ {([1] * 10 ** 8)[:]: 1} }}".to_owned(),
        "{{ {'a': [1] * 10 ** 8} }}".to_owned(),
        "{{ ([1] * 10 ** 8) | upper }}".to_owned(),
        "{{ ([1] * 10 ** 8) | join }}".to_owned(),
        "{{ ([1] * 10 ** 8) | replace('1', '22') }}".to_owned(),
        "{{ ([1] * 10 ** 8) | batch(3) | list }}".to_owned(),
        "{{ ([1] * 10 ** 8) | sort | first }}".to_owned(),
        "{{ ([1] * 10 ** 8).count(1) }}".to_owned(),
        "{{ ('x\\n' * 9999) | indent(99999) }}".to_owned(),
        "{{ (1, 2) * 10 ** 8 }}".to_owned(),
        "{{ ([1] * 9999 + [2]) * 9999 }}".to_owned(),
        "{{ ([1] * 10 ** 8)[::2] }}".to_owned(),
        "{{ ([1] * 10 ** 8) is eq([1] * 10 ** 8) }}".to_owned(),
        "{{ ('%s' % ([1] * 10 ** 8,)) }}".to_owned(),
        "{{ '%s' | format([1] * 10 ** 8) }}".to_owned(),
        "{{ range(10 ** 9) }}".to_owned(),
        "{{ n * 10 ** 8 * [n] }}".to_owned(),
        "{{ d.items() | list * 10 ** 8 }}".to_owned(),
        "{{ d == d.items() | list * 10 ** 8 or [m] * 10 ** 8 }}".to_owned(),
        "{% set x %}{{ [1] * 10 ** 8 }}{% endset %}".to_owned(),
        "{% if false %}{% else %}{{ [1] * 10 ** 8 }}{% endif %}".to_owned(),
        "{% for i in [1] * 10 ** 8 %}{% endfor %}".to_owned(),
        "{% for i in range(99999) %}{{ i }}{% endfor %}".to_owned(),
        "{% set a, b = [1] * 10 ** 8 %}".to_owned(),
        "{% macro m(a) %}{{ m(a + a) }}{% endmacro %}{{ m([1]) }}".to_owned(),
        "{% macro m(a) %}{{ m([a, a]) }}{% endmacro %}{{ m([1]) }}".to_owned(),
        "{% macro m(a=[1] * 10 ** 8) %}{{ a }}{% endmacro %}{{ m() }}".to_owned(),
        "{% filter replace('x', 'y' * 99999) %}{{ 'x' * 99999 }}{% endfilter %}".to_owned(),
        "{% with a = [1] * 10 ** 8 %}{{ a }}{% endwith %}".to_owned(),
        "{% set a = [1] %}".to_owned()
            + &"{% set a = [a, a, a, a] %}".repeat(30)
            + "{{ a == [a] }}",
        "{% set a = [1] %}".to_owned()
            + &"{% set a = {'a': a, 'b': a} %}".repeat(40)
            + "{{ 'x' ~ a }}",
        "{% set a = 'x' %}".to_owned() + &"{% set a = a ~ a %}".repeat(40),
        "{% set n = namespace(a=1) %}{% set n.a = n %}{{ 'x' ~ n }}".to_owned(),
        "{% set n = namespace(a=[1]) %}{% for i in range(60) %}{% set n.a = n.a + n.a %}{% endfor \
         %}"
        .to_owned(),
        "{% for i in [[[1] * 9999] * 9999] recursive %}{{ loop(i) }}{% endfor %}".to_owned(),
    ] {
        let start = Instant::now();
        assert!(render(&hostile).is_err(), "{hostile}");
        assert!(start.elapsed() < Duration::from_secs(5), "{hostile}");
    }
    for harmless in [
        "{{ 9 ** 9 ** 9 }}",
        "{{ 1e308 * 10 }}",
        "{{ 'x' * -10 ** 9 }}",
        "{{ 10 ** 8 * [] }}",
        "{{ ([1] * 10 ** 8) | length }}",
        "{% if false %}{{ [1] * 10 ** 8 }}{% endif %}",
    ] {
        let start = Instant::now();
        let _ = render(harmless);
        assert!(start.elapsed() < Duration::from_secs(5), "{harmless}");
    }
}

#[test]
fn a_project_full_of_costly_templates_is_refused_early() {
    let renderer = Renderer::default();
    let context = renderer.context(&Value::Null, None).unwrap();
    let each = "{% for i in range(2000) %}{% endfor %}".to_owned();
    let all = Value::List(vec![Value::Str(each.into()); 100_000]);
    let error = renderer.render(all, &context).unwrap_err();
    assert!(error.message.contains("too many steps"), "{error:?}");
}

#[test]
fn what_is_measured_is_rendered_as_the_engine_does() {
    let renderer = Renderer::default();
    let file = Value::from_json(&json!({
        "core": {"arch": "armel", "list": [1, "b", 2.5]},
        "vars": {"n": 5, "d": {"z": 1, "a": 2}}
    }));
    let context = renderer.context(&file, None).unwrap();
    let environment = engine::environment();
    for template in [
        "a\n  {{- n -}}  b\n{% if n > 3 and n < 9 %} c {% elif n %}d{% else %}e{% endif %}\n",
        "{{ nope | default('x') }}{{ nope is defined }}{{ nope is undefined }}{{ n is defined }}",
        "{% for k, v in d.items() %}{{ loop.index }}{{ loop.last }}{{ k }}={{ v }};{% else \
         %}none{% endfor %}",
        "{% for i in [] %}x{% else %}none{% endfor %}{% for i in core.list if i is number %}{{ i \
         }}{% endfor %}",
        "{% for i in [1, [2, [3]]] recursive %}{% if i is sequence %}({{ loop(i) }}){% else %}{{ \
         i }}{% endif %}{% endfor %}",
        "{% macro m(a, b='x', c=n) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}{{ m(1, c=3) \
         }}{{ m(*[1, 2], **{'c': 7}) }}",
        "{% macro m(t) %}<{{ caller(t) }}>{% endmacro %}{% call(x) m(n) %}{{ x }}!{% endcall %}",
        "{% filter upper | replace('A', 'b') %}a{{ 'c' }}{% endfilter %}\
         {% set x | upper %}q{{ n }}{% endset %}{{ x }}",
        "{% set a, (b, c) = [1, [2, 3]] %}{{ a }}{{ b }}{{ c }}{% with q = 4, r = 5 %}{{ q + r }}\
         {% endwith %}",
        "{{ core.list[1:] }}{{ core.list[::-1] }}{{ 'hello'[1:3] }}{{ core['arch'] }}\
         {{ core.list[-1] }}",
        "{{ 'a' if n == 5 else 'b' }}{{ 'c' if n == 4 }}{{ not n }}{{ -n ** 2 }}{{ 7 // 2 }}\
         {{ 7 % 4 }}{{ 1 / 4 }}",
        "{{ 1 < n < 9 }}{{ 'b' in core.list }}{{ 'q' not in core.list }}{{ n is not none }}\
         {{ n is divisibleby 5 }}",
        "{{ 'q\\'\\n\"' }}{{ \"\u{e9}\u{1f980}{{ x }}\" }}{{ '\\u00e9' }}{# a comment #}{% raw %}\
         {{ raw }}{% endraw %}",
        "{{ (1,) }}{{ () }}{{ (1, 2)[0] }}{{ {'a': 1, 'b': {'c': [none, true]}} }}{{ 1e3 }}\
         {{ 0x1f }}{{ 1_000 }}",
        "{{ [3, 1, 2] | sort | join(',') }}{{ [1, 2, 3] | map('string') | list }}\
         {{ core.list | reject('string') | list }}",
        "{{ 'a' ~ n ~ 'b' ~ core.arch }}{{ [1] + [2] + [n] }}{{ 10 - 3 - 2 }}{{ 2 ** 3 ** 2 }}\
         {{ 2 * 3 + 4 * 5 }}",
        "{{ 'x' * 3 }}{{ [n] * 3 }}{{ n * 2 }}{{ 'a,b'.split(',') }}\
         {{ 'abc'.upper().replace('A', 'z') }}{{ 'x'.join(['a', 'b']) }}",
        "{% set ns = namespace(t=0) %}{% for i in range(4) %}{% set ns.t = ns.t + i %}{% endfor %}\
         {{ ns.t }}",
        "{% block b %}in{{ n }}{% endblock %}{{ self.b() }}{% set x = namespace(l=[]) %}\
         {% set x.l = x.l + [1] %}{{ x.l }}",
        "{% autoescape false %}<{{ '<' }}{% endautoescape %}{{ true and 'x' or 'y' }}{{ none }}\
         {{ d }}",
    ] {
        let syntax = minijinja::syntax::SyntaxConfig::builder()
            .keep_trailing_newline(true)
            .build()
            .unwrap();
        let rewritten = measure::rewrite(template, syntax).unwrap();
        let by_engine = environment.render_str(template, context.clone());
        assert_eq!(
            renderer.string(template.into(), &context).unwrap(),
            by_engine.unwrap(),
            "{template}\n{rewritten}"
        );
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
        // It is refused, or rendered.
        let _ = thread.unwrap().join().unwrap();
    }
}

//! Where a dotted path leads that may not be set yet: the structure of the configuration says where
//! a key ends that contains dots.

use super::paths;
use super::schema::{Field, Keys, PROJECT, Table, Tagged, Type, did_you_mean, is_misspelt};
use crate::ground::yaml::value::{Value, command_number};

/// Finding out where keys end takes time by the length of a path.
const LONGEST: usize = 1000;

/// The keys that `dotted` means: those that `tree` has, longest first, else those that the
/// structure allows.
pub fn place(tree: &Value, dotted: &str) -> Result<Vec<String>, String> {
    if dotted.len() > LONGEST {
        return Err(format!("the path is longer than {LONGEST} bytes"));
    }
    paths::resolve(tree, dotted).map_or_else(
        || {
            let steps = below(Type::Model(&PROJECT), Some(tree), dotted)
                .or_else(|why| new_key(dotted).ok_or(why))?;
            Ok(steps.into_iter().map(str::to_owned).map(decimal).collect())
        },
        Ok,
    )
}

/// A key of a known section that only a newer Penguin may know, and no known one misspelt.
fn new_key(dotted: &str) -> Option<Vec<&str>> {
    let (section, rest) = first(dotted);
    let mut ty = PROJECT.field(section)?.ty;
    while let Type::Optional(inner) | Type::NullIsEmpty(inner) = ty {
        ty = *inner;
    }
    let Type::Model(model) = ty else {
        return None;
    };
    let (step, _) = first(rest?);
    let names: Vec<_> = model.fields.iter().map(|field| field.name).collect();
    let is_new = !step.is_empty() && !names.contains(&step) && !is_misspelt(step, &names);
    is_new.then(|| dotted.split('.').collect())
}

/// An ioctl command in the one notation that keys have.
fn decimal(step: String) -> String {
    match command_number(&step) {
        Some(number) if step.starts_with("0x") || step.starts_with("0X") => number.to_string(),
        _ => step,
    }
}

fn below<'a>(ty: Type, tree: Option<&Value>, dotted: &'a str) -> Result<Vec<&'a str>, String> {
    match ty {
        Type::Optional(ty) | Type::NullIsEmpty(ty) => below(*ty, tree, dotted),
        Type::Model(model) | Type::Short(model, _) => {
            fields(model.fields, model.open, tree, dotted)
        }
        Type::Tagged(union) => tagged(union, tree, dotted),
        Type::OneOrTable(union, values) => {
            tagged(union, tree, dotted).or_else(|_| table(values, tree, dotted))
        }
        Type::Table(values) => table(values, tree, dotted),
        Type::Any => Ok(dotted.split('.').collect()),
        Type::Either(types) => types
            .iter()
            .find_map(|ty| below(*ty, tree, dotted).ok())
            .ok_or_else(|| no_keys(dotted)),
        _ => Err(no_keys(dotted)),
    }
}

fn no_keys(dotted: &str) -> String {
    format!(
        "has a value and no keys, so '{}' does not lead into it; set it as a whole",
        dotted.escape_debug()
    )
}

/// A step, and what follows its dot.
fn first(dotted: &str) -> (&str, Option<&str>) {
    dotted
        .split_once('.')
        .map_or((dotted, None), |(step, rest)| (step, Some(rest)))
}

fn child<'t>(tree: Option<&'t Value>, step: &str) -> Option<&'t Value> {
    paths::get(tree?, &[step.to_owned()])
}

/// A field and what is below it; its name has no dots.
fn fields<'a>(
    fields: &[Field],
    open: bool,
    tree: Option<&Value>,
    dotted: &'a str,
) -> Result<Vec<&'a str>, String> {
    let (step, rest) = first(dotted);
    let ty = match fields.iter().find(|field| field.name == step) {
        Some(field) => field.ty,
        None if open && !step.is_empty() => Type::Any,
        None => {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            return Err(format!(
                "there is no key '{}'{} here; allowed are {}",
                step.escape_debug(),
                did_you_mean(step, &names),
                names.join(", ")
            ));
        }
    };
    let mut steps = vec![step];
    if let Some(rest) = rest {
        steps.extend(below(ty, child(tree, step), rest).map_err(|why| format!("{step}: {why}"))?);
    }
    Ok(steps)
}

/// A field that any of the models has.
fn tagged<'a>(
    union: &Tagged,
    tree: Option<&Value>,
    dotted: &'a str,
) -> Result<Vec<&'a str>, String> {
    let (step, rest) = first(dotted);
    if step == union.tag && rest.is_none() {
        return Ok(vec![step]);
    }
    let mut found = union
        .variants
        .iter()
        .filter(|model| model.field(step).is_some());
    found
        .find_map(|model| fields(model.fields, false, tree, dotted).ok())
        .ok_or_else(|| format!("no {} has a key '{}'", union.tag, step.escape_debug()))
}

/// A key that is free, and what is below it: a key that is there, longest first, else the one with
/// which the structure leads deepest, else all of it.
fn table<'a>(table: &Table, tree: Option<&Value>, dotted: &'a str) -> Result<Vec<&'a str>, String> {
    let legal = |key: &str| match table.keys {
        Keys::Str => !key.is_empty(),
        Keys::Int => command_number(key).is_some(),
        Keys::IntOrStar => key == "*" || command_number(key).is_some(),
    };
    let split = |end: usize| {
        let (key, rest) = (dotted.get(..end)?, dotted.get(end..)?.strip_prefix('.')?);
        let steps = below(table.values, child(tree, key), rest).ok()?;
        legal(key).then(|| [vec![key], steps].concat())
    };
    let known = tree.and_then(Value::as_map).into_iter().flatten();
    let mut known: Vec<_> = known.map(|(key, _)| key.text().len()).collect();
    known.sort_unstable_by(|one, other| other.cmp(one));
    let there = |end: &usize| {
        dotted
            .get(..*end)
            .is_some_and(|key| child(tree, key).is_some())
    };
    if let Some(steps) = known.into_iter().filter(there).find_map(split) {
        return Ok(steps);
    }
    // Of names of libraries, which have dots, and of symbols in them, which have none.
    let dots = dotted.match_indices('.').map(|(at, _)| at);
    let deepest = dots
        .filter_map(split)
        .max_by_key(|steps| (steps.len(), steps.first().map_or(0, |key| key.len())));
    match deepest {
        Some(steps) => Ok(steps),
        None if legal(dotted) => Ok(vec![dotted]),
        None => Err(format!("'{}' is not a number", dotted.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Value {
        Value::from_json(&serde_json::json!({
            "env": {"a": "1"},
            "netdevs": ["eth0"],
            "plugins": {"vpn": {}},
            "pseudofiles": {"/dev/x.y": {"read": {"model": "zero"}}, "/dev/x": {}},
        }))
    }

    fn steps(dotted: &str) -> String {
        place(&tree(), dotted).map_or_else(|why| why, |steps| steps.join("|"))
    }

    #[test]
    fn the_structure_says_where_a_key_with_dots_ends() {
        for (dotted, expected) in [
            ("core.root_shell", "core|root_shell"),
            ("env.a.b.c", "env|a.b.c"),
            ("netdevs", "netdevs"),
            ("plugins.db.enabled", "plugins|db|enabled"),
            (
                "plugins.vpn.IGLOO_VPN_PORT_MAPS",
                "plugins|vpn|IGLOO_VPN_PORT_MAPS",
            ),
            ("pseudofiles./dev/x.y.write", "pseudofiles|/dev/x.y|write"),
            (
                "pseudofiles./dev/a.b.read.model",
                "pseudofiles|/dev/a.b|read|model",
            ),
            ("pseudofiles./dev/a.b", "pseudofiles|/dev/a.b"),
            (
                "pseudofiles./dev/a.ioctl.0x5401",
                "pseudofiles|/dev/a|ioctl|21505",
            ),
            (
                "pseudofiles./dev/a.ioctl.*.val",
                "pseudofiles|/dev/a|ioctl|*|val",
            ),
            ("static_files./etc/a.conf", "static_files|/etc/a.conf"),
            (
                "static_files./etc/a.conf.contents",
                "static_files|/etc/a.conf|contents",
            ),
            (
                "lib_inject.stubs.libc.so.0.reboot",
                "lib_inject|stubs|libc.so.0|reboot",
            ),
            (
                "lib_inject.stubs.libc.so.6.reboot.body",
                "lib_inject|stubs|libc.so.6|reboot|body",
            ),
        ] {
            assert_eq!(steps(dotted), expected, "{dotted}");
        }
    }

    #[test]
    fn what_the_structure_does_not_have_is_refused_with_what_it_has() {
        for (dotted, said) in [
            ("core.root_shel", "did you mean 'root_shell'?"),
            ("core.root_shell_backend", "core|root_shell_backend"),
            ("lib_inject.new.key", "lib_inject|new|key"),
            ("envs.a", "did you mean 'env'?"),
            ("core.mem.x", "set it as a whole"),
            ("", "there is no key ''"),
            ("pseudofiles./dev/x.raed", "pseudofiles|/dev/x.raed"),
        ] {
            assert!(steps(dotted).contains(said), "{dotted}: {}", steps(dotted));
        }
    }
}

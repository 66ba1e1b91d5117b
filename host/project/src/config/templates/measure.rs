//! A template rewritten so that each value is measured before anything is done with it.
//!
//! The engine counts its own steps, but not the work that one step can make:
//! `[1] * 10 ** 8 == [1] * 10 ** 8` is a step, and with constants not even that, since they are
//! computed while the template is compiled. So every value that is used goes through a function of
//! ours, which walks it and pays for it; what nobody can pay for is refused before the engine
//! touches it.

use std::fmt::Write;

use minijinja::machinery::ast::{
    BinOpKind, Call, CallArg, CompareOpKind, Expr, Macro, Stmt, UnaryOpKind,
};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value as Item, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// The function's name in the rewritten template; none that a person would choose.
pub const MEASURED: &str = "__rookery_measured";
/// Containers in containers.
const MAX_DEPTH: usize = 50;
/// What an item of a container weighs by itself.
const ITEM: u64 = 8;
/// Bytes of text that weigh 1.
const TEXT: u64 = 8;
/// Weight that one step of the engine pays for.
const STEP: u64 = 64;

/// The function.
pub fn measured(state: &State, value: Item) -> Result<Item, Error> {
    let steps = state.fuel_levels().map_or(0, |(_, left)| left);
    let room = steps.saturating_mul(STEP);
    let weight = weigh(&value, room, 0).ok_or_else(|| {
        Error::new(
            ErrorKind::OutOfFuel,
            "a value is too large, or nested too deeply",
        )
    })?;
    state.consume_fuel(weight / STEP)?;
    Ok(value)
}

/// What a value weighs with all that is in it, unless that is more than `room`.
fn weigh(value: &Item, room: u64, depth: usize) -> Option<u64> {
    let mut weight = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, |text| text.len() as u64 / TEXT),
        ValueKind::Bytes => value
            .as_bytes()
            .map_or(0, |bytes| bytes.len() as u64 / TEXT),
        _ => 0,
    };
    if matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map
    ) {
        if depth > MAX_DEPTH {
            return None;
        }
        let is_map = value.kind() == ValueKind::Map;
        for item in value.try_iter().into_iter().flatten() {
            weight += ITEM;
            weight += weigh(&item, room.checked_sub(weight)?, depth + 1)?;
            if is_map && let Ok(value) = value.get_item(&item) {
                weight += weigh(&value, room.checked_sub(weight)?, depth + 1)?;
            }
        }
    }
    (weight <= room).then_some(weight)
}

/// The rewritten template.
pub fn rewrite(source: &str, syntax: SyntaxConfig) -> Result<String, Error> {
    let mut out = Writer(String::with_capacity(source.len() * 2));
    match parse(source, "<string>", syntax)? {
        Stmt::Template(template) => out.body(&template.children)?,
        other => out.statement(&other)?,
    }
    Ok(out.0)
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.to_owned())
}

struct Writer(String);

impl Writer {
    fn body(&mut self, body: &[Stmt]) -> Result<(), Error> {
        body.iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn block(&mut self, open: &str, body: &[Stmt], close: &str) -> Result<(), Error> {
        let _ = write!(self.0, "{{% {open} %}}");
        self.body(body)?;
        let _ = write!(self.0, "{{% {close} %}}");
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt) -> Result<(), Error> {
        match statement {
            Stmt::Template(template) => self.body(&template.children),
            Stmt::EmitRaw(raw) => {
                let _ = write!(self.0, "{{{{ {} }}}}", text(raw.raw));
                Ok(())
            }
            Stmt::EmitExpr(emit) => {
                let _ = write!(self.0, "{{{{ {} }}}}", value(&emit.expr)?);
                Ok(())
            }
            Stmt::ForLoop(each) => {
                let mut open = format!("for {} in {}", target(&each.target)?, value(&each.iter)?);
                if let Some(filter) = &each.filter_expr {
                    let _ = write!(open, " if {}", value(filter)?);
                }
                if each.recursive {
                    open += " recursive";
                }
                self.two_bodies(&open, &each.body, &each.else_body, "endfor")
            }
            Stmt::IfCond(cond) => self.two_bodies(
                &format!("if {}", value(&cond.expr)?),
                &cond.true_body,
                &cond.false_body,
                "endif",
            ),
            Stmt::WithBlock(with) => {
                let assignments = with
                    .assignments
                    .iter()
                    .map(|(name, given)| Ok(format!("{} = {}", target(name)?, value(given)?)));
                let assignments = joined(assignments)?;
                self.block(&format!("with {assignments}"), &with.body, "endwith")
            }
            Stmt::Set(set) => {
                let (name, given) = (target(&set.target)?, value(&set.expr)?);
                let _ = write!(self.0, "{{% set {name} = {given} %}}");
                Ok(())
            }
            Stmt::SetBlock(set) => {
                let mut open = format!("set {}", target(&set.target)?);
                if let Some(filter) = &set.filter {
                    let _ = write!(open, " | {}", filters(filter)?);
                }
                self.block(&open, &set.body, "endset")
            }
            Stmt::AutoEscape(escape) => {
                let open = format!("autoescape {}", value(&escape.enabled)?);
                self.block(&open, &escape.body, "endautoescape")
            }
            Stmt::FilterBlock(block) => {
                let open = format!("filter {}", filters(&block.filter)?);
                self.block(&open, &block.body, "endfilter")
            }
            Stmt::Block(block) if !block.required => {
                self.block(&format!("block {}", block.name), &block.body, "endblock")
            }
            Stmt::Macro(decl) => {
                let open = format!("macro {}({})", decl.name, parameters(decl)?);
                self.block(&open, &decl.body, "endmacro")
            }
            Stmt::CallBlock(block) => {
                let (decl, call) = (&block.macro_decl, call(&block.call)?);
                self.block(
                    &format!("call({}) {call}", parameters(decl)?),
                    &decl.body,
                    "endcall",
                )
            }
            Stmt::Do(expression) => {
                let _ = write!(self.0, "{{% do {} %}}", call(&expression.call)?);
                Ok(())
            }
            _ => Err(refused("there is no other template to take something from")),
        }
    }

    fn two_bodies(
        &mut self,
        open: &str,
        first: &[Stmt],
        second: &[Stmt],
        close: &str,
    ) -> Result<(), Error> {
        if second.is_empty() {
            return self.block(open, first, close);
        }
        self.block(open, first, "else")?;
        self.body(second)?;
        let _ = write!(self.0, "{{% {close} %}}");
        Ok(())
    }
}

/// An expression whose value is used: measured, unless it is a constant or nothing but a number or
/// a truth.
fn value(expr: &Expr) -> Result<String, Error> {
    let plain = plain(expr)?;
    Ok(match expr {
        Expr::Const(_) | Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) | Expr::IfExpr(_) => {
            plain
        }
        Expr::Var(var) if matches!(var.id, "self" | "loop" | "caller") => plain,
        _ => format!("{MEASURED}({plain})"),
    })
}

/// An expression of which only a part is used, or that is called.
fn plain(expr: &Expr) -> Result<String, Error> {
    Ok(match expr {
        Expr::Var(var) => var.id.to_owned(),
        Expr::Const(constant) => literal(&constant.value)?,
        Expr::Slice(slice) => {
            let part = |part: &Option<Expr>| part.as_ref().map_or(Ok(String::new()), value);
            format!(
                "{}[{}:{}:{}]",
                value(&slice.expr)?,
                part(&slice.start)?,
                part(&slice.stop)?,
                part(&slice.step)?
            )
        }
        Expr::UnaryOp(unary) => match unary.op {
            UnaryOpKind::Not => format!("(not {})", value(&unary.expr)?),
            UnaryOpKind::Neg => format!("(-{})", value(&unary.expr)?),
        },
        Expr::BinOp(_) => format!("({})", operation(expr)?),
        Expr::Compare(compare) => {
            let mut chain = value(&compare.expr)?;
            for step in &compare.ops {
                let operator = match step.op {
                    CompareOpKind::Eq => "==",
                    CompareOpKind::Ne => "!=",
                    CompareOpKind::Lt => "<",
                    CompareOpKind::Lte => "<=",
                    CompareOpKind::Gt => ">",
                    CompareOpKind::Gte => ">=",
                    CompareOpKind::In => "in",
                    CompareOpKind::NotIn => "not in",
                };
                let _ = write!(chain, " {operator} {}", value(&step.expr)?);
            }
            format!("({chain})")
        }
        Expr::IfExpr(choice) => {
            let (test, yes) = (value(&choice.test_expr)?, value(&choice.true_expr)?);
            match &choice.false_expr {
                Some(no) => format!("({yes} if {test} else {})", value(no)?),
                None => format!("({yes} if {test})"),
            }
        }
        Expr::Filter(_) => filters(expr)?,
        Expr::Test(test) => format!(
            "({} is {}({}))",
            value(&test.expr)?,
            test.name,
            arguments(&test.args)?
        ),
        Expr::GetAttr(attr) => format!("{}.{}", plain(&attr.expr)?, attr.name),
        Expr::GetItem(item) => {
            format!("{}[{}]", plain(&item.expr)?, value(&item.subscript_expr)?)
        }
        Expr::Call(called) => call(called)?,
        Expr::List(list) => format!("[{}]", joined(list.items.iter().map(value))?),
        // With the comma that makes one of one.
        Expr::Tuple(tuple) if tuple.items.is_empty() => "()".to_owned(),
        Expr::Tuple(tuple) => format!("({},)", joined(tuple.items.iter().map(value))?),
        Expr::Map(map) => {
            let pairs = map.keys.iter().zip(&map.values);
            let pairs = pairs.map(|(key, given)| Ok(format!("{}: {}", value(key)?, value(given)?)));
            format!("{{{}}}", joined(pairs)?)
        }
    })
}

/// A chain of one operator stays a chain: the parser counts parentheses.
fn operation(expr: &Expr) -> Result<String, Error> {
    let Expr::BinOp(binary) = expr else {
        return value(expr);
    };
    let same = |side: &Expr| {
        matches!(side, Expr::BinOp(inner)
            if std::mem::discriminant(&inner.op) == std::mem::discriminant(&binary.op))
    };
    let operator = match binary.op {
        BinOpKind::Eq => "==",
        BinOpKind::Ne => "!=",
        BinOpKind::Lt => "<",
        BinOpKind::Lte => "<=",
        BinOpKind::Gt => ">",
        BinOpKind::Gte => ">=",
        BinOpKind::ScAnd => "and",
        BinOpKind::ScOr => "or",
        BinOpKind::Add => "+",
        BinOpKind::Sub => "-",
        BinOpKind::Mul => "*",
        BinOpKind::Div => "/",
        BinOpKind::FloorDiv => "//",
        BinOpKind::Rem => "%",
        BinOpKind::Pow => "**",
        BinOpKind::Concat => "~",
        BinOpKind::In => "in",
    };
    // Repeating what was repeated must be paid for each time.
    let chains = matches!(
        binary.op,
        BinOpKind::ScAnd | BinOpKind::ScOr | BinOpKind::Add | BinOpKind::Sub | BinOpKind::Concat
    );
    let left = if chains && same(&binary.left) {
        operation(&binary.left)?
    } else {
        value(&binary.left)?
    };
    Ok(format!("{left} {operator} {}", value(&binary.right)?))
}

/// What is called is not a value that is worked on, but what a method belongs to is.
fn call(called: &Call) -> Result<String, Error> {
    let function = match &called.expr {
        Expr::GetAttr(method) => format!("{}.{}", value(&method.expr)?, method.name),
        other => plain(other)?,
    };
    Ok(format!("{function}({})", arguments(&called.args)?))
}

/// A chain of filters; that of a block begins with none.
fn filters(expr: &Expr) -> Result<String, Error> {
    let Expr::Filter(filter) = expr else {
        return value(expr);
    };
    let own = format!("{}({})", filter.name, arguments(&filter.args)?);
    match &filter.expr {
        // In a chain, the value between two filters is paid for by the engine, as text, or measured
        // at its end.
        Some(from @ Expr::Filter(inner)) if inner.expr.is_none() => {
            Ok(format!("{} | {own}", filters(from)?))
        }
        Some(from) => Ok(format!("{} | {own}", value(from)?)),
        None => Ok(own),
    }
}

fn arguments(arguments: &[CallArg]) -> Result<String, Error> {
    joined(arguments.iter().map(|argument| {
        Ok(match argument {
            CallArg::Pos(given) => value(given)?,
            CallArg::Kwarg(name, given) => format!("{name}={}", value(given)?),
            CallArg::PosSplat(given) => format!("*{}", value(given)?),
            CallArg::KwargSplat(given) => format!("**{}", value(given)?),
        })
    }))
}

fn parameters(decl: &Macro) -> Result<String, Error> {
    let without = decl.args.len() - decl.defaults.len().min(decl.args.len());
    joined(decl.args.iter().enumerate().map(|(index, name)| {
        let name = target(name)?;
        let default = index
            .checked_sub(without)
            .and_then(|at| decl.defaults.get(at));
        match default {
            Some(default) => Ok(format!("{name}={}", value(default)?)),
            None => Ok(name),
        }
    }))
}

/// What is assigned to.
fn target(expr: &Expr) -> Result<String, Error> {
    match expr {
        Expr::Var(_) | Expr::GetAttr(_) => plain(expr),
        Expr::List(list) => Ok(format!("({},)", joined(list.items.iter().map(target))?)),
        Expr::Tuple(tuple) => Ok(format!("({},)", joined(tuple.items.iter().map(target))?)),
        _ => Err(refused("this cannot be assigned to")),
    }
}

fn joined(parts: impl Iterator<Item = Result<String, Error>>) -> Result<String, Error> {
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(", "))
}

fn literal(value: &Item) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => Ok(text(value.as_str().unwrap_or_default())),
        ValueKind::None => Ok("none".to_owned()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number if value.is_integer() => Ok(value.to_string()),
        ValueKind::Number => {
            let number = f64::try_from(value.clone())?;
            if number.is_finite() {
                Ok(format!("{number:?}"))
            } else {
                Err(refused("a number is too large"))
            }
        }
        _ => Err(refused("this constant is not known")),
    }
}

/// A string literal: the engine's are those of JSON.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

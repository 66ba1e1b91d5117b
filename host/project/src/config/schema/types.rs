//! The words in which a structure is described.

use crate::ground::yaml::value::{Map, Value};

/// What a value may be, and how two of them merge.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// Anything; merges by what it is.
    Any,
    /// A string.
    Str,
    /// A string of an even number of hexadecimal digits, `0x` and blanks allowed.
    Hex,
    /// A boolean, or what Penguin takes for one (`yes`, `off`, `1`, …).
    Bool,
    /// An integer.
    Int,
    /// An integer that is not negative.
    Natural,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The version of the configuration format: 2, or the outdated `"1.0.0"`.
    Version,
    /// A string to which a higher file appends its own, with this separator.
    Joined(&'static str),
    /// The first of these that fits as it is, else the first that it can be converted to.
    Either(&'static [Type]),
    /// Null is legal; when merged it lets the lower file show through.
    Optional(&'static Type),
    /// Like the type, but null means an empty mapping.
    NullIsEmpty(&'static Type),
    /// A list to which a higher file appends.
    List(&'static Type),
    /// A mapping with free keys.
    Table(&'static Table),
    /// A mapping with known keys.
    Model(&'static Model),
    /// A mapping whose tag says which model it is.
    Tagged(&'static Tagged),
    /// One model for every command, or a table of commands to models.
    OneOrTable(&'static Tagged, &'static Table),
    /// A model that may be abbreviated: `true` for its defaults, a string for the named field,
    /// `false` for nothing.
    Short(&'static Model, &'static str),
}

/// A mapping with free keys.
#[derive(Debug)]
pub struct Table {
    /// What its keys are.
    pub keys: Keys,
    /// What its values are.
    pub values: Type,
    /// A rule over the whole table.
    pub rule: Option<Rule>,
}

/// The keys of a [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Strings.
    Str,
    /// Integers, or strings of decimal digits.
    Int,
    /// Integers or `*`.
    IntOrStar,
}

/// A mapping with known keys.
#[derive(Debug)]
pub struct Model {
    /// The value of the tag that selects it, or what it is called.
    pub name: &'static str,
    /// Its fields, in the order in which Penguin writes them.
    pub fields: &'static [Field],
    /// Whether it takes fields that are not described.
    pub open: bool,
    /// A rule over several fields.
    pub rule: Option<Rule>,
}

/// Models told apart by a tag.
#[derive(Debug)]
pub struct Tagged {
    /// The field that names the model.
    pub tag: &'static str,
    /// The models.
    pub variants: &'static [Model],
}

/// One known key of a [`Model`].
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it may be.
    pub ty: Type,
    /// What it is when no file sets it.
    pub default: Default,
}

/// The value of a field that no file sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// The mapping is wrong without it.
    Required,
    /// A single file may leave it out, the merged configuration may not.
    RequiredOverall,
    /// Nothing: the field does not appear.
    Absent,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A string.
    Str(&'static str),
    /// An empty list.
    List,
    /// An empty mapping, or its model's defaults.
    Map,
}

/// A condition that no single field can state; the error says what is wrong and what to write.
pub type Rule = fn(&Map) -> Result<(), String>;

impl Default {
    /// The value, where it is a single one.
    pub fn scalar(self) -> Option<Value> {
        match self {
            Self::Bool(flag) => Some(Value::Bool(flag)),
            Self::Int(number) => Some(Value::Int(number)),
            Self::Str(text) => Some(Value::from(text)),
            Self::Required | Self::RequiredOverall | Self::Absent | Self::List | Self::Map => None,
        }
    }
}

impl Model {
    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Tagged {
    /// The model of a name.
    pub fn variant(&self, name: &str) -> Option<&'static Model> {
        self.variants.iter().find(|model| model.name == name)
    }
}

/// The fields of a model: `"name": type => default`.
macro_rules! fields {
    ($($name:literal: $ty:expr => $default:expr),* $(,)?) => {
        &[$($crate::config::schema::types::Field { name: $name, ty: $ty, default: $default }),*]
    };
}

/// A variant of a tagged union; every one has its tag and may say where it came from.
macro_rules! variant {
    (
        $tag:literal = $value:literal
        $(, $name:literal: $ty:expr => $default:expr)*
        $(; open = $open:literal)?
    ) => {{
        use $crate::config::schema::types::{Default, Model, Type, fields};
        Model {
            name: $value,
            open: false $(|| $open)?,
            rule: None,
            fields: fields!(
                $tag: Type::Str => Default::Required,
                "provenance": Type::Optional(&Type::Str) => Default::Absent,
                $($name: $ty => $default),*
            ),
        }
    }};
}

pub(super) use {fields, variant};

//! Keywords of JSON Schema, by what their values are.

/// Formats that JSON Schema itself defines; others (`uint32`, `double`) only confuse clients.
///
/// Not `regex`: checking that a text is one takes as long as compiling it, and so long for each
/// item of a list.
pub(super) const FORMATS: [&str; 17] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uuid",
];
/// Keywords at the root that model APIs refuse.
pub(super) const ROOT_REFUSED: [&str; 7] = ["anyOf", "oneOf", "allOf", "not", "if", "then", "else"];
/// Keywords whose value is one schema.
pub(super) const ONE: [&str; 10] = [
    "items",
    "unevaluatedItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedProperties",
];
/// Keywords whose value is schemas by name.
pub(super) const NAMED: [&str; 2] = ["patternProperties", "dependentSchemas"];
/// Keywords whose value is a list of schemas.
pub(super) const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keywords that say nothing to a client once references are inlined.
pub(super) const DROPPED: [&str; 7] = [
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "$comment",
    "$anchor",
    "title",
];

//! `#[tool]` and `plugin!` of `rookery-plugin`; documented there.

mod attribute;
mod plugin;
mod tool;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Make a tool of a function.
///
/// The function's name is the tool's name, its doc comment the description, its last argument the
/// input schema and the `T` of its `Result<T>` the output schema. A first argument, `host: &impl
/// Results` or the like, names the interfaces that it uses.
///
/// `#[tool(read_only, destructive, idempotent, open_world, title = "…", example(name = value,
/// …))]`, all optional:
/// * `needs`: what of a backend it uses, by its name in `live.capabilities`; a server that has no
///   such backend does not list the tool, if that came with the program.
/// * `read_only`: changes nothing. `destructive`: overwrites or removes something. `idempotent`: a
///   second call changes nothing more. `open_world`: reaches things outside the machine. These
///   become the four annotations of MCP.
/// * `title`: for people; without it, the name in words.
/// * `example`: one correct call, values as in `serde_json::json!`; may be given more than once.
#[proc_macro_attribute]
pub fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let attribute = parse_macro_input!(attribute as attribute::Attribute);
    let function = parse_macro_input!(item as syn::ItemFn);
    tool::expand(&attribute, &function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// `plugin!(first, second)`: export these tools from the component.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    let tools = parse_macro_input!(input as plugin::Tools);
    plugin::expand(&tools).into()
}

//! What stands in `#[tool(…)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token, parenthesized};

const ALLOWED: &str = "`read_only`, `destructive`, `idempotent`, `open_world`, `title = \"…\"`, \
                       `needs = \"…\"` and `example(name = value, …)`";

/// The parsed attribute.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Attribute {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
    pub title: Option<LitStr>,
    /// What of `live.capabilities` a backend must have, or the tool is not listed.
    pub needs: Option<LitStr>,
    /// Each the inside of a JSON object.
    pub examples: Vec<TokenStream>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut attribute = Self::default();
        while !input.is_empty() {
            let name: Ident = input
                .parse()
                .map_err(|error| Error::new(error.span(), format!("expected one of {ALLOWED}")))?;
            match name.to_string().as_str() {
                "read_only" => attribute.read_only = true,
                "destructive" => attribute.destructive = true,
                "idempotent" => attribute.idempotent = true,
                "open_world" => attribute.open_world = true,
                "title" => {
                    input.parse::<Token![=]>()?;
                    attribute.title = Some(input.parse()?);
                }
                "needs" => {
                    input.parse::<Token![=]>()?;
                    attribute.needs = Some(input.parse()?);
                }
                "example" => {
                    let inner;
                    parenthesized!(inner in input);
                    attribute.examples.push(example(&inner)?);
                }
                other => {
                    return Err(Error::new(
                        name.span(),
                        format!("`{other}` is not known here; `#[tool]` takes {ALLOWED}"),
                    ));
                }
            }
            if attribute.read_only && attribute.destructive {
                return Err(Error::new(
                    name.span(),
                    "a tool that is `read_only` cannot be `destructive`: leave one of them out",
                ));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(attribute)
    }
}

/// `name = value, …` as the inside of a `json!` object.
fn example(input: ParseStream) -> Result<TokenStream> {
    let mut members = TokenStream::new();
    while !input.is_empty() {
        let name = input.parse::<Ident>().map_err(|error| {
            Error::new(
                error.span(),
                "write an example as `example(argument = value, …)`",
            )
        })?;
        input.parse::<Token![=]>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<TokenTree>()?]);
        }
        if value.is_empty() {
            return Err(Error::new(
                name.span(),
                format!("`{name}` has no value: write `{name} = …`"),
            ));
        }
        let key = LitStr::new(&name.to_string(), name.span());
        members.extend(quote!(#key: #value,));
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(members)
}

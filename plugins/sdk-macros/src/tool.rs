//! The expansion of `#[tool]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{
    Attribute as RustAttribute, Error, Expr, ExprLit, FnArg, GenericArgument, ItemFn, Lit, Meta,
    PathArguments, Result, ReturnType, Signature, Type,
};

use crate::attribute::Attribute;

const SHAPE: &str = "a tool is `fn name(host: &impl Interface, args: Arguments) -> \
                     Result<Output>`, or without `host`";

/// The function itself, and a type of the same name that implements `Tool`.
pub fn expand(attribute: &Attribute, function: &ItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    if let Some(asyncness) = signature.asyncness {
        return Err(Error::new(
            asyncness.span(),
            "a tool is a plain function: the host waits for it, not the tool for the host",
        ));
    }
    let name = &signature.ident;
    let text = name.to_string();
    check_name(&text, name)?;
    let description = description(&function.attrs);
    check_description(&description, name)?;
    let (arguments, call) = arguments(signature)?;
    let output = output(&signature.output, name)?;
    let title = attribute
        .title
        .as_ref()
        .map_or_else(|| title_of(&text), syn::LitStr::value);
    let needs = attribute.needs.as_ref().map_or_else(
        || quote!(::core::option::Option::None),
        |needs| quote!(::core::option::Option::Some(#needs)),
    );
    let Attribute {
        read_only,
        destructive,
        idempotent,
        open_world,
        examples,
        ..
    } = attribute;
    let visibility = &function.vis;
    let about_type = format!("The tool `{text}`.");

    Ok(quote! {
        // What a tool takes and gives is its contract, whether or not it uses all of it; its words
        // are for models.
        #[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, clippy::doc_markdown)]
        #function

        #[doc = #about_type]
        #[allow(non_camel_case_types, dead_code)]
        #visibility struct #name {}

        impl ::rookery_plugin::Tool for #name {
            const ABOUT: ::rookery_plugin::tool::About = ::rookery_plugin::tool::About {
                name: #text,
                title: #title,
                description: #description,
                read_only: #read_only,
                destructive: #destructive,
                idempotent: #idempotent,
                open_world: #open_world,
                needs: #needs,
            };
            type Arguments = #arguments;
            type Output = #output;

            fn examples() -> ::std::vec::Vec<::rookery_plugin::serde_json::Value> {
                ::std::vec![#(::rookery_plugin::serde_json::json!({ #examples })),*]
            }

            #[allow(unused_variables)]
            fn run<H: ::rookery_plugin::Host>(
                host: &H,
                arguments: Self::Arguments,
            ) -> ::rookery_plugin::Result<Self::Output> {
                #call
            }
        }
    })
}

/// The type of the arguments, and the call of the function.
fn arguments(signature: &Signature) -> Result<(&Type, TokenStream)> {
    let name = &signature.ident;
    let arguments: Vec<&Type> = signature
        .inputs
        .iter()
        .map(|input| match input {
            FnArg::Typed(typed) => Ok(&*typed.ty),
            FnArg::Receiver(receiver) => Err(Error::new(
                receiver.span(),
                format!("a tool is not a method: {SHAPE}"),
            )),
        })
        .collect::<Result<_>>()?;
    match arguments.as_slice() {
        [arguments] => Ok((arguments, quote!(#name(arguments)))),
        [Type::Reference(_), arguments] => Ok((arguments, quote!(#name(host, arguments)))),
        [host, _] => Err(Error::new(
            host.span(),
            format!("the host is taken by reference: {SHAPE}"),
        )),
        _ => Err(Error::new(signature.inputs.span(), SHAPE)),
    }
}

fn check_description(description: &str, name: &syn::Ident) -> Result<()> {
    if description.is_empty() {
        return Err(Error::new(
            name.span(),
            "a tool needs a doc comment: it is the description that the model reads. First \
             sentence: what it does and when to use it",
        ));
    }
    let length = description.chars().count();
    if length > 1000 {
        return Err(Error::new(
            name.span(),
            format!(
                "the description has {length} characters; at most 1000 are read by every client"
            ),
        ));
    }
    Ok(())
}

fn check_name(text: &str, name: &syn::Ident) -> Result<()> {
    let legal = text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if legal {
        return Ok(());
    }
    Err(Error::new(
        name.span(),
        format!(
            "`{text}` cannot be a tool's name: use at most 40 of a-z, 0-9 and _, with a letter \
             first"
        ),
    ))
}

/// The doc comment: lines joined to paragraphs, paragraphs kept apart.
fn description(attributes: &[RustAttribute]) -> String {
    let mut text = String::new();
    for line in attributes.iter().filter_map(doc_line) {
        let line = line.trim();
        if line.is_empty() {
            text.push('\n');
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text.trim().to_owned()
}

fn doc_line(attribute: &RustAttribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

/// The `T` of `-> Result<T>`.
fn output<'a>(output: &'a ReturnType, name: &syn::Ident) -> Result<&'a Type> {
    let ReturnType::Type(_, returned) = output else {
        return Err(Error::new(
            name.span(),
            format!("nothing is returned; {SHAPE}"),
        ));
    };
    let wrong = || {
        Error::new(
            returned.span(),
            format!("`Result<Output>` is expected here; {SHAPE}"),
        )
    };
    let Type::Path(path) = &**returned else {
        return Err(wrong());
    };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Result")
        .ok_or_else(wrong)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Err(wrong());
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(output)) => Ok(output),
        _ => Err(wrong()),
    }
}

/// `set_env` as `Set env`.
fn title_of(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn error(attribute: &str, function: &ItemFn) -> String {
        let expanded = syn::parse_str(attribute).and_then(|attribute| expand(&attribute, function));
        expanded.expect_err("this is no tool").to_string()
    }

    #[test]
    fn a_mistake_is_told_with_what_is_right() {
        let good: ItemFn = parse_quote!(
            /// Do it.
            fn good(args: Args) -> Result<Output> {}
        );
        assert!(expand(&Attribute::default(), &good).is_ok());
        assert!(
            error("readonly", &good)
                .contains("`readonly` is not known here; `#[tool]` takes `read_only`")
        );
        assert!(error("read_only, destructive", &good).contains("leave one of them out"));
        assert!(error("example(key)", &good).contains('='));
        assert!(error("example(key = )", &good).contains("`key` has no value"));

        assert!(
            error(
                "",
                &parse_quote!(
                    fn bare(args: Args) -> Result<Output> {}
                )
            )
            .contains("needs a doc comment")
        );
        for (function, hint) in [
            (
                parse_quote!(
                    #[doc = "x"]
                    fn Upper(args: Args) -> Result<Output> {}
                ),
                "at most 40 of a-z",
            ),
            (
                parse_quote!(
                    #[doc = "x"]
                    async fn later(args: Args) -> Result<Output> {}
                ),
                "plain function",
            ),
            (
                parse_quote!(
                    #[doc = "x"]
                    fn value(host: Host, args: Args) -> Result<Output> {}
                ),
                "by reference",
            ),
            (
                parse_quote!(
                    #[doc = "x"]
                    fn nothing(args: Args) {}
                ),
                "nothing is returned",
            ),
            (
                parse_quote!(
                    #[doc = "x"]
                    fn plain(args: Args) -> Output {}
                ),
                "`Result<Output>` is expected",
            ),
            (
                parse_quote!(
                    #[doc = "x"]
                    fn none() -> Result<Output> {}
                ),
                "a tool is `fn name(",
            ),
        ] {
            let message = error("", &function);
            assert!(message.contains(hint), "{message}");
        }
    }

    #[test]
    fn a_doc_comment_becomes_paragraphs_and_a_name_a_title() {
        let function: ItemFn = parse_quote!(
            /// One
            /// two.
            ///
            /// Three.
            fn f() {}
        );
        assert_eq!(description(&function.attrs), "One two.\nThree.");
        assert_eq!(title_of("set_env"), "Set env");
    }
}

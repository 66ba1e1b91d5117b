//! The expansion of `plugin!`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Path, Result, Token};

/// The tools of a component, by the paths of their functions.
pub struct Tools(Punctuated<Path, Token![,]>);

impl Parse for Tools {
    fn parse(input: ParseStream) -> Result<Self> {
        let tools = Punctuated::parse_terminated(input)?;
        if tools.is_empty() {
            return Err(
                input.error("name the tools of this component: `plugin!(first_tool, second_tool)`")
            );
        }
        Ok(Self(tools))
    }
}

/// An implementation of the exported interface, and on wasm the exports themselves.
pub fn expand(Tools(tools): &Tools) -> TokenStream {
    let tools: Vec<&Path> = tools.iter().collect();
    quote! {
        #[allow(unsafe_code)]
        const _: () = {
            #[allow(dead_code)]
            struct Component;

            impl ::rookery_plugin::Guest for Component {
                fn describe() -> ::std::vec::Vec<::rookery_plugin::ToolDefinition> {
                    ::std::vec![#(::rookery_plugin::tool::define::<#tools>()),*]
                }

                fn call(
                    name: ::std::string::String,
                    arguments: ::std::string::String,
                ) -> ::rookery_plugin::Result<::std::string::String> {
                    #(if name == <#tools as ::rookery_plugin::Tool>::ABOUT.name {
                        return ::rookery_plugin::tool::call::<#tools>(
                            &::rookery_plugin::Imports,
                            &arguments,
                        );
                    })*
                    ::std::result::Result::Err(::rookery_plugin::tool::unknown(
                        &name,
                        &[#(<#tools as ::rookery_plugin::Tool>::ABOUT.name),*],
                    ))
                }
            }

            // Without exports, on the build machine, the tools count as used all the same.
            #[cfg(not(target_family = "wasm"))]
            #[allow(dead_code)]
            fn uses() -> impl ::std::marker::Sized {
                (
                    <Component as ::rookery_plugin::Guest>::describe,
                    <Component as ::rookery_plugin::Guest>::call,
                )
            }

            #[cfg(target_family = "wasm")]
            ::rookery_plugin::bindings::export!(Component with_types_in ::rookery_plugin::bindings);
        };
    }
}

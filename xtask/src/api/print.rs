//! Pieces of Rust as text, the same whatever their layout was.

use syn::{Attribute, Meta};

/// Tokens as one writes them, on one line.
pub(super) fn text(tokens: &impl quote::ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let mut out = String::new();
    for word in spaced.split_whitespace() {
        let last = out.chars().last().unwrap_or(' ');
        if needs_space(last, &out, word) {
            out.push(' ');
        }
        out.push_str(word);
    }
    // A path's pieces and the arguments of a type stand close.
    for (loose, close) in
        [(" ::", "::"), (":: ", "::"), (" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), ("& ", "&")]
    {
        out = out.replace(loose, close);
    }
    for (loose, close) in
        [(",)", ")"), (",>", ">"), ("-> <", "-> <"), ("->", " -> "), ("  ", " "), (" ;", ";"), (" :", ":")]
    {
        out = out.replace(loose, close);
    }
    out.trim().to_owned()
}

fn needs_space(last: char, out: &str, word: &str) -> bool {
    let first = word.chars().next().unwrap_or(' ');
    if out.is_empty() || "([".contains(last) || ")],;?.:".contains(first) {
        return false;
    }
    !("([".contains(first) && (last.is_alphanumeric() || "_>&".contains(last)))
}

/// What a user of an item must know of its attributes.
pub(super) fn attributes(attributes: &[Attribute]) -> String {
    let mut derived = Vec::new();
    let mut others = Vec::new();
    for attribute in attributes {
        let path = attribute.path();
        match &attribute.meta {
            Meta::List(list) if path.is_ident("derive") => {
                let names = list.tokens.to_string();
                derived.extend(
                    names.split(',').map(|name| name.replace(' ', "")).filter(|name| !name.is_empty()),
                );
            }
            Meta::List(list) if path.is_ident("cfg") => {
                let condition = text(&list.tokens);
                others.push(format!("#[cfg({condition})]"));
            }
            Meta::Path(path) if path.is_ident("non_exhaustive") => {
                others.push("#[non_exhaustive]".to_owned());
            }
            _ if path.is_ident("deprecated") => others.push("#[deprecated]".to_owned()),
            _ => {}
        }
    }
    derived.sort();
    if !derived.is_empty() {
        others.push(format!("#[derive({})]", derived.join(", ")));
    }
    others.iter().map(|attribute| format!(" {attribute}")).collect()
}

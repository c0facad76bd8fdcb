//! Where the expansion finds Mellea.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::Span;
use quote::format_ident;
use syn::{Error, LitStr, Path, Result, parse_quote};

/// The packages that have everything that expansions name, and the names of their crates.
const PACKAGES: [(&str, &str); 2] = [("mellea", "mellea"), ("mellea-core", "mellea_core")];

/// The path that `crate = "…"` gives, or the name under which the calling crate depends on Mellea.
///
/// # Errors
/// If the literal is not a path, or if the calling crate does not depend on Mellea.
pub(crate) fn resolve(given: Option<&LitStr>) -> Result<Path> {
    if let Some(path) = given {
        return path.parse_with(Path::parse_mod_style).map_err(|_| {
            Error::new(
                path.span(),
                "this is no path: `crate` is where Mellea is found, for example `crate = \"my_crate::mellea\"`",
            )
        });
    }
    PACKAGES.iter().find_map(|(package, name)| found(package, name)).ok_or_else(|| {
        let message = "neither `mellea` nor `mellea-core` is a dependency of this crate: add one of them, or say where it is \
                       re-exported with `crate = \"path\"`";
        Error::new(Span::call_site(), message)
    })
}

/// A package's own tests and examples know it as `::name` like everybody else; its library does so
/// by `extern crate self as name`.
fn found(package: &str, own_name: &str) -> Option<Path> {
    let name = match crate_name(package).ok()? {
        FoundCrate::Itself => format_ident!("{own_name}"),
        FoundCrate::Name(name) => format_ident!("{name}"),
    };
    Some(parse_quote!(::#name))
}

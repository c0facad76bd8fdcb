//! What the built-in rows are, and that the user's own go before them.

use std::collections::HashSet;

use mellea_http::BaseUrl;

use super::*;

fn rows() -> Vec<&'static Provider> {
    supported_providers().collect()
}

#[test]
fn the_rows_are_as_many_as_the_documentation_says() {
    let Counts { openai_wire, with_address, template, native, proxy_only, unsupported, aliases } = counts();
    assert_eq!((openai_wire, with_address, template, native), (105, 99, 10, 11));
    assert_eq!((proxy_only, unsupported, aliases), (29, 37, 2));
    assert_eq!(counts().callable(), 126);
    let json = rows().into_iter().filter(|p| p.declared_in == Some(DeclaredIn::Json)).count();
    assert_eq!(json, 41);
}

#[test]
fn every_prefix_is_there_once() {
    let mut seen = HashSet::new();
    for row in rows() {
        for prefix in row.prefixes() {
            assert!(seen.insert(prefix.to_owned()), "{prefix} is there twice");
        }
        check(row).unwrap();
    }
    assert_eq!(seen.len(), 194);
}

#[test]
fn addresses_are_https_or_on_this_machine() {
    for row in rows() {
        let Some(url) = &row.base_url else { continue };
        let url = crate::template::fill(url, |_| Ok("x".to_owned())).unwrap();
        let url = BaseUrl::parse(&url).unwrap();
        assert!(url.as_url().scheme() == "https" || url.is_local(), "{}: {url}", row.name);
        assert!(url.as_url().query().is_none() && !url.as_url().path().ends_with("//"), "{}: {url}", row.name);
        assert!(row.kind == Kind::Native || (row.key == Key::Optional) == url.is_local(), "{}", row.name);
    }
}

#[test]
fn names_of_variables_are_names_and_hosted_rows_have_one_for_the_key() {
    let is_name =
        |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    for row in rows() {
        assert!(row.key_env.iter().chain(&row.base_env).chain(row.vars.values().flat_map(|v| &v.env)).all(is_name), "{row:?}");
        assert!(row.header_env.values().all(is_name), "{row:?}");
        if row.key == Key::Required && row.is_enabled() && row.alias_of.is_none() {
            assert!(!row.key_env.is_empty(), "{}", row.name);
            assert!(row.base_url.is_some() || !row.base_env.is_empty(), "{}", row.name);
        }
    }
}

#[test]
fn names_of_other_rows_are_names_of_rows() {
    for row in rows() {
        for other in row.alias_of.iter().chain(&row.instead) {
            let other = Registry::builtin().get(other).unwrap().clone();
            assert!(other.alias_of.is_none() && other.name != row.name, "{}", row.name);
        }
        if let Some(target) = &row.alias_of {
            assert_eq!(Registry::builtin().get(&row.name).map(|p| p.name.clone()).as_ref(), Some(target));
        }
    }
}

#[test]
fn wire_rows_say_how_tokens_are_limited() {
    for row in rows().into_iter().filter(|p| matches!(p.kind, Kind::Openai | Kind::Template) && p.alias_of.is_none()) {
        assert!(row.token_field.is_some(), "{}", row.name);
    }
}

#[test]
fn own_rows_go_first_and_the_last_of_them_counts() {
    let registry = Registry::builtin()
        .with(Provider::new("groq", "https://one.example"))
        .with_toml("[[provider]]\nname = \"groq\"\nbase_url = \"https://two.example\"")
        .unwrap();
    assert_eq!(registry.get("groq").unwrap().base_url.as_deref(), Some("https://two.example"));
    assert_eq!(Registry::builtin().get("groq").unwrap().base_url.as_deref(), Some("https://api.groq.com/openai/v1"));
    assert!(Registry::empty().get("groq").is_none());
    assert_eq!(registry.iter().count(), rows().len() + 2);
}

#[test]
fn a_bad_table_is_refused_with_its_line() {
    for (text, part) in [
        ("[[provider]]\nname = \"a\"\nkeys = []", "line 3: unknown field `keys`"),
        ("[[provider]]\nname = \"a/b\"", "`a/b`: a prefix must be a word without slashes"),
        ("[[provider]]\nname = \"a\"\nbase_url = \"https://{x}/\"", "`{x}` in the address is not among `vars`"),
        ("[[provider]]\nname = \"a\"\ndialect = \"klingon\"", "there is no dialect `klingon`"),
        ("provider = 1", "line 1: "),
        ("[[provider]\n", "line 1: "),
    ] {
        let error = Registry::empty().with_toml(text).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { reason, .. } if reason.contains(part)), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let error = Registry::empty().with_file("/nowhere/providers.toml").unwrap_err().to_string();
    assert!(error.contains("/nowhere/providers.toml"), "{error}");
}

#[test]
fn rows_survive_their_own_form() {
    for row in rows() {
        let text = serde_json::to_string(row).unwrap();
        assert_eq!(&serde_json::from_str::<Provider>(&text).unwrap(), row);
    }
}

#[test]
fn the_readme_has_the_numbers() {
    let text = include_str!("../../README.md");
    let Counts { openai_wire, with_address, template, native, proxy_only, .. } = counts();
    for line in [
        format!(
            "| OpenAI's wire | {openai_wire} | {with_address} at an address that is built in, {} at yours |",
            openai_wire - with_address
        ),
        format!("| OpenAI's wire behind an address or a header of its own | {template} |"),
        format!("| A wire of their own | {native} |"),
        format!("| Only through a LiteLLM proxy | {proxy_only} |"),
    ] {
        assert!(text.contains(&line), "{line}");
    }
    for feature in rows().into_iter().filter_map(|row| row.feature.as_deref()) {
        assert!(text.contains(&format!("| `{feature}` |")), "{feature}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in r#"(\[\[provider\]\]\n)?([a-z_]{1,8} ?= ?["\[{a-z0-9]{0,8}["\]}]?\n){0,3}.{0,20}"#) {
        let _ = Registry::empty().with_toml(&text);
    }
}

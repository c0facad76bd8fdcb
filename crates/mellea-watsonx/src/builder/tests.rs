//! Which settings make a backend, and what is said of those that do not.

use std::collections::HashMap;

use mellea_core::model::{IBM_GRANITE_3_3_8B, IBM_GRANITE_4_1_3B};
use mellea_core::{Backend, ErrorKind};

use super::*;

fn build(builder: WatsonXBuilder, variables: &[(&str, &str)]) -> Result<WatsonX> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    builder.build_in(&|name| variables.get(name).map(|value| (*value).to_owned()))
}

const URL: (&str, &str) = ("WATSONX_URL", "https://us-south.ml.cloud.ibm.com");
const KEY: (&str, &str) = ("WATSONX_API_KEY", "canary-key");
const PROJECT: (&str, &str) = ("WATSONX_PROJECT_ID", "p1");

fn complaint(builder: WatsonXBuilder, variables: &[(&str, &str)]) -> String {
    let error = build(builder, variables).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
    assert_eq!(error.provider(), Some("watsonx"));
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    text
}

#[test]
fn each_spelling_of_each_variable_is_read() {
    for url in super::URL {
        for key in super::KEY.into_iter().chain(TOKEN).chain(ZEN_KEY) {
            let backend =
                build(WatsonX::builder(), &[(url, "https://eu-de.ml.cloud.ibm.com"), (key, "canary"), PROJECT]).unwrap();
            assert_eq!(backend.0.client.base().host(), "eu-de.ml.cloud.ibm.com");
            assert!(!format!("{backend:?} {backend:#?}").contains("canary"));
        }
    }
    for project in super::PROJECT {
        let backend = build(WatsonX::builder(), &[URL, KEY, (project, " p2\n")]).unwrap();
        assert_eq!(backend.0.scope, Scope::Project("p2".into()));
    }
    for space in SPACE {
        assert_eq!(build(WatsonX::builder(), &[URL, KEY, (space, "s")]).unwrap().0.scope, Scope::Space("s".into()));
    }
    let of_region = build(WatsonX::builder(), &[("WATSONX_REGION", "jp-tok"), KEY, PROJECT]).unwrap();
    assert_eq!(of_region.0.client.base().host(), "jp-tok.ml.cloud.ibm.com");
    let elsewhere =
        [("WATSONX_URL", "https://gateway.example.com"), KEY, PROJECT, ("WATSONX_IAM_URL", "https://iam.example.com")];
    assert!(build(WatsonX::builder(), &elsewhere).is_ok());
}

#[test]
fn what_is_missing_is_named_with_its_variables() {
    for (variables, words) in [
        (&[KEY, PROJECT][..], ["WATSONX_URL", "WATSONX_API_BASE", "WX_URL"]),
        (&[URL, PROJECT], ["WATSONX_API_KEY", "WATSONX_APIKEY", "WX_API_KEY"]),
        (&[URL, KEY], ["WATSONX_PROJECT_ID", "WX_PROJECT_ID", "WATSONX_DEPLOYMENT_SPACE_ID"]),
        (&[URL, KEY, PROJECT, ("WX_SPACE_ID", "s")], ["WATSONX_PROJECT_ID", "WX_SPACE_ID", "project_id"]),
        (&[("WX_URL", "https://cpd.example.com"), KEY, PROJECT], ["cloud_pak", "zen_api_key", "iam_url"]),
        (&[("WX_URL", "http://us-south.ml.cloud.ibm.com"), KEY, PROJECT], ["clear", "https", "insecure"]),
        (&[URL, KEY, PROJECT, ("WATSONX_IAM_URL", "http://iam.example.com")], ["clear", "https", "insecure"]),
        (&[URL, ("WX_API_KEY", "  "), PROJECT], ["WATSONX_API_KEY", "WATSONX_APIKEY", "WX_API_KEY"]),
    ] {
        let text = complaint(WatsonX::builder(), variables);
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn settings_that_exclude_each_other_or_mean_nothing_are_refused() {
    let all = &[URL, KEY, PROJECT][..];
    let new = WatsonX::builder;
    for (builder, word) in [
        (new().project_id("p").space_id("s"), "project"),
        (new().deployment_id("d").project_id("p"), "deployment"),
        (new().deployment_id("d").space_id("s"), "deployment"),
        (new().deployment_id("../x"), "../x"),
        (new().deployment_id(".."), "deployment"),
        (new().version("2025-2-11"), "2025-2-11"),
        (new().version("today"), "today"),
        (new().version("2025-13-01"), "2025-13-01"),
        (new().api_key(""), "empty"),
        (new().token(" "), "empty"),
        (new().model(""), "no name"),
        (new().model(IBM_GRANITE_4_1_3B), "no name"),
        (new().url("ftp://canary@h"), "http"),
        (new().header("bad name", "canary"), "bad name"),
    ] {
        let text = complaint(builder, all);
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_setter_goes_before_the_environment() {
    let all = &[URL, KEY, PROJECT, ("WATSONX_SPACE_ID", "s1")][..];
    let new = WatsonX::builder;
    assert_eq!(build(new().project_id("p2"), all).unwrap().0.scope, Scope::Project("p2".into()));
    assert_eq!(build(new().space_id("s2"), all).unwrap().0.scope, Scope::Space("s2".into()));
    assert_eq!(build(new().deployment_id("d"), all).unwrap().0.scope, Scope::Deployment("d".into()));
    let backend = build(new().project_id("p").region("ca-tor").token("canary").raw_concurrency(0), all).unwrap();
    assert_eq!((backend.0.client.base().host(), backend.0.raw_concurrency), ("ca-tor.ml.cloud.ibm.com", 1));
    // A fixed token is not renewed, so a call is made three times at most.
    assert_eq!(backend.0.client.max_requests(), 3);
    assert_eq!(build(new(), &all[..3]).unwrap().0.client.max_requests(), 4);
}

#[test]
fn the_callers_model_is_the_model() {
    let all = &[URL, KEY, PROJECT][..];
    let new = WatsonX::builder;
    assert_eq!(build(new(), all).unwrap().model(), "ibm/granite-4-h-small");
    assert_eq!(build(new().model("openai/gpt-oss-120b"), all).unwrap().model(), "openai/gpt-oss-120b");
    let known = build(new().model(IBM_GRANITE_3_3_8B), all).unwrap();
    assert_eq!((known.model(), known.capabilities().context_window), ("ibm/granite-3-3-8b-instruct", Some(131_072)));
    let deployed = build(new().model("deployment/abc"), all).unwrap();
    assert_eq!((deployed.model(), &deployed.0.scope), ("deployment/abc", &Scope::Deployment("abc".into())));
    let deployed = build(new().deployment_id("abc"), all).unwrap();
    assert_eq!((deployed.model(), deployed.capabilities().context_window), ("deployment/abc", None));
    assert_eq!(build(new().deployment_id("abc").model("mine"), all).unwrap().model(), "mine");
}

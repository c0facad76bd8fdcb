//! What an error says, shows and keeps.

use super::*;

#[test]
fn is_one_pointer_wide_and_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn display_is_one_line_that_says_what_where_and_what_to_do() {
    let error = Error::new(ErrorKind::Provider(ProviderError::new("over\ncapacity")))
        .at("ollama", "granite4.1:3b")
        .in_attempt(2)
        .with_hint("start it with `ollama serve`");
    assert_eq!(error.to_string(), "ollama/granite4.1:3b: attempt 2: over capacity; start it with `ollama serve`");
}

#[test]
fn the_first_place_wins() {
    let error = Error::from(ErrorKind::EmptyPrompt).at("a", "b").at("c", "d");
    assert_eq!((error.provider(), error.model()), (Some("a"), Some("b")));
}

#[test]
fn the_cause_is_the_source() {
    let error = Error::new(ErrorKind::Parse("no".into())).with_source(std::fmt::Error);
    assert!(error.source().is_some());
    assert!(error.is_answer_fault() && !error.is_retryable());
}

/// One of every kind.
fn kinds() -> Vec<ErrorKind> {
    let t = || "x".to_owned();
    vec![
        ErrorKind::EmptyPrompt,
        ErrorKind::EmptyRequirement,
        ErrorKind::UncheckedRequirements(vec![t()]),
        ErrorKind::InvalidOption { option: t(), value: t(), expected: t() },
        ErrorKind::unsupported("x", "x", "x"),
        ErrorKind::InvalidContent { what: "image", reason: t() },
        ErrorKind::Template { template: t(), reason: t() },
        ErrorKind::UndefinedVariable { template: t(), variable: t() },
        ErrorKind::UnusedVariable(t()),
        ErrorKind::SchemaUnsupported { keyword: t(), path: t() },
        ErrorKind::config("x", "x"),
        ErrorKind::UnknownBackend { name: t(), available: t() },
        ErrorKind::PreconditionFailed(vec![t()]),
        ErrorKind::EmptyResponse,
        ErrorKind::Truncated { limit: None, produced: 1 },
        ErrorKind::SchemaMismatch { faults: vec![crate::schema::Mismatch::new("/x", "x", "x")], more: 0 },
        ErrorKind::Parse(t()),
        ErrorKind::Degenerate(t()),
        ErrorKind::ContentFiltered,
        ErrorKind::StreamCheck { check: t(), reason: t() },
        ErrorKind::ToolRounds { limit: 2 },
        ErrorKind::RequirementsNotMet { attempts: 2, unmet: vec![t()] },
        ErrorKind::Validator { requirement: t(), reason: t() },
        ErrorKind::Strategy(t()),
        ErrorKind::Tool { tool: t(), reason: t() },
        ErrorKind::ContextWindowExceeded { prompt: None, limit: None },
        ErrorKind::PromptTruncated { prompt: 2, read: 1 },
        ErrorKind::Conflict,
        ErrorKind::Timeout { phase: TimeoutPhase::Total, limit: Duration::from_secs(1) },
        ErrorKind::Cancelled,
        ErrorKind::StreamInterrupted,
        ErrorKind::Busy(t()),
        ErrorKind::ModelNotFound(t()),
        ErrorKind::ModelFile { file: t(), reason: t() },
        ErrorKind::Provider(ProviderError::new("x")),
        ErrorKind::QuotaExhausted(ProviderError::new("x")),
        ErrorKind::MalformedResponse { path: t(), reason: t() },
        ErrorKind::connection("x", "x"),
        ErrorKind::Testing(t()),
        ErrorKind::Runtime("x"),
        ErrorKind::Backend(t()),
    ]
}

/// The names are a promise: a line here may be added, never changed.
#[test]
fn every_kind_has_a_stable_name() {
    let names: Vec<&str> = kinds().iter().map(ErrorKind::name).collect();
    insta::assert_snapshot!(names.join("\n"));
    let declared = include_str!("kind.rs").split("pub const fn name").nth(1).unwrap();
    let arms = declared.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
    assert_eq!(arms.take_while(|name| !name.contains(' ')).count(), names.len(), "a kind is missing in `kinds`");
    for kind in kinds() {
        let variant: String = format!("{kind:?}").chars().take_while(char::is_ascii_alphanumeric).collect();
        let snake: String =
            variant.chars().map(|c| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.into() }).collect();
        assert_eq!(kind.name(), snake.trim_start_matches('_'));
        assert!(!kind.to_string().is_empty());
    }
}

#[test]
fn foreign_text_cannot_leave_its_line() {
    let attack = "a\r\nb\u{1b}[2Jc\u{202e}d\u{200b}".repeat(2000);
    let mut said = ProviderError::new(attack.clone());
    (said.code, said.request_id) = (Some(attack.clone()), Some(attack.clone()));
    for kind in [
        ErrorKind::Provider(said),
        ErrorKind::Tool { tool: attack.clone(), reason: attack.clone() },
        ErrorKind::UncheckedRequirements(vec![attack.clone(); 40]),
        ErrorKind::config("x", attack.clone()),
        ErrorKind::SchemaMismatch { faults: vec![crate::schema::Mismatch::new(attack.clone(), "x", attack.clone())], more: 0 },
    ] {
        let alone = kind.to_string();
        let error = Error::new(kind).at(&attack, &attack).with_hint(attack.clone());
        for shown in [alone, error.to_string(), serde_json::to_string(&error).unwrap()] {
            assert!(shown.len() < 20_000, "{}", shown.len());
            assert!(!shown.contains(|c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{200b}')), "{shown:?}");
        }
    }
}

#[test]
fn a_report_has_everything_that_is_known() {
    let mut said = ProviderError::new("slow down");
    (said.status, said.code) = (Some(429), Some("rate_limit".into()));
    (said.request_id, said.retry_after) = (Some("req-1".into()), Some(Duration::from_millis(1500)));
    let mut partial = ModelOutput::new("half an ans");
    partial.usage = crate::output::Usage::new(12, 3);
    let cause = Error::from(ErrorKind::connection("https://a.example", "reset")).with_source(fmt::Error);
    let error = Error::new(ErrorKind::Provider(said))
        .at("openai", "gpt")
        .in_attempt(2)
        .with_hint("wait")
        .with_partial(Arc::new(partial))
        .with_source(cause);
    insta::assert_snapshot!(serde_json::to_string_pretty(&error).unwrap());
    insta::assert_snapshot!(serde_json::to_string(&Error::from(ErrorKind::EmptyPrompt)).unwrap());
}

#[test]
fn a_report_is_bounded_and_without_secrets() {
    let mut partial = ModelOutput::new("word ".repeat(100_000));
    partial.text.insert_str(0, "sk-canary-123456 ");
    let error = Error::config("api_key", "the key sk-canary-123456 is not accepted")
        .with_hint("drop sk-canary-123456")
        .with_source(Error::from(ErrorKind::Backend("Bearer sk-canary-123456".into())))
        .with_partial(Arc::new(partial));
    let report = serde_json::to_string(&error).unwrap();
    assert!(!report.contains("canary") && report.len() < 8000, "{report}");
}

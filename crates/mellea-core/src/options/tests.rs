//! What options take, and how layers of them become one set.

use super::*;

const OLLAMA: &[(&str, ModelOption)] = &[("num_predict", ModelOption::MaxNewTokens)];

#[test]
fn a_native_key_of_the_call_beats_the_constructors_option() {
    let backend = ModelOptions::new().with(ModelOption::MaxNewTokens, 100);
    let call = ModelOptions::new().with("num_predict", 50);
    let resolved = ModelOptions::resolve([&backend, &call], OLLAMA).unwrap();
    assert_eq!(resolved.options.max_new_tokens, Some(50));
    assert!(resolved.warnings.is_empty() && resolved.options.extra.is_empty());
}

#[test]
fn within_one_set_the_common_name_wins_and_both_are_named() {
    let options = ModelOptions::new().with("num_predict", 100).with(ModelOption::MaxNewTokens, 7);
    let resolved = ModelOptions::resolve([&options], OLLAMA).unwrap();
    assert_eq!(resolved.options.max_new_tokens, Some(7));
    assert_eq!(resolved.warnings.len(), 1);
    assert!(resolved.warnings[0].to_string().contains("`num_predict` and `max_new_tokens`"));
}

#[test]
fn absurd_values_are_refused_by_name() {
    for (option, value, word) in [
        (ModelOption::Temperature, Value::from(-1.0), "temperature"),
        (ModelOption::MaxNewTokens, Value::from(0), "max_new_tokens"),
        (ModelOption::Seed, Value::from("x"), "seed"),
        (ModelOption::StopSequences, Value::from(vec![""]), "stop_sequences"),
        (ModelOption::Thinking, Value::from("much"), "thinking"),
        (ModelOption::StreamTimeout, Value::from(0), "stream_timeout"),
        (ModelOption::ToolChoice, Value::from(1), "tool_choice"),
    ] {
        let error = ModelOptions::resolve([&ModelOptions::new().with(option, value)], &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidOption { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn null_is_absent_but_switches_the_timeout_off() {
    let options = ModelOptions::new().with(ModelOption::Temperature, None::<f64>).with(ModelOption::StreamTimeout, None::<f64>);
    let resolved = ModelOptions::resolve([&options], &[]).unwrap().options;
    assert_eq!((resolved.temperature, resolved.stream_timeout), (None, None));
    assert_eq!(RequestOptions::default().stream_timeout, Some(DEFAULT_STREAM_TIMEOUT));
}

#[test]
fn typed_values_survive_the_round_trip() {
    let options = ModelOptions::new()
        .with(ModelOption::Thinking, Thinking::High)
        .with(ModelOption::ToolChoice, ToolChoice::Tool("add".into()));
    let resolved = ModelOptions::resolve([&options], &[]).unwrap().options;
    assert_eq!(resolved.thinking, Some(Thinking::High));
    assert_eq!(resolved.tool_choice, Some(ToolChoice::Tool("add".into())));
}

#[test]
fn every_option_has_one_name_everywhere() {
    for option in ModelOption::ALL {
        assert_eq!(serde_json::to_value(option).unwrap(), option.name());
        assert_eq!(serde_json::from_value::<ModelOption>(option.name().into()).unwrap(), option);
        assert_eq!(option.name().parse::<ModelOption>().unwrap(), option);
        // An array of numbers is a value of no option: each refuses it in the words of the table.
        let refused = ModelOptions::new().with(option, vec![Value::from(1)]);
        let error = ModelOptions::resolve([&refused], &[]).unwrap_err();
        let ErrorKind::InvalidOption { option: name, expected, .. } = error.kind() else { panic!("{error}") };
        assert_eq!((name.as_str(), expected.as_str()), (option.name(), option.expected()));
    }
    assert!("temprature".parse::<ModelOption>().unwrap_err().to_string().contains("one of temperature, "));
}

#[test]
fn what_is_no_number_or_no_time_is_refused_and_never_dropped() {
    for (option, value) in [
        (ModelOption::Temperature, OptionValue::from(f64::NAN)),
        (ModelOption::Temperature, f32::INFINITY.into()),
        (ModelOption::Temperature, Tools::default().into()),
        (ModelOption::StreamTimeout, Duration::MAX.into()),
        (ModelOption::StreamTimeout, Duration::ZERO.into()),
        (ModelOption::Timeout, Duration::MAX.into()),
        (ModelOption::Timeout, 1e-12.into()),
        (ModelOption::Timeout, f64::MAX.into()),
        (ModelOption::MaxNewTokens, (-1).into()),
        (ModelOption::Seed, f64::NEG_INFINITY.into()),
    ] {
        let error = ModelOptions::resolve([&ModelOptions::new().with(option, value)], &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidOption { option: name, .. } if name == option.name()), "{error}");
    }
    let native = ModelOptions::new().with("top_p", f64::NAN);
    assert!(ModelOptions::resolve([&native], &[]).unwrap_err().to_string().contains("`top_p` cannot be NaN"));
    // A later layer mends an earlier one.
    let mended = ModelOptions::new().with("top_p", 0.5);
    assert!(ModelOptions::resolve([&native, &mended], &[]).is_ok());
    assert!(ModelOptions::resolve([&native.clone().with("top_p", 0.5)], &[]).is_ok());
}

#[test]
fn an_answer_has_an_hour_unless_told_otherwise() {
    let resolve = |options: &ModelOptions| ModelOptions::resolve([options], &[]).unwrap().options.timeout;
    assert_eq!(resolve(&ModelOptions::new()), Some(DEFAULT_TIMEOUT));
    assert_eq!(resolve(&ModelOptions::new().with(ModelOption::Timeout, 2)), Some(Duration::from_secs(2)));
    assert_eq!(resolve(&ModelOptions::new().with(ModelOption::Timeout, None::<f64>)), None);
    let stored = |timeout| serde_json::to_value(RequestOptions { timeout, ..RequestOptions::default() }).unwrap();
    assert!(stored(Some(DEFAULT_TIMEOUT)).get("timeout").is_none(), "stored requests of old stay the same");
    let read: RequestOptions = serde_json::from_value(stored(None)).unwrap();
    assert_eq!(read.timeout, None);
}

#[test]
fn more_fields_of_layers_are_put_together() {
    let body = |value: serde_json::Value| ModelOptions::new().with("extra_body", value);
    let session = body(serde_json::json!({"a": 1, "chat_template_kwargs": {"x": 1, "y": 1}, "b": {"deep": 1}}));
    let call = body(serde_json::json!({"b": {"other": 2}, "chat_template_kwargs": {"y": 2}}));
    let expected = serde_json::json!({"a": 1, "chat_template_kwargs": {"x": 1, "y": 2}, "b": {"other": 2}});
    assert_eq!(session.clone().merged(&call).extra()["extra_body"], expected);
    let odd = body(serde_json::json!({"chat_template_kwargs": 7}));
    assert_eq!(session.merged(&odd).extra()["extra_body"]["chat_template_kwargs"], 7);
    let headers = |name: &str| ModelOptions::new().with("extra_headers", serde_json::json!({ name: "v" }));
    assert_eq!(headers("a").merged(&headers("b")).extra()["extra_headers"], serde_json::json!({"a": "v", "b": "v"}));
}

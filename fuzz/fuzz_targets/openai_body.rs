//! Whole chat completions, raw completions and lists of models.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{PLACE, shown, sound, whole};
use mellea_http::fuzzing::json;
use mellea_openai::Dialect;
use mellea_openai::fuzzing::{names, outputs, teaches};
use mellea_openai::wire::{ChatDecoder, Completion};
use mellea_wire::Rules;
use serde_json::{Map, Value};

fuzz_target!(|input: &[u8]| {
    match json::<Completion>(&PLACE, input) {
        Ok(completion) => {
            for result in outputs(completion.clone(), 3).into_iter().chain(outputs(completion.clone(), 1)) {
                let _ = result.map_err(|error| shown(&error));
            }
        }
        Err(error) => _ = shown(&error),
    }
    sound(&whole(ChatDecoder::default(), Rules::new(), input));
    if let Ok(body) = serde_json::from_slice::<Value>(input) {
        let _ = names(&body);
    }
    let fields = ["max_tokens", "max_completion_tokens", "stream_options", "temperature", "response_format", "include"];
    let sent: Map<String, Value> = fields.into_iter().map(|field| (field.to_owned(), Value::Null)).collect();
    let error = mellea_http::fuzzing::refusal(&PLACE, 400, &Default::default(), input);
    let _ = teaches(&Dialect::of_url("http://localhost:8000"), &sent, &error);
});

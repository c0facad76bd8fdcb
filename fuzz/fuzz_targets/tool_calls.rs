//! Tool calls out of the pieces in which servers stream them: each line is a list of pieces.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use mellea_openai::wire::ToolCallPart;
use mellea_wire::ToolCalls;

fuzz_target!(|input: &[u8]| {
    let mut calls = ToolCalls::default();
    let mut pieces = 0;
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(parts) = serde_json::from_slice::<Vec<ToolCallPart>>(line) else { continue };
        for (position, part) in parts.into_iter().enumerate() {
            pieces += 1;
            if calls.push(part.into(), position).is_err() {
                return;
            }
        }
    }
    let (calls_made, _) = calls.finish();
    assert!(calls_made.len() <= pieces.min(256));
    let ids: HashSet<&str> = calls_made.iter().map(|call| call.id.as_str()).collect();
    assert!(ids.len() == calls_made.len() && !ids.contains(""), "ids are unique: {calls_made:?}");
    assert!(calls.is_empty() && calls.finish().0.is_empty());
});

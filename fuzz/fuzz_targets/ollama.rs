//! Ollama's answers, line by line, and the progress of its pulls.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_core::Event;
use mellea_fuzz::{cut, read, same, sound};
use mellea_http::LineFramer;
use mellea_ollama::Decoder;
use mellea_ollama::wire::{LocalModel, ModelInfo, PullLine, RunningModel};
use mellea_wire::Rules;

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    let answer = |pieces: &[&[u8]]| read::<LineFramer, _>(Decoder::default(), Rules::new(), pieces);
    let read = answer(&[whole]);
    // What the server sent is kept as it was, once.
    assert!(read.0.iter().filter(|event| matches!(event, Event::Raw(_))).count() <= 1);
    same(&read, &answer(&pieces));
    sound(&mellea_fuzz::whole(Decoder::default(), Rules::new(), whole));
    let lines = || whole.split(|byte| *byte == b'\n');
    let progress = mellea_ollama::fuzzing::pulled(lines().filter_map(|line| serde_json::from_slice::<PullLine<'_>>(line).ok()));
    assert!(progress.iter().all(|(done, all)| done <= all));
    let _ = serde_json::from_slice::<ModelInfo>(whole);
    let _ = serde_json::from_slice::<LocalModel>(whole);
    let _ = serde_json::from_slice::<RunningModel>(whole);
});

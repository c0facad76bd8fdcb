//! Answers of the Messages API, streamed and whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{PLACE, cut, same, sound};
use mellea_litellm::fuzzing::Family;

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    for emulate in [false, true] {
        let family = Family::Anthropic;
        same(&family.stream(&PLACE, emulate, &[whole]), &family.stream(&PLACE, emulate, &pieces));
        sound(&family.whole(&PLACE, emulate, whole));
    }
});

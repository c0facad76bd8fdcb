//! Streams of chat completions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{cut, read, same};
use mellea_http::SseFramer;
use mellea_openai::wire::ChatDecoder;
use mellea_wire::Rules;

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    for (json_tool, skip) in [(false, false), (true, true)] {
        let mut rules = Rules::new();
        (rules.json_tool, rules.skip_unreadable) = (json_tool, skip);
        rules.tools = ["find".to_owned()].into();
        let answer = |pieces: &[&[u8]]| read::<SseFramer, _>(ChatDecoder::default(), rules.clone(), pieces);
        same(&answer(&[whole]), &answer(&pieces));
    }
});

//! Streams of the Responses API, and its whole answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{cut, read, same, sound};
use mellea_http::SseFramer;
use mellea_openai::wire::ResponsesDecoder;
use mellea_wire::Rules;

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    let answer = |pieces: &[&[u8]]| read::<SseFramer, _>(ResponsesDecoder::default(), Rules::new(), pieces);
    same(&answer(&[whole]), &answer(&pieces));
    sound(&mellea_fuzz::whole(ResponsesDecoder::default(), Rules::new(), whole));
});

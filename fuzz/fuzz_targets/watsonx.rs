//! Answers of watsonx.ai, streamed and whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{cut, read, same, sound};
use mellea_http::SseFramer;
use mellea_watsonx::stream::Decoder;
use mellea_watsonx::wire::Generation;
use mellea_wire::Rules;

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    let answer = |pieces: &[&[u8]]| read::<SseFramer, _>(Decoder::default(), Rules::new(), pieces);
    same(&answer(&[whole]), &answer(&pieces));
    sound(&mellea_fuzz::whole(Decoder::default(), Rules::new(), whole));
    let _ = serde_json::from_slice::<Generation>(whole).map(|raw| raw.refusal());
});

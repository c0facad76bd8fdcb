//! Answers of the Converse API: binary event streams, and whole bodies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{PLACE, cut, same, sound};
use mellea_litellm::fuzzing::Family::Bedrock;

/// Makes the lengths of all messages possible and their checksums right: no mutation would.
fn mended(sent: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
    let mut out = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while rest.len() >= 16 {
        let total = number(&rest[..4]).clamp(16, rest.len());
        let headers = number(&rest[4..8]).min(total - 16);
        let start = out.len();
        out.extend((total as u32).to_be_bytes());
        out.extend((headers as u32).to_be_bytes());
        out.extend(crc32fast::hash(&out[start..]).to_be_bytes());
        out.extend(&rest[12..total - 4]);
        out.extend(crc32fast::hash(&out[start..]).to_be_bytes());
        rest = &rest[total..];
    }
    out.extend(rest);
    out
}

fuzz_target!(|input: &[u8]| {
    let Some((sent, pieces)) = cut(input) else { return };
    same(&Bedrock.stream(&PLACE, false, &[sent]), &Bedrock.stream(&PLACE, false, &pieces));
    let mut sound_input = mended(sent);
    sound_input.extend(&input[sent.len()..]);
    let Some((sent, pieces)) = cut(&sound_input) else { return };
    for emulate in [false, true] {
        same(&Bedrock.stream(&PLACE, emulate, &[sent]), &Bedrock.stream(&PLACE, emulate, &pieces));
        sound(&Bedrock.whole(&PLACE, emulate, sent));
    }
});

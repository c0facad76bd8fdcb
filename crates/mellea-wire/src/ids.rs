//! Ids of tool calls, in the forms that services take.

/// An id of so many letters and digits, always the same for the same id: for services that refuse the ids of others.
/// It has at most 12 characters.
///
/// ```
/// let id = mellea_wire::short_id("functions.find:0", 9);
/// assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
/// assert_eq!(id, mellea_wire::short_id("functions.find:0", 9));
/// assert_ne!(id, mellea_wire::short_id("functions.find:1", 9));
/// ```
#[must_use]
pub fn short_id(id: &str, length: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // FNV-1a, 128 bits wide: it must be the same on every machine, and here nobody attacks it.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in id.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let mut out = String::with_capacity(length.min(12));
    for _ in 0..length.min(12) {
        let digit = usize::try_from(hash % 62).unwrap_or_default();
        out.push(DIGITS.get(digit).copied().map_or('0', char::from));
        hash /= 62;
    }
    out
}

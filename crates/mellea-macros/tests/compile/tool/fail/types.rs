//! What a function takes and gives must be known to serde, and the messages say so.

use mellea::prelude::*;

struct Opaque;

/// Takes what a model cannot give.
#[tool]
fn takes(opaque: Opaque) {
    let _ = opaque;
}

/// Gives what a model cannot read.
#[tool]
fn gives() -> Opaque {
    Opaque
}

/// Fails with what a model cannot read.
#[tool]
fn fails() -> Result<(), Opaque> {
    Err(Opaque)
}

struct Shop;

impl Shop {
    /// Keeps others waiting.
    #[tool]
    fn sell(&mut self) {}
}

/// Adds.
#[tool]
fn add(a: u8, b: u8) -> u8 {
    a + b
}

fn main() {
    let m = Session::new(mellea::testing::ScriptedBackend::new(["x"]));
    let _ = m.chat("1 + 2?").tool(add);
}

//! A tool's object is shared, and so is its state.

use mellea::prelude::*;

struct Shop;

impl Shop {
    /// Keeps others waiting.
    #[tool]
    fn sell(&mut self) {}
}

/// Keeps others waiting.
#[tool(effects = true)]
fn wait(#[tool(state)] shop: &mut Shop, #[tool(state, default)] price: u8) {}

fn main() {}

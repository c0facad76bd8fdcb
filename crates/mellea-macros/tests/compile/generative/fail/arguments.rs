//! Arguments must be known and spelt as documented.

use mellea::prelude::*;

/// Unknown and misspelt.
#[generative(requires("Be brief."), require = "Be brief.", strategy(RejectionSampling::new(2)), option(ModelOption::Seed), check())]
async fn misspelt(text: &str) -> String;

/// Twice.
#[generative(strategy = RejectionSampling::new(2), strategy = RejectionSampling::new(3))]
async fn twice(text: &str) -> String;

/// No path.
#[generative(crate = "no path")]
async fn no_path(text: &str) -> String;

/// No text.
#[generative(crate = mellea)]
async fn no_text(text: &str) -> String;

fn main() {}

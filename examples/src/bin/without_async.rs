//! A program without a runtime: generative functions that wait, and `wait()` on everything else.

use mellea::blocking::Wait;
use mellea::prelude::*;

#[derive(Debug, Deserialize, JsonSchema)]
struct Contact {
    name: String,
    email: String,
}

/// Extract the contact from the text.
#[generative]
fn contact(text: &str) -> Contact;

fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").wait()?;
    let Contact { name, email } = contact(&m, "Maria Lopez <maria@example.com> asked for an invoice.")?;
    println!("{name}: {email}");
    let note = m.instruct("Write an email to Alice inviting them to the launch.").wait()?;
    println!("{note}");
    Ok(())
}

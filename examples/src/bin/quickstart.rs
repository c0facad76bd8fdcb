//! Reads a record out of a text, writes an e-mail from it, and shows how each attempt was checked.
//!
//! ```text
//! cargo run -p mellea-examples --bin quickstart -- "Bob Stone, aged 45, signed up yesterday."
//! ```
//!
//! The model is pico: it runs inside this program, and is far too small for anything but this.

use mellea::prelude::*;

#[derive(Debug, Deserialize, JsonSchema)]
struct UserProfile {
    name: String,
    age: u8,
}

/// Extract the user's name and age from the text.
#[generative]
async fn extract_user(text: &str) -> UserProfile;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let text = if words.is_empty() { "User log 42: Alice is 31 years old.".to_owned() } else { words.join(" ") };
    let m = mellea::start_session().backend("hf").await?;

    println!("text:   {text}");
    let user = extract_user(&m, &text).await?;
    println!("record: name {:?}, age {}\n", user.name, user.age);

    let email = m
        .instruct("Write an email to {{name}} inviting them to the launch.")
        .var("name", &user.name)
        .require("The email should have a salutation.")
        .require(req("Use only lower-case letters.").validate(|s| s == s.to_lowercase()))
        .require(check("Do not mention competitors."))
        .strategy(RepairTemplate::new(5))
        .option(ModelOption::Temperature, 0.8)
        .sample()
        .await?;

    for attempt in email.attempts() {
        println!("{attempt}\n");
    }
    println!("{}", email.into_result()?);
    Ok(())
}

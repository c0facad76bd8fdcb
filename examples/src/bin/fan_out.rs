//! Answers that are parts of other prompts before they are there: three start at once, a fourth waits
//! for them.

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").await?;
    let ask = |name: &str| m.instruct("Write a short note to {{name}} about the meeting.").var("name", name);
    let (anna, ben) = (ask("Anna").start().await?, ask("Ben").start().await?);

    let both =
        m.instruct("Classify the sentiment of the text.").grounding("anna", &anna).grounding("ben", &ben).preview().await?;
    println!("{}", both.messages[0].text());
    for note in [anna.await?, ben.await?] {
        println!("\n{note}\nfirst token after {:?}", note.output().time_to_first_token);
    }
    Ok(())
}

//! Streaming: text as it comes, and the finished answer at the end.

use std::io::Write;

use futures_util::StreamExt;

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = mellea::start_session().backend("hf").await?;
    let mut stream = m.instruct("Write an email to Alice inviting them to the launch.").stream().await?;
    while let Some(piece) = stream.next().await {
        print!("{}", piece?.into_text());
        let _ = std::io::stdout().flush();
    }
    let email = stream.finish().await?;
    println!("\n\n{:?} after {:?}", email.output().usage, email.output().latency);
    Ok(())
}

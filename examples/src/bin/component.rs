//! Your own component, with its own template and its own way to read the answer.

use mellea::prelude::*;
use mellea::{Answer, Prompts, Representation, Result};

#[derive(Debug)]
struct Sum(i64, i64);

impl Component for Sum {
    type Output = i64;

    fn representation(&self) -> Result<Representation> {
        Ok(Representation::inline("sum", "What is {{ a }} + {{ b }}?").arg("a", self.0).arg("b", self.1))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<i64> {
        answer.text().trim().parse().map_err(|_| ErrorKind::Parse(format!("{:?} is not a number", answer.text())).into())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let m = mellea::start_session().backend("hf").await?;
    let sum = m.act(Sum(12, 5)).ensure("between the two", |sum: &i64| (0..100).contains(sum));
    println!("prompt: {}", sum.clone().preview().await?.messages[0].text());
    println!("12 + 5 = {}", sum.await?);

    // Templates can be replaced, here for all models.
    let prompts = Prompts::new().replace("sum", "Please tell me: {{ a }} + {{ b }} = ?")?;
    let m = mellea::start_session().backend("hf").prompts(prompts).await?;
    println!("prompt: {}", m.act(Sum(1, 2)).preview().await?.messages[0].text());
    Ok(())
}

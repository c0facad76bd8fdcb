//! A model that people have, SmolLM2-135M: what the library guarantees, whatever the model says.

use mellea_core::{ModelOption, RejectionSampling, Session};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{model, schemas};

#[derive(Debug, Deserialize, JsonSchema)]
struct Person {
    name: String,
    #[schemars(range(max = 120))]
    age: u8,
}

#[tokio::test]
async fn typed_answers_have_their_type() {
    let session = Session::new(model("smollm2"));
    let mut typed = 0;
    for (seed, name) in ["Alice", "Bo", "Carla", "Dev"].into_iter().enumerate() {
        let text = format!("{name} is 31 years old and likes tea.");
        let call = session.instruct("Extract the person.").input("text", &text).format::<Person>();
        let call = call.strategy(RejectionSampling::new(3)).option(ModelOption::MaxNewTokens, 60);
        let answer = call.option(ModelOption::Seed, seed as u64).option(ModelOption::Temperature, 0.3).await;
        typed += usize::from(answer.is_ok_and(|person| person.value().age <= 120 && !person.value().name.is_empty()));
    }
    assert!(typed >= 3, "{typed} of 4 had their type");
}

#[tokio::test]
async fn no_schema_ends_the_server() {
    let backend = model("smollm2");
    schemas::patterns(&backend, 1).await;
    schemas::shapes(&backend, 1).await;
}

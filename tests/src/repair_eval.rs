//! What repair is worth on a small real model: how many first failures each strategy rescues.
//!
//! ```text
//! cargo run --release -p mellea-tests --bin repair-eval -- DIRECTORY [TEMPLATES [TEXTS]]
//! ```
//!
//! The directory holds a model in the form of transformers; the tasks are made for
//! SmolLM2-135M-Instruct. The model is asked for typed answers without their schemas, as by a server that
//! enforces none, so that it fails often and what it writes is checked afterwards. Each strategy gets three
//! attempts. The first is the same for all of them, so the failures that they have to mend are the same too.
//!
//! A folder of templates (`repair.jinja` and the like) is tried in place of the library's, `-` stands for none; a
//! number takes so many texts of each task. With `REPAIR_EVAL_TRACE` set, every attempt after a first failure is
//! shown. The program fails if a strategy that repairs rescues fewer than asking again does.
//!
//! All texts take up to 280 answers of up to 120 tokens: run it alone on the machine, in a release build.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use mellea::backend::{ChatRequest, EventStream};
use mellea::{
    Attempt, Backend, BackendExt, HuggingFace, ModelOption, MultiTurn, Prompts, RejectionSampling, RepairTemplate,
    SamplingStrategy, Session,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How good a product is.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Rating {
    #[schemars(range(min = 0.0, max = 1.0))]
    score: f64,
}

/// When it is.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct When {
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}$"))]
    date: String,
}

/// Whom to write to.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Contact {
    name: String,
    #[schemars(regex(pattern = r"^[a-z0-9.]+@[a-z0-9.]+\.[a-z]+$"))]
    email: String,
}

/// What a text is about.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Keywords {
    #[schemars(length(min = 1, max = 3))]
    keywords: Vec<String>,
}

const RATE: &str = "How much does the customer like the product? Give a score.";
const REVIEWS: [&str; 10] = [
    "The kettle is fine, but it leaks a little.",
    "Best headphones I ever had. I would buy them again at once.",
    "The blender broke on the second day. A waste of money.",
    "It does what it should, no more and no less.",
    "My children love this tent, and so do I.",
    "The screen is too dark to read outside, but the battery lasts for a week.",
    "Awful smell, awful sound. I sent it back.",
    "A solid chair for the price.",
    "I wanted to like this lamp, but it flickers.",
    "Five stars, and I would give six if I could.",
];

const FIND_DATE: &str = "Find the date in the text.";
const DATES: [&str; 10] = [
    "The launch is on March 5, 2024 in Lisbon.",
    "She was born on July 19, 1987.",
    "The contract ends on December 31, 2026.",
    "We met on August 2, 2019, by the sea.",
    "The museum opened on May 14, 2005.",
    "Payment is due on October 9, 2023.",
    "On January 1, 2000 nothing happened.",
    "The storm reached the coast on September 21, 1938.",
    "Her flight leaves on June 30, 2025 at noon.",
    "The treaty was signed on April 11, 1951.",
];

const FIND_EMAIL: &str = "Find the person and the email address in the text.";
const CONTACTS: [&str; 10] = [
    "Write to Ada Moss at ada dot moss at example dot com.",
    "Ben Ruiz reads ben@ruiz.org every morning.",
    "For refunds, ask Carla Jensen (CARLA@SHOP.NET).",
    "Dora Lind: dora (at) lind (dot) se.",
    "The editor, Eli Novak, is reached under eli.novak@press.io.",
    "Mail Fay Odum, fay at odum dot co dot uk, before Friday.",
    "Questions go to Gus Pratt <gus.pratt@pratt.biz>.",
    "Hana Sato's address is hana, followed by @sato.jp.",
    "Ivan Petrov moved from ivan@old.ru to ivan@new.ru.",
    "Call June Wu, or write: JUNE at wu dot net.",
];

const LIST: &str = "List the keywords of the text.";
const TEXTS: [&str; 10] = [
    "Bees find their way home by the sun, and tell each other in dances where flowers are.",
    "The bakery sells rye bread, rolls, cakes and coffee from six in the morning.",
    "Glaciers carve valleys, carry stones over long ways, and feed rivers in summer.",
    "Chess is played on a board of 64 squares by two players with 16 pieces each.",
    "The old library has a reading room, a garden, a map collection and a cat.",
    "Steel is made of iron, carbon and other elements in blast furnaces.",
    "Violins, cellos, flutes and drums: the orchestra played outside in the rain.",
    "Tea came from China to Europe by ship, and with it came porcelain, silk and spices.",
    "The bicycle needs new tyres, brakes, a lamp and a bell before winter.",
    "Volcanoes bring ash, lava and gas from below, and leave rich soil.",
];

/// A model behind a server that enforces no form.
#[derive(Debug)]
struct Unconstrained(HuggingFace);

#[async_trait]
impl Backend for Unconstrained {
    fn provider(&self) -> &str {
        self.0.provider()
    }

    fn model(&self) -> &str {
        self.0.model()
    }

    async fn chat(&self, mut request: ChatRequest) -> mellea::Result<EventStream> {
        request.format = None;
        self.0.chat(request).await
    }
}

/// The most tokens of an answer.
const LIMIT: i64 = 120;

/// The strategies, the plain one first.
fn strategies() -> [(&'static str, Arc<dyn SamplingStrategy>); 3] {
    [
        ("RejectionSampling", Arc::new(RejectionSampling::new(3))),
        ("RepairTemplate", Arc::new(RepairTemplate::new(3))),
        ("MultiTurn", Arc::new(MultiTurn::new(3))),
    ]
}

/// What a strategy made of first failures.
#[derive(Clone, Copy, Default)]
struct Score {
    second: usize,
    third: usize,
    tokens: u64,
}

impl Score {
    fn rescued(self) -> usize {
        self.second + self.third
    }

    fn plus(self, other: Self) -> Self {
        Self { second: self.second + other.second, third: self.third + other.third, tokens: self.tokens + other.tokens }
    }
}

/// What came of one task: how many texts, how many first failures, and each strategy's score.
#[derive(Default)]
struct Outcome {
    texts: usize,
    failures: usize,
    scores: [Score; 3],
}

impl Outcome {
    fn plus(self, other: &Self) -> Self {
        let mut scores = self.scores;
        for (sum, score) in scores.iter_mut().zip(other.scores) {
            *sum = sum.plus(score);
        }
        Self { texts: self.texts + other.texts, failures: self.failures + other.failures, scores }
    }

    fn print(&self, task: &str) {
        for ((name, _), score) in strategies().iter().zip(self.scores) {
            println!(
                "{task:<8} {:>3} of {:<3} {name:<18} {:>7} {:>7} {:>7} {:>8}",
                self.failures,
                self.texts,
                score.rescued(),
                score.second,
                score.third,
                score.tokens
            );
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().ok_or("say the directory of a model")?;
    let mut prompts = Prompts::new();
    if let Some(templates) = args.next().filter(|folder| folder != "-") {
        for name in Prompts::NAMES {
            let file = Path::new(&templates).join(name).with_extension("jinja");
            if file.exists() {
                prompts = prompts.replace(name, std::fs::read_to_string(file)?)?;
            }
        }
    }
    let texts: usize = args.next().map_or(Ok(usize::MAX), |n| n.parse())?;
    let model = HuggingFace::load(directory).await?;
    // Attempts have seeds of their own, so that only equal attempts share an answer: the first ones.
    let backend = Unconstrained(model).cached(NonZeroUsize::new(10_000).ok_or("a cache of nothing")?);
    let m = Session::builder(backend).prompts(prompts).build();

    println!(
        "{:<8} {:<10} {:<18} {:>7} {:>7} {:>7} {:>8}",
        "task", "failures", "strategy", "rescued", "second", "third", "tokens"
    );
    let mut all = Outcome::default();
    let mut done = |task: &str, outcome: Outcome| {
        outcome.print(task);
        all = std::mem::take(&mut all).plus(&outcome);
    };
    done("rating", measure::<Rating>(&m, RATE, &REVIEWS, texts).await?);
    done("date", measure::<When>(&m, FIND_DATE, &DATES, texts).await?);
    done("e-mail", measure::<Contact>(&m, FIND_EMAIL, &CONTACTS, texts).await?);
    done("list", measure::<Keywords>(&m, LIST, &TEXTS, texts).await?);
    all.print("all");
    let [plain, repairs @ ..] = all.scores;
    match repairs.iter().all(|score| score.rescued() >= plain.rescued()) {
        true => Ok(()),
        false => Err("a repair rescued fewer than asking again".into()),
    }
}

/// Asks for a `T` about each text, with each strategy.
async fn measure<T>(m: &Session, task: &str, texts: &[&str], most: usize) -> mellea::Result<Outcome>
where
    T: DeserializeOwned + JsonSchema + Send + Sync + 'static,
{
    let mut outcome = Outcome::default();
    for (i, text) in texts.iter().enumerate().take(most) {
        outcome.texts += 1;
        for (place, (name, strategy)) in strategies().into_iter().enumerate() {
            let call = m
                .fork()
                .instruct(task)
                .input("text", text)
                .format::<T>()
                .strategy(strategy)
                .option(ModelOption::Temperature, 0.5)
                .option(ModelOption::MaxNewTokens, LIMIT)
                .option(ModelOption::Seed, i as u64);
            let result = call.sample().await?;
            let attempts = result.attempts();
            if attempts.first().is_some_and(Attempt::succeeded) {
                break;
            }
            outcome.failures += usize::from(place == 0);
            let score = Score {
                second: usize::from(result.success() && attempts.len() == 2),
                third: usize::from(result.success() && attempts.len() == 3),
                tokens: result.usage().total_tokens().unwrap_or_default(),
            };
            outcome.scores[place] = outcome.scores[place].plus(score);
            if std::env::var_os("REPAIR_EVAL_TRACE").is_some() {
                trace(name, attempts);
            }
        }
    }
    Ok(outcome)
}

/// Shows what was asked and answered after a first failure.
fn trace(strategy: &str, attempts: &[Attempt]) {
    for attempt in attempts {
        println!("--- {strategy} {}", attempt.number);
        for message in attempt.request.messages.iter() {
            println!("[{:?}] {}", message.role, message.text());
        }
        println!("{attempt}");
    }
}

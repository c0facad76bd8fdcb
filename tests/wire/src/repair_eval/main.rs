//! What repair is worth on a small real model: how many first failures each strategy rescues.
//!
//! ```text
//! cargo run --release -p mellea-wire-tests --bin repair-eval -- --model smollm2 [--ollama HOST] [OPTION VALUE]...
//! ```
//!
//! The model is one of an Ollama server, on this machine or where `OLLAMA_HOST` or `--ollama` says; the tasks are
//! made for SmolLM2-135M-Instruct. It is asked for typed answers without their schemas, as by a server that
//! enforces none, so that it fails often and what it writes is checked afterwards. Each strategy gets three
//! attempts. The first is the same for all of them, so the failures that they have to mend are the same too.
//!
//! There are two sets of tasks. The words of the repair were chosen on the first; the second, with other types,
//! questions and texts, shows whether they hold elsewhere. Without `--set` both are measured.
//!
//! | Option | |
//! |---|---|
//! | `--enforce types` | the server enforces types, but no rules such as ranges and patterns |
//! | `--set`, `--tasks`, `--texts`, `--only` | `tuned` or `held-out`, some tasks, so many texts of each, one strategy |
//! | `--seed`, `--temperature`, `--jobs` | the first seed (0), the temperature (0.5), calls at once (4) |
//! | `--templates FOLDER` | templates (`repair.jinja` and the like) in place of the library's |
//!
//! With `REPAIR_EVAL_TRACE` set, every attempt after a first failure is shown. The program fails if a strategy that
//! repairs rescues fewer than asking again does.

mod texts;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use mellea_core::schema::Dialect;
use mellea_core::{
    Attempt, Backend, BackendExt, ChatRequest, EventStream, Format, Instruct, ModelOption, MultiTurn, Prompts, RejectionSampling,
    RepairTemplate, Requirement, Result, SamplingResult, SamplingStrategy, Schema, Session, req,
};
use mellea_ollama::Ollama;
use schemars::JsonSchema;
use serde::Deserialize;

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

/// The weather to come.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Forecast {
    #[schemars(range(min = 0, max = 100))]
    percent: i32,
    umbrella: bool,
}

/// A time of the day.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Time {
    #[schemars(regex(pattern = r"^\d{2}:\d{2}$"))]
    time: String,
}

/// What somebody has bought.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Order {
    #[schemars(regex(pattern = r"^[A-Z]{2}-\d{4}$"))]
    code: String,
}

/// How to cook it.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is read to be checked")]
struct Recipe {
    title: String,
    #[schemars(length(min = 2, max = 4))]
    steps: Vec<String>,
}

/// What a task asks about each of its texts.
struct Task {
    name: &'static str,
    ask: &'static str,
    texts: &'static [&'static str],
    run: Run,
}

enum Run {
    Typed(fn(Instruct) -> Typed),
    /// Free text that must meet requirements.
    Required(fn() -> Vec<Requirement>),
}

/// A call of some type, and how to make it.
type Typed = std::pin::Pin<Box<dyn Future<Output = Result<Made>> + Send>>;

/// What a call came to.
struct Made {
    success: bool,
    tokens: u64,
    attempts: Vec<Attempt>,
}

impl<T> From<SamplingResult<T>> for Made
where
    T: Send + Sync + 'static,
{
    fn from(result: SamplingResult<T>) -> Self {
        let tokens = result.usage().total_tokens().unwrap_or_default();
        Self { success: result.success(), tokens, attempts: result.attempts().to_vec() }
    }
}

macro_rules! typed {
    ($type:ty) => {
        Run::Typed(|call| Box::pin(async move { Ok(call.format::<$type>().sample().await?.into()) }))
    };
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn brief() -> Vec<Requirement> {
    vec![req("Use at most 10 words.").validate(|s| words(s) <= 10)]
}

fn postcard() -> Vec<Requirement> {
    vec![
        req("Begin with \"Dear Ann\".").validate(|s| s.trim_start().starts_with("Dear Ann")),
        req("Use at most 40 words.").validate(|s| words(s) <= 40),
    ]
}

const TUNED: [Task; 5] = [
    Task {
        name: "rating",
        ask: "How much does the customer like the product? Give a score.",
        texts: &texts::REVIEWS,
        run: typed!(Rating),
    },
    Task { name: "date", ask: "Find the date in the text.", texts: &texts::DATES, run: typed!(When) },
    Task {
        name: "e-mail",
        ask: "Find the person and the email address in the text.",
        texts: &texts::CONTACTS,
        run: typed!(Contact),
    },
    Task { name: "list", ask: "List the keywords of the text.", texts: &texts::SUBJECTS, run: typed!(Keywords) },
    Task { name: "slogan", ask: "Write a slogan for the product.", texts: &texts::PRODUCTS, run: Run::Required(brief) },
];

const HELD_OUT: [Task; 5] = [
    Task { name: "weather", ask: "How likely is rain? Give the percentage.", texts: &texts::FORECASTS, run: typed!(Forecast) },
    Task { name: "time", ask: "When does it happen? Give the time.", texts: &texts::TIMES, run: typed!(Time) },
    Task { name: "order", ask: "Extract the code of the order.", texts: &texts::ORDERS, run: typed!(Order) },
    Task { name: "recipe", ask: "Give the dish a title and sum up its steps.", texts: &texts::RECIPES, run: typed!(Recipe) },
    Task { name: "postcard", ask: "Write a postcard from the place.", texts: &texts::PLACES, run: Run::Required(postcard) },
];

/// A model behind a server that enforces no form, or only types.
#[derive(Debug)]
struct Lax {
    server: Ollama,
    types: bool,
}

#[async_trait]
impl Backend for Lax {
    fn provider(&self) -> &str {
        self.server.provider()
    }

    fn model(&self) -> &str {
        self.server.model()
    }

    async fn chat(&self, mut request: ChatRequest) -> Result<EventStream> {
        request.format = match request.format {
            Some(Format::JsonSchema(schema)) if self.types => {
                let types = schema.wire(Dialect::SimpleGrammar).schema.clone();
                Some(Format::JsonSchema(Schema::from_value(types)?))
            }
            _ => None,
        };
        self.server.chat(request).await
    }
}

/// The most tokens of an answer.
const LIMIT: i64 = 120;

type NewStrategy = fn() -> Arc<dyn SamplingStrategy>;

/// The strategies, the plain one first.
const STRATEGIES: [(&str, NewStrategy); 3] = [
    ("RejectionSampling", || Arc::new(RejectionSampling::new(3))),
    ("RepairTemplate", || Arc::new(RepairTemplate::new(3))),
    ("MultiTurn", || Arc::new(MultiTurn::new(3))),
];

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
}

/// What came of one task: how many texts, how many first failures, and each strategy's score.
#[derive(Default)]
struct Outcome {
    texts: usize,
    failures: usize,
    scores: [Score; 3],
}

impl Outcome {
    fn add(&mut self, other: &Self) {
        self.texts += other.texts;
        self.failures += other.failures;
        for (sum, score) in self.scores.iter_mut().zip(other.scores) {
            sum.second += score.second;
            sum.third += score.third;
            sum.tokens += score.tokens;
        }
    }

    fn print(&self, task: &str) {
        for ((name, _), score) in STRATEGIES.iter().zip(self.scores) {
            let (failures, texts, rescued) = (self.failures, self.texts, score.rescued());
            println!(
                "{task:<9} {failures:>3} of {texts:<3} {name:<18} {rescued:>7} {:>7} {:>7} {:>8}",
                score.second, score.third, score.tokens
            );
        }
    }
}

/// What the command line asks for.
struct Args {
    model: Option<String>,
    ollama: Option<String>,
    set: Option<String>,
    texts: usize,
    seed: u64,
    templates: Option<String>,
    temperature: f64,
    jobs: usize,
    only: Option<String>,
    enforce: String,
    tasks: Option<String>,
}

impl Args {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut args = std::env::args().skip(1);
        let mut read = Self {
            model: None,
            ollama: None,
            set: None,
            texts: usize::MAX,
            seed: 0,
            templates: None,
            temperature: 0.5,
            jobs: 4,
            only: None,
            enforce: "nothing".into(),
            tasks: None,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            match flag.as_str() {
                "--model" => read.model = Some(value),
                "--ollama" => read.ollama = Some(value),
                "--set" => read.set = Some(value),
                "--texts" => read.texts = value.parse()?,
                "--seed" => read.seed = value.parse()?,
                "--templates" => read.templates = Some(value),
                "--tasks" => read.tasks = Some(value),
                "--enforce" => read.enforce = value,
                "--only" => read.only = Some(value),
                "--jobs" => read.jobs = value.parse::<usize>()?.max(1),
                "--temperature" => read.temperature = value.parse()?,
                _ => return Err(format!("no option `{flag}`").into()),
            }
        }
        Ok(read)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::read()?;
    let mut prompts = Prompts::new();
    if let Some(templates) = &args.templates {
        for name in Prompts::NAMES {
            let file = Path::new(templates).join(name).with_extension("jinja");
            if file.exists() {
                prompts = prompts.replace(name, std::fs::read_to_string(file)?)?;
            }
        }
    }
    let mut backend = Ollama::builder().model(args.model.clone().ok_or("say a model of the server with `--model`")?);
    if let Some(host) = &args.ollama {
        backend = backend.host(host);
    }
    // Attempts have seeds of their own, so that only equal attempts share an answer: the first ones.
    let backend = Lax { server: backend.connect().await?, types: args.enforce == "types" }
        .cached(NonZeroUsize::new(10_000).ok_or("a cache of nothing")?);
    let m = Session::builder(backend).prompts(prompts).build();

    println!(
        "{:<9} {:<10} {:<18} {:>7} {:>7} {:>7} {:>8}",
        "task", "failures", "strategy", "rescued", "second", "third", "tokens"
    );
    let mut lost = false;
    let sets: [(&str, [Task; 5]); 2] = [("tuned", TUNED), ("held-out", HELD_OUT)];
    for (set, tasks) in sets.iter().filter(|(name, _)| args.set.as_deref().is_none_or(|set| set == *name)) {
        let mut all = Outcome::default();
        for task in
            tasks.iter().filter(|task| args.tasks.as_ref().is_none_or(|tasks| tasks.split(',').any(|name| name == task.name)))
        {
            let outcome = measure(&m, task, &args).await?;
            outcome.print(task.name);
            all.add(&outcome);
        }
        all.print(set);
        let [plain, repairs @ ..] = all.scores;
        lost |= args.only.is_none() && repairs.iter().any(|score| score.rescued() < plain.rescued());
    }
    if lost { Err("a repair rescued fewer than asking again".into()) } else { Ok(()) }
}

/// Asks about each text, with each strategy.
async fn measure(m: &Session, task: &Task, args: &Args) -> Result<Outcome> {
    let texts = (args.seed..).zip(task.texts.iter().take(args.texts));
    let mut made = stream::iter(texts.map(|(seed, text)| attempts(m, task, text, seed, args.temperature, args.only.as_deref())))
        .buffered(args.jobs);
    let mut outcome = Outcome::default();
    while let Some(made) = made.next().await {
        outcome.texts += 1;
        let mut failed = false;
        for (place, ((name, _), made)) in STRATEGIES.into_iter().zip(made?).enumerate() {
            let Some(made) = made else { continue };
            failed = true;
            if let Some(score) = outcome.scores.get_mut(place) {
                score.second += usize::from(made.success && made.attempts.len() == 2);
                score.third += usize::from(made.success && made.attempts.len() == 3);
                score.tokens += made.tokens;
            }
            if std::env::var_os("REPAIR_EVAL_TRACE").is_some() {
                trace(name, &made.attempts);
            }
        }
        outcome.failures += usize::from(failed);
    }
    Ok(outcome)
}

/// What each strategy makes of one text; nothing if the first attempt succeeds.
async fn attempts(
    m: &Session,
    task: &Task,
    text: &str,
    seed: u64,
    temperature: f64,
    only: Option<&str>,
) -> Result<Vec<Option<Made>>> {
    let mut all = Vec::new();
    for (name, strategy) in STRATEGIES {
        if only.is_some_and(|only| only != name) {
            all.push(None);
            continue;
        }
        let call = m
            .fork()
            .instruct(task.ask)
            .input("text", text)
            .strategy(strategy())
            .option(ModelOption::Temperature, temperature)
            .option(ModelOption::MaxNewTokens, LIMIT)
            .option(ModelOption::Seed, seed);
        let made: Made = match task.run {
            Run::Typed(run) => run(call).await?,
            Run::Required(requirements) => call.require_all(requirements()).sample().await?.into(),
        };
        if made.attempts.first().is_some_and(Attempt::succeeded) {
            break;
        }
        all.push(Some(made));
    }
    Ok(all)
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

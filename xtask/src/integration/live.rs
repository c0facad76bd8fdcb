//! Services on the internet, asked only when the caller says which model of each to ask.

use super::{Tests, cargo_test};
use crate::steps::Steps;

/// A service, which is also the module of its tests, and the variable that turns it on. Its value is the
/// model to ask; keys and addresses come from the variables that the backend itself reads.
const SERVICES: [(&str, &str); 4] = [
    ("ollama", "MELLEA_LIVE_OLLAMA"),
    ("openai", "MELLEA_LIVE_OPENAI"),
    ("litellm", "MELLEA_LIVE_LITELLM"),
    ("watsonx", "MELLEA_LIVE_WATSONX"),
];

pub(super) fn usage() -> String {
    let lines = SERVICES.map(|(service, variable)| format!("\n  {variable:<20} the model of {service} to ask"));
    format!("Variables of `live`; keys and addresses as each backend reads them:{}", lines.concat())
}

pub(super) fn run(steps: &mut Steps) {
    with(|variable| std::env::var(variable).ok(), steps);
}

fn with(read: impl Fn(&str) -> Option<String>, steps: &mut Steps) {
    let is_set = |variable: &str| read(variable).is_some_and(|model| !model.trim().is_empty());
    if !SERVICES.iter().any(|(_, variable)| is_set(variable)) {
        steps.run("live", || Err(format!("nothing to do\n{}", usage()).into()));
        return;
    }
    for (service, variable) in SERVICES {
        if is_set(variable) {
            let mut tests = Tests::default();
            steps.run(service, || cargo_test("live", &[&format!("{service}::")], &[], &mut tests));
            steps.count(&tests);
        } else {
            steps.skip(service, &format!("{variable} is not set"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_variable_it_fails() {
        let mut steps = Steps::new();
        with(|_| None, &mut steps);
        assert_eq!(steps.failed(), 1);
        with(|_| Some(" ".into()), &mut steps);
        assert_eq!(steps.failed(), 2);
    }
}

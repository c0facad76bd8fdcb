//! A real Ollama over the models pico and, where it is there, SmolLM2-135M. It is built from its Go module.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::python::Python;
use super::serve::{Server, free_port};
use super::{Tests, cargo_test, compile};
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Failure, cargo};

/// The version that the tests were written against.
const VERSION: &str = "v0.17.4";

/// A package with two headers that the Go module leaves out, and its version.
const HEADERS: (&str, &str) = ("llama-cpp-python", "0.3.36");

/// What converts the model, and what the package of the headers needs to be unpacked.
const PACKAGES: [&str; 5] = ["gguf==0.19.0", "numpy==2.4.6", "cmake==4.4.4", "ninja==1.13.2", "scikit-build-core==1.0.3"];

/// Names a program that is there already; nothing is built then.
const OWN_PROGRAM: &str = "OLLAMA_BIN";

/// Names a server that runs already; none is started then.
const OWN_SERVER: &str = "OLLAMA_HOST";

/// Names the file of SmolLM2-135M-Instruct, for a second pass.
const SMOLLM2: &str = "MELLEA_SMOLLM2_GGUF";

/// The models of the tests, and the Modelfile of each. The name of the first line of the README is one of them.
const MODELS: [(&str, &str); 4] =
    [("pico", "pico"), ("granite4.1:3b", "pico"), ("pico-think", "pico-think"), ("pico-jinja", "pico-jinja")];

const READY: Duration = Duration::from_secs(60);

pub(super) fn run(workspace: &Workspace, steps: &mut Steps) {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if given(OWN_PROGRAM).is_none() && given(OWN_SERVER).is_none() && !has_go() {
        let reason = format!("there is no Go to build it; {OWN_PROGRAM} names a program, {OWN_SERVER} a server with the models");
        return steps.skip("ollama", &reason);
    }
    super::step(steps, "ollama", |tests| match given(OWN_SERVER) {
        // Somebody's server: nothing is made on it, and it is not brought down.
        Some(host) => {
            println!("on the server of {OWN_SERVER}: it needs the models of tests/corpus/ollama, and no crash is tried");
            let host = host.to_str().ok_or_else(|| format!("{OWN_SERVER} is not UTF-8"))?;
            cargo_test("ollama", &["--test-threads=1", "calls::"], &[("MELLEA_OLLAMA_HOST", host)], tests)
        }
        None => on_our_own(workspace, tests),
    });
}

fn has_go() -> bool {
    Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn on_our_own(workspace: &Workspace, tests: &mut Tests) -> Result<(), Failure> {
    let directory = workspace.target.join("integration/ollama");
    std::fs::create_dir_all(directory.join("home"))?;
    let python = Python::with(directory.join("venv"), &PACKAGES)?;
    let program = match std::env::var_os(OWN_PROGRAM) {
        Some(own) => PathBuf::from(own),
        None => build(&python, &directory)?,
    };
    let pico = cargo::root().join("crates/mellea-pico");
    let mut convert = python.command("python3");
    cargo::finish(convert.arg(pico.join("recipe/to_gguf.py")).arg(pico.join("model")).arg(directory.join("pico.gguf")), None)?;
    compile("ollama")?;

    let host = format!("127.0.0.1:{}", free_port()?);
    let (_, port) = host.split_once(':').ok_or("no port")?;
    let path = |name: &str| directory.join(name).to_str().map(str::to_owned).ok_or("the target directory is not UTF-8");
    let (home, models) = (path("home")?, path("models")?);
    let settings = [format!("OLLAMA_HOST={host}"), format!("OLLAMA_MODELS={models}"), format!("HOME={home}")];
    let program_name = program.to_str().ok_or("the path of the program is not UTF-8")?;
    let arguments: Vec<&str> = settings.iter().map(String::as_str).chain([program_name, "serve"]).collect();
    let mut server = Server::start(Path::new("env"), &arguments, directory.join("server.log"))?;
    server.ready(port.parse()?, "/api/version", READY)?;
    println!("the server is ready on {host}");

    let create = |model: &str, file: &str| -> Result<(), Failure> {
        let source = cargo::root().join("tests/corpus/ollama").join(format!("Modelfile.{file}"));
        // `FROM ./pico.gguf` is read beside the Modelfile.
        let copy = directory.join(format!("Modelfile.{file}"));
        std::fs::copy(&source, &copy).map_err(|e| format!("{}: {e}", source.display()))?;
        let mut command = Command::new(&program);
        command.args(["create", model, "-f"]).arg(&copy).env("OLLAMA_HOST", &host).env("HOME", &home);
        cargo::finish(command.stdin(Stdio::null()).stderr(Stdio::null()), None)
    };
    MODELS.iter().try_for_each(|(model, file)| create(model, file))?;
    let mut filters = vec!["--test-threads=1", "calls::", "crashes::"];
    match std::env::var_os(SMOLLM2) {
        Some(file) => {
            let place = directory.join("smollm2.gguf");
            std::fs::copy(&file, &place).map_err(|e| format!("{}: {e}", Path::new(&file).display()))?;
            create("smollm2", "smollm2")?;
            filters.push("small_model::");
        }
        None => println!("without a second pass on SmolLM2-135M: {SMOLLM2} names no file"),
    }
    let environment = [
        ("MELLEA_OLLAMA_HOST", host.as_str()),
        ("MELLEA_OLLAMA_PROGRAM", program_name),
        ("MELLEA_OLLAMA_MODELS", &models),
        ("MELLEA_OLLAMA_HOME", &home),
    ];
    let result = cargo_test("ollama", &filters, &environment, tests);
    if result.is_err() {
        eprintln!("the last lines of the server:\n{}", server.last_words());
    }
    result
}

/// Builds the program, once for each version.
fn build(python: &Python, directory: &Path) -> Result<PathBuf, Failure> {
    let tree = directory.join(format!("build-{VERSION}"));
    let program = tree.join("ollama");
    if program.is_file() {
        return Ok(program);
    }
    println!("building Ollama {VERSION} from its Go module; about six minutes on one core");
    let (name, version) = HEADERS;
    let headers = python.source(name, version, directory)?.join("vendor/llama.cpp/vendor");
    let flags = format!("-O2 -I{}", headers.display());
    let mut install = Command::new("go");
    install.args(["install", &format!("github.com/ollama/ollama@{VERSION}")]).stdin(Stdio::null());
    cargo::finish(install.env("GOBIN", &tree).env("CGO_CFLAGS", &flags).env("CGO_CXXFLAGS", &flags), None)?;
    if program.is_file() { Ok(program) } else { Err(format!("the build left no {}", program.display()).into()) }
}

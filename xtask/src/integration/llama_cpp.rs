//! llama.cpp's own server over the model pico. Its source is in the source package of llama-cpp-python.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::python::Python;
use super::serve::{Server, free_port};
use super::{Tests, cargo_test, compile};
use crate::workspace::Workspace;
use crate::{Failure, cargo};

/// The package with the source, and the version that the tests were written against.
const SOURCE: (&str, &str) = ("llama-cpp-python", "0.3.36");

/// What converts the model, and what builds the server.
const PACKAGES: [&str; 4] = ["gguf==0.19.0", "numpy==2.4.6", "cmake==4.4.4", "ninja==1.13.2"];

/// Names a server that is there already; nothing is built then.
const OWN_SERVER: &str = "MELLEA_LLAMA_SERVER";

/// Only the server, without its pages, tests and TLS. The model is so small that optimising further would
/// cost more than it gains.
const OPTIONS: [&str; 9] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
];

/// Four calls at once, each with the whole context of the model. Threads would wait for each other more
/// than they help with so small a model.
const SERVING: [&str; 10] = ["--alias", "pico", "--host", "127.0.0.1", "--parallel", "4", "--ctx-size", "4096", "--threads", "1"];

const READY: Duration = Duration::from_secs(120);

pub(super) fn run(workspace: &Workspace, tests: &mut Tests) -> Result<(), Failure> {
    let directory = workspace.target.join("integration/llama-cpp");
    std::fs::create_dir_all(&directory)?;
    let python = Python::with(directory.join("venv"), &PACKAGES)?;
    let program = match std::env::var_os(OWN_SERVER) {
        Some(own) => own.into(),
        None => build(&python, &directory)?,
    };
    let model = directory.join("pico.gguf");
    let pico = cargo::root().join("crates/mellea-pico");
    let mut convert = python.command("python3");
    cargo::finish(convert.arg(pico.join("recipe/to_gguf.py")).arg(pico.join("model")).arg(&model), None)?;

    compile("llama_cpp")?;
    let port = free_port()?;
    let (port_text, model) = (port.to_string(), model.to_str().ok_or("the path of the target directory is not UTF-8")?);
    let arguments = [&["--model", model, "--port", &port_text], &SERVING[..]].concat();
    let mut server = Server::start(&program, &arguments, directory.join("server.log"))?;
    server.ready(port, "/health", READY)?;
    println!("the server is ready on port {port}");
    let url = format!("http://127.0.0.1:{port}/v1");
    let result = cargo_test("llama_cpp", &["--test-threads=1"], &[("MELLEA_LLAMA_CPP_URL", &url)], tests);
    if result.is_err() {
        eprintln!("the last lines of the server:\n{}", server.last_words());
    }
    result
}

/// Compiles the server, once for each version.
fn build(python: &Python, directory: &Path) -> Result<PathBuf, Failure> {
    let (name, version) = SOURCE;
    let tree = directory.join(format!("build-{version}"));
    let program = tree.join("bin/llama-server");
    if program.is_file() {
        return Ok(program);
    }
    println!("compiling llama-server from the source of {name} {version}; about nine minutes on one core");
    let source = python.source(name, version, directory)?.join("vendor/llama.cpp");
    let mut configure = python.command("cmake");
    configure.args(["-G", "Ninja", "-S"]).arg(source).arg("-B").arg(&tree).args(OPTIONS);
    cargo::finish(&mut configure, None)?;
    let mut compile = python.command("cmake");
    cargo::finish(compile.arg("--build").arg(&tree).args(["--target", "llama-server"]), None)?;
    if program.is_file() { Ok(program) } else { Err(format!("the build left no {}", program.display()).into()) }
}
